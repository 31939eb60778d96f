"""HTTP/3 asked by a client that is not ours: aioquic (its own QUIC and HTTP/3, and pylsqpack for QPACK).

    python3 -m venv venv && venv/bin/pip install aioquic==1.7.2
    cargo build && venv/bin/python conformance/http3/check.py

Starts `narthex run --http3 --echo` on loopback, asks, and exits with 1 if an answer is not what it should be.
"""

import argparse
import asyncio
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, StreamReset

INGRESS = """
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: narthex}
spec: {controller: narthex.dev/ingress-controller}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: default}
spec:
  ingressClassName: narthex
  tls: [{hosts: [a.example]}]
  rules:
  - host: a.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}
"""


class Client(QuicConnectionProtocol):
    """Requests by stream, and why it ended."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = None
        self.waiting = {}
        self.code = asyncio.get_running_loop().create_future()

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated) and not self.http:
            self.http = H3Connection(self._quic)
        if isinstance(event, ConnectionTerminated) and not self.code.done():
            self.code.set_result(event.error_code)
        if isinstance(event, StreamReset):
            self.waiting[event.stream_id][0].set_result(event.error_code)
        for event in self.http.handle_event(event) if self.http else ():
            done, headers, body = self.waiting[event.stream_id]
            if isinstance(event, HeadersReceived):
                headers.extend(event.headers)
            elif isinstance(event, DataReceived):
                body.extend(event.data)
            if event.stream_ended and not done.done():
                done.set_result(None)

    async def ask(self, method, path, body=None, more=(), pieces=1):
        stream = self._quic.get_next_available_stream_id()
        head = [(b":method", method), (b":scheme", b"https"), (b":authority", b"a.example"), (b":path", path), *more]
        self.waiting[stream] = (asyncio.get_running_loop().create_future(), [], bytearray())
        self.http.send_headers(stream, head, end_stream=body is None)
        if body is not None:
            size = max(1, len(body) // pieces)
            for at in range(0, len(body), size):
                self.http.send_data(stream, body[at : at + size], end_stream=False)
            self.http.send_data(stream, b"", end_stream=True)
        self.transmit()
        done, headers, content = self.waiting[stream]
        reset = await asyncio.wait_for(done, 20)
        return reset, dict(headers), bytes(content)


def configuration(**kwargs):
    return QuicConfiguration(
        is_client=True, alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE, server_name="a.example", **kwargs
    )


def client(port, tickets=None, **kwargs):
    keep = tickets.append if tickets is not None else None
    return connect(
        "127.0.0.1", port, configuration=configuration(**kwargs), create_protocol=Client, session_ticket_handler=keep
    )


async def requests(port):
    async with client(port) as peer:
        reset, headers, body = await peer.ask(b"GET", b"/x?y", more=[(b"x-own", b"a" * 300), (b"cookie", b"a=1")])
        seen = json.loads(body)
        assert (reset, headers[b":status"]) == (None, b"200"), headers
        assert seen["headers"]["x-own"] == ["a" * 300] and (seen["path"], seen["query"]) == ("/x", "y"), seen
        yield "a GET with literal, indexed and compressed fields"
        reset, headers, body = await peer.ask(b"POST", b"/", b"x" * 500_000, pieces=7)
        assert json.loads(body)["bodyBytes"] == 500_000
        yield "a POST of 500,000 bytes in pieces"
        # No HEAD: aioquic holds its answer to the length of what is not there.
        answers = await asyncio.gather(*(peer.ask(b"GET", b"/%d" % index) for index in range(100)))
        assert [json.loads(body)["path"] for _, _, body in answers] == [f"/{index}" for index in range(100)]
        yield "100 requests at once"
        reset, headers, body = await peer.ask(b"GET", b"/", more=[(b"x", b"y" * 60_000)])
        assert headers[b":status"] == b"431", headers
        yield "431 for fields that are too large"
        peer._quic.change_connection_id()
        reset, headers, body = await peer.ask(b"GET", b"/moved")
        assert headers[b":status"] == b"200"
        yield "another connection id"
        peer._quic.request_key_update()
        reset, headers, body = await peer.ask(b"GET", b"/rekeyed")
        assert headers[b":status"] == b"200"
        yield "a key update"


async def resumption(port):
    tickets = []
    async with client(port, tickets) as peer:
        await peer.ask(b"GET", b"/")
    assert tickets, "a ticket"
    async with client(port, session_ticket=tickets[0]) as peer:
        assert peer._quic.tls.session_resumed
        reset, headers, body = await peer.ask(b"GET", b"/")
        assert headers[b":status"] == b"200" and not peer._quic.tls.early_data_accepted
        yield "a resumed session, without early data"


async def mistakes(port):
    async with client(port) as peer:
        stream = peer._quic.get_next_available_stream_id()
        peer.waiting[stream] = (asyncio.get_running_loop().create_future(), [], bytearray())
        # DATA before HEADERS.
        peer._quic.send_stream_data(stream, b"\x00\x01x", end_stream=True)
        peer.transmit()
        assert await asyncio.wait_for(peer.code, 20) == 0x105
        yield "H3_FRAME_UNEXPECTED for DATA before HEADERS"
    async with client(port) as peer:
        await peer.ask(b"GET", b"/")
        # An insert, although no dynamic table was offered.
        peer._quic.send_stream_data(peer.http._local_encoder_stream_id, b"\xc1\x01x")
        peer.transmit()
        assert await asyncio.wait_for(peer.code, 20) == 0x201
        yield "QPACK_ENCODER_STREAM_ERROR for an insert"


async def retry(port):
    async with client(port) as peer:
        await peer.ask(b"GET", b"/")
        assert peer._quic._retry_source_connection_id
    yield "a Retry"


async def early_data(port):
    tickets = []
    async with client(port, tickets) as peer:
        await peer.ask(b"GET", b"/")
    context = connect(
        "127.0.0.1",
        port,
        configuration=configuration(session_ticket=tickets[0]),
        create_protocol=Client,
        wait_connected=False,
    )
    async with context as peer:
        peer.http = H3Connection(peer._quic)
        reset, headers, body = await peer.ask(b"GET", b"/")
        assert peer._quic.tls.early_data_accepted and headers[b":status"] == b"200", headers
        assert json.loads(body)["headers"]["early-data"] == ["1"], body
    yield "a GET in early data"


async def check(port, parts):
    for part in parts:
        async for passed in part(port):
            print(f"ok  {passed}", flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def run(program, parts, *flags):
    with tempfile.TemporaryDirectory() as directory:
        objects = pathlib.Path(directory, "objects.yaml")
        objects.write_text(INGRESS)
        port, plain = free_port(), free_port()
        command = [program, "run", str(objects), "--http3", "--echo", "--admin-address", "off", "--access-log", "off"]
        command += ["--https-port", str(port), "--http-port", str(plain), *flags]
        gateway = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            for line in gateway.stdout:
                if "findings" in line:
                    break
            await check(port, parts)
        finally:
            gateway.terminate()
            gateway.wait(20)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--narthex", default="target/debug/narthex")
    program = parser.parse_args().narthex
    await run(program, (requests, resumption, mistakes), "--bind", "127.0.0.1")
    # On every address, as in a cluster.
    await run(program, (requests, mistakes))
    await run(program, (early_data,), "--http3-early-data")
    await run(program, (retry,), "--max-http3-handshakes", "0")
    print("all passed")


sys.exit(asyncio.run(main()))
