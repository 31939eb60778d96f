"""WebSockets through `narthex run` on loopback.

    run.py NARTHEX ECHO short|all

The Autobahn cases, as kosoku runs them, against an echo server directly and through the gateway: each must come to the
same. Then a set of our own over HTTP/2 (RFC 8441), and what happens to open WebSockets while the configuration changes and
when the gateway ends.

Prints a line for each check: `ok` or `FAIL`, its group, its name and what was found, with tabs between. The exit code says
whether all passed.
"""

import asyncio
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import kosoku
from streams import Streams
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

HERE = pathlib.Path(__file__).parent
# Most of the time goes into these: a thousand compressed messages each.
LONG = ["12.*", "13.*"]
# One of each kind of them.
SHORT = [f"12.{kind}.1" for kind in range(1, 6)] + [f"13.{kind}.1" for kind in range(1, 8)]
failed = 0


def told(good, group, name, found):
    global failed
    failed += not good
    print("ok" if good else "FAIL", group, name, str(found).replace("\t", " ").replace("\n", " "), sep="\t", flush=True)


def port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def listening(at):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", at)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"nobody listens on {at}")


class Gateway:
    """Narthex, in front of the echo server."""

    def __init__(self, program, backend):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="narthex-websocket-"))
        shutil.copy(HERE / "objects.yaml", self.folder)
        self.port = port()
        words = ["run", "--bind", "127.0.0.1", "--http-port", self.port, "--https-port", port(), "--log-level", "error"]
        words += ["--admin-address", "off", "--drain-timeout", "3s"]
        words += ["--endpoint", f"default/app:80=127.0.0.1:{backend}", self.folder]
        self.process = subprocess.Popen([program, *map(str, words)], stdout=subprocess.DEVNULL)
        listening(self.port)

    def change(self, number):
        """Adds an Ingress, and takes the one before away."""
        text = (HERE / "objects.yaml").read_text()
        ingress = text.split("---\n")[1].replace("name: all", f"name: more-{number}")
        rule = ingress.replace("- http:", f"- host: host-{number}.example\n    http:")
        (self.folder / "more.yaml").write_text(rule)

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder)


async def some_cases(at, *which, **more):
    try:
        return await kosoku.run_fuzzingclient(f"ws://127.0.0.1:{at}", *which, **more)
    except kosoku.FailureError as failure:
        return failure.results


async def cases(at, some):
    if some == "all":
        return await some_cases(at, concurrency=4)
    rest = await some_cases(at, SHORT, concurrency=4)
    most = await some_cases(at, None, LONG, concurrency=4)
    return most + rest


def outcome(result):
    return (result.behavior.value, result.behavior_close.value, result.remote_close_code)


def autobahn(backend, gateway, some):
    """By the sections of the suite."""

    def all_of(at):
        # One that failed may have failed for want of time: it is asked once more, alone.
        results = {result.case_id: result for result in asyncio.run(cases(at, some))}
        again = [case for case, result in results.items() if not result.passed]
        if again:
            once_more = asyncio.run(some_cases(at, again))
            results.update({result.case_id: result for result in once_more})
        return results

    direct, through = all_of(backend), all_of(gateway)
    sections = {}
    for case, result in direct.items():
        sections.setdefault(int(case.split(".")[0]), []).append((case, outcome(result), outcome(through[case])))
    for section, found in sorted(sections.items()):
        passed = sum(through[case].passed for case, _, _ in found)
        differ = [f"{case}: {a} directly, {b} through the gateway" for case, a, b in found if a != b]
        summary = f"{len(found)} cases, each as directly; {passed} passed"
        told(not differ, "Autobahn", f"section {section}", "; ".join(differ) or summary)


def check(group, name, run):
    try:
        told(True, group, name, run() or "passed")
    except Exception as error:  # whatever it is, it is a failure
        told(False, group, name, f"{type(error).__name__}: {error}")


def echoes(ws, message):
    ws.send(type(message)(data=message.data))
    assert ws.message() == message.data


def over_http2(at):
    """What WebSockets do on streams."""

    def on_a_stream(run, path="/", **fields):
        def once():
            streams = Streams(at)
            run(streams, streams.open(path, **fields))
            streams.close()

        return once

    def fragments(_, ws):
        for piece, last in (("a", False), ("b" * 70000, False), ("c", True)):
            ws.send(TextMessage(data=piece, message_finished=last))
        assert ws.message() == "a" + "b" * 70000 + "c"

    def pings(_, ws):
        ws.send(Ping(payload=b"there?"))
        event = ws.event()
        assert isinstance(event, Pong) and event.payload == b"there?", event
        ws.send(TextMessage(data="a", message_finished=False))
        ws.send(Ping(payload=b"between"))
        assert isinstance(ws.event(), Pong)
        ws.send(TextMessage(data="b", message_finished=True))
        assert ws.message() == "ab"

    def closes(code):
        def run(_, ws):
            ws.send(CloseConnection(code=code, reason="bye"))
            event = ws.event()
            assert isinstance(event, CloseConnection) and event.code == code, event
            assert ws.event() is None

        return run

    def is_closed(_, ws):
        ws.send(TextMessage(data="now"))
        event = ws.event()
        assert isinstance(event, CloseConnection) and (event.code, event.reason) == (4001, "as asked"), event

    def bad(bytes, code):
        def run(_, ws):
            ws.raw(bytes)
            event = ws.event()
            assert isinstance(event, CloseConnection) and event.code == code, event

        return run

    def many(streams, first):
        all = [first] + [streams.open("/") for _ in range(49)]
        for number, ws in enumerate(all):
            ws.send(TextMessage(data=f"{number} " * 1000))
        for number, ws in reversed(list(enumerate(all))):
            assert ws.message() == f"{number} " * 1000
        return "50 WebSockets"

    def half(streams, ws):
        ws.raw(b"\x81\x85\0\0\0\0he")
        other = streams.open("/")
        echoes(other, TextMessage(data="meanwhile"))
        ws.raw(b"llo")
        assert ws.message() == "hello"

    group = "HTTP/2"
    check(group, "a text comes back", on_a_stream(lambda _, ws: echoes(ws, TextMessage(data="grüß dich"))))
    for size in (0, 125, 126, 65535, 65536, 4 << 20):
        message = BytesMessage(data=b"x" * size)
        check(group, f"{size} bytes come back", on_a_stream(lambda _, ws: echoes(ws, message)))
    check(group, "a message in fragments", on_a_stream(fragments))
    check(group, "pings, also between fragments", on_a_stream(pings))
    for code in (1000, 3000, 4999):
        check(group, f"the client closes with {code}", on_a_stream(closes(code)))
    check(group, "the server closes with 4001", on_a_stream(is_closed, "/close/4001"))
    check(group, "a text that is no UTF-8: 1007", on_a_stream(bad(b"\x81\x82\0\0\0\0\xff\xff", 1007)))
    check(group, "a reserved bit: 1002", on_a_stream(bad(b"\xf1\x81\0\0\0\0a", 1002)))
    check(group, "a frame in two pieces, another WebSocket in between", on_a_stream(half))
    check(group, "50 at once on one connection", on_a_stream(many))
    chat = lambda _, ws: ws.fields["sec-websocket-protocol"] == "chat" or sys.exit("no chat")
    check(group, "a subprotocol", on_a_stream(chat, protocol="chat"))


def lives(gateway):
    """Open WebSockets while the gateway changes, and when it ends."""
    streams = Streams(gateway.port)
    sockets = [streams.open("/") for _ in range(10)] + [Streams(gateway.port, upgrade=True).open("/") for _ in range(10)]

    def changes():
        until, count = time.monotonic() + 5, 0
        while time.monotonic() < until:
            gateway.change(count)
            for ws in sockets:
                echoes(ws, TextMessage(data=str(count)))
            count += 1
        return f"{count} changes, 20 WebSockets, none lost"

    def ends():
        gateway.process.terminate()
        began = time.monotonic()
        # The client's h2 takes a GOAWAY for the end of everything.
        for ws in sockets[10:]:
            echoes(ws, TextMessage(data="in the grace period"))
        for ws in sockets[10:]:
            event = ws.event()
            assert isinstance(event, CloseConnection) and event.code == 1001, event
        return f"each is told 1001 after {time.monotonic() - began:.1f} s of 3 s"

    check("life", "every change of the configuration is survived", changes)
    check("life", "a drain leaves time, then says that the server goes", ends)


if __name__ == "__main__":
    program, echo, some = sys.argv[1:]
    backend = port()
    server = subprocess.Popen([echo, "--listen", f"127.0.0.1:{backend}"], stderr=subprocess.DEVNULL)
    try:
        listening(backend)
        gateway = Gateway(program, backend)
        try:
            over_http2(gateway.port)
            if some != "none":
                autobahn(backend, gateway.port, some)
            lives(gateway)
        finally:
            gateway.end()
    finally:
        server.terminate()
    sys.exit(failed > 0)
