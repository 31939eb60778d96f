"""WebSockets of a client on streams of HTTP/2, or on a connection of HTTP/1.1, by h2 and wsproto."""

import base64
import os
import socket

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection

LIMIT = 20


class Streams:
    """One connection, with WebSockets on it."""

    def __init__(self, port, upgrade=False):
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sockets = {}
        self.upgraded = upgrade
        if upgrade:
            return
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.flush()
        while self.h2.remote_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL) != 1:
            self.read()

    def open(self, path, protocol=None):
        fields = [("sec-websocket-version", "13")] + ([("sec-websocket-protocol", protocol)] if protocol else [])
        if self.upgraded:
            return self.upgrade(path, fields)
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http")]
        self.h2.send_headers(stream, head + [(":authority", "a.example"), (":path", path)] + fields)
        self.flush()
        ws = self.sockets[stream] = WebSocket(self, stream)
        while ws.fields is None:
            self.read()
        assert ws.fields[":status"] == "200", ws.fields
        return ws

    def upgrade(self, path, fields):
        key = base64.b64encode(os.urandom(16)).decode()
        fields += [("Host", "a.example"), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", key)]
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        ws = self.sockets[0] = WebSocket(self, 0)
        return ws

    def send(self, stream, content):
        if self.upgraded:
            return self.socket.sendall(content)
        while content:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(content))
            if room == 0:
                self.read()
                continue
            self.h2.send_data(stream, content[:room])
            content = content[room:]
            self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def read(self):
        """Waits for something, and gives it to whom it belongs."""
        content = self.socket.recv(1 << 16)
        if self.upgraded:
            self.sockets[0].receive(content or None)
            return
        if not content:
            for ws in self.sockets.values():
                ws.receive(None)
            return
        for event in self.h2.receive_data(content):
            ws = self.sockets.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.ResponseReceived):
                ws.fields = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                ws.receive(event.data)
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                ws.receive(None)
        self.flush()

    def close(self):
        self.socket.close()


class WebSocket:
    """Of a client."""

    def __init__(self, streams, stream):
        self.streams, self.stream = streams, stream
        self.protocol = Connection(ConnectionType.CLIENT)
        self.fields = None
        self.events = []
        self.over = False

    def send(self, event):
        self.raw(self.protocol.send(event))

    def raw(self, content):
        self.streams.send(self.stream, content)

    def receive(self, content):
        if content is None:
            self.over = True
            return
        if not content:
            return
        self.protocol.receive_data(content)
        self.events.extend(self.protocol.events())

    def event(self):
        """The next one; none at the end."""
        while not self.events and not self.over:
            self.streams.read()
        return self.events.pop(0) if self.events else None

    def message(self):
        parts = []
        while True:
            event = self.event()
            assert event is not None and not isinstance(event, CloseConnection), event
            parts.append(event.data)
            if event.message_finished:
                return parts[0][:0].join(parts)
