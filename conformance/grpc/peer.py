"""A client and a server of the gRPC interop tests, on grpcio and protobuf.

    peer.py serve DESCRIPTORS PORT
    peer.py ask DESCRIPTORS ADDRESS AUTHORITY TRUST CASE

DESCRIPTORS is a file with a FileDescriptorSet of grpc/testing/test.proto. The cases are those of
grpc/doc/interop-test-descriptions.md.
"""

import sys
import time
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "grpc.testing.TestService"
INITIAL = "x-grpc-test-echo-initial"
TRAILING = "x-grpc-test-echo-trailing-bin"


class Service:
    """Messages and methods out of descriptors."""

    def __init__(self, file):
        pool = descriptor_pool.DescriptorPool()
        files = descriptor_pb2.FileDescriptorSet()
        with open(file, "rb") as descriptors:
            files.ParseFromString(descriptors.read())
        for one in files.file:
            pool.Add(one)
        self.pool = pool
        self.methods = pool.FindServiceByName(SERVICE).methods_by_name

    def message(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName("grpc.testing." + name))

    def types(self, method):
        found = self.methods[method]
        return (message_factory.GetMessageClass(found.input_type), message_factory.GetMessageClass(found.output_type))


def metadata_back(context):
    given = dict(context.invocation_metadata())
    if INITIAL in given:
        context.send_initial_metadata(((INITIAL, given[INITIAL]),))
    if TRAILING in given:
        context.set_trailing_metadata(((TRAILING, given[TRAILING]),))


def serve(service, port):
    def status_back(request, context):
        if request.response_status.code:
            code = next(code for code in grpc.StatusCode if code.value[0] == request.response_status.code)
            context.abort(code, request.response_status.message)

    def empty(request, context):
        return service.message("Empty")()

    def unary(request, context):
        metadata_back(context)
        status_back(request, context)
        reply = service.message("SimpleResponse")()
        reply.payload.body = bytes(request.response_size)
        return reply

    def outputs(request):
        for one in request.response_parameters:
            time.sleep(one.interval_us / 1e6)
            reply = service.message("StreamingOutputCallResponse")()
            reply.payload.body = bytes(one.size)
            yield reply

    def output(request, context):
        yield from outputs(request)

    def gather(requests, context):
        reply = service.message("StreamingInputCallResponse")()
        reply.aggregated_payload_size = sum(len(request.payload.body) for request in requests)
        return reply

    def duplex(requests, context):
        metadata_back(context)
        for request in requests:
            status_back(request, context)
            yield from outputs(request)

    kinds = {
        "EmptyCall": (grpc.unary_unary_rpc_method_handler, empty),
        "UnaryCall": (grpc.unary_unary_rpc_method_handler, unary),
        "StreamingOutputCall": (grpc.unary_stream_rpc_method_handler, output),
        "StreamingInputCall": (grpc.stream_unary_rpc_method_handler, gather),
        "FullDuplexCall": (grpc.stream_stream_rpc_method_handler, duplex),
    }
    handlers = {}
    for name, (kind, what) in kinds.items():
        request, response = service.types(name)
        handlers[name] = kind(what, request.FromString, response.SerializeToString)
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


class Client:
    """Calls, and what is to come of them."""

    def __init__(self, service, address, authority, trust):
        self.service = service
        options = [("grpc.default_authority", authority), ("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)]
        if trust:
            with open(trust, "rb") as file:
                secret = grpc.ssl_channel_credentials(file.read())
            options.append(("grpc.ssl_target_name_override", authority))
            self.channel = grpc.secure_channel(address, secret, options)
        else:
            self.channel = grpc.insecure_channel(address, options)

    def stub(self, method):
        kinds = {
            "EmptyCall": self.channel.unary_unary,
            "UnaryCall": self.channel.unary_unary,
            "UnimplementedCall": self.channel.unary_unary,
            "StreamingOutputCall": self.channel.unary_stream,
            "StreamingInputCall": self.channel.stream_unary,
            "FullDuplexCall": self.channel.stream_stream,
        }
        request, response = self.service.types(method)
        return kinds[method](f"/{SERVICE}/{method}", request.SerializeToString, response.FromString)

    def simple(self, size=0, answer=0, **rest):
        request = self.service.message("SimpleRequest")(response_size=answer, **rest)
        request.payload.body = bytes(size)
        return request

    def output(self, sizes=(), size=0):
        request = self.service.message("StreamingOutputCallRequest")()
        request.payload.body = bytes(size)
        for one in sizes:
            request.response_parameters.add(size=one)
        return request

    def empty_unary(self):
        assert self.stub("EmptyCall")(self.service.message("Empty")(), timeout=30).ByteSize() == 0

    def large_unary(self):
        assert len(self.stub("UnaryCall")(self.simple(271828, 314159), timeout=30).payload.body) == 314159

    def client_streaming(self):
        def requests():
            for size in (27182, 8, 1828, 45904):
                request = self.service.message("StreamingInputCallRequest")()
                request.payload.body = bytes(size)
                yield request

        assert self.stub("StreamingInputCall")(requests(), timeout=30).aggregated_payload_size == 74922

    def server_streaming(self):
        sizes = [31415, 9, 2653, 58979]
        replies = self.stub("StreamingOutputCall")(self.output(sizes), timeout=30)
        assert [len(reply.payload.body) for reply in replies] == sizes

    def talk(self, timeout=30):
        """A call of both directions, with a function that sends."""
        import queue

        waiting = queue.Queue()
        call = self.stub("FullDuplexCall")(iter(waiting.get, None), timeout=timeout)
        return call, waiting.put

    def ping_pong(self):
        call, send = self.talk()
        for size, answer in zip((27182, 8, 1828, 45904), (31415, 9, 2653, 58979)):
            send(self.output([answer], size))
            assert len(next(call).payload.body) == answer
        send(None)
        assert next(call, None) is None

    def empty_stream(self):
        call, send = self.talk()
        send(None)
        assert next(call, None) is None

    def fails(self, code, call):
        try:
            call()
        except grpc.RpcError as error:
            assert error.code() == code, (error.code(), error.details())
            return error
        raise AssertionError(f"no {code}")

    def timeout_on_sleeping_server(self):
        call, send = self.talk(timeout=0.001)
        send(self.output([], 27182))
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(call))

    def cancel_after_begin(self):
        call = self.stub("StreamingInputCall").future(iter(lambda: time.sleep(60), 0))
        call.cancel()
        assert call.cancelled() and call.code() == grpc.StatusCode.CANCELLED

    def cancel_after_first_response(self):
        call, send = self.talk()
        send(self.output([31415], 27182))
        next(call)
        call.cancel()
        self.fails(grpc.StatusCode.CANCELLED, lambda: next(call))
        send(None)

    def status(self, code, text):
        request = self.simple()
        request.response_status.code, request.response_status.message = code.value[0], text
        error = self.fails(code, lambda: self.stub("UnaryCall")(request, timeout=30))
        assert error.details() == text, error.details()
        return request

    def status_code_and_message(self):
        self.status(grpc.StatusCode.UNKNOWN, "test status message")
        call, send = self.talk()
        request = self.output()
        request.response_status.code, request.response_status.message = 2, "test status message"
        send(request)
        send(None)
        assert self.fails(grpc.StatusCode.UNKNOWN, lambda: next(call)).details() == "test status message"

    def special_status_message(self):
        self.status(grpc.StatusCode.UNKNOWN, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n")

    def custom_metadata(self):
        given = ((INITIAL, "test_initial_metadata_value"), (TRAILING, b"\xab\xab\xab"))
        _, call = self.stub("UnaryCall").with_call(self.simple(271828, 314159), metadata=given, timeout=30)
        assert dict(call.initial_metadata())[INITIAL] == given[0][1]
        assert dict(call.trailing_metadata())[TRAILING] == given[1][1]
        import queue

        waiting = queue.Queue()
        call = self.stub("FullDuplexCall")(iter(waiting.get, None), metadata=given, timeout=30)
        waiting.put(self.output([314159], 271828))
        next(call)
        waiting.put(None)
        assert next(call, None) is None
        assert dict(call.initial_metadata())[INITIAL] == given[0][1]
        assert dict(call.trailing_metadata())[TRAILING] == given[1][1]

    def unimplemented_method(self):
        call = self.stub("UnimplementedCall")
        self.fails(grpc.StatusCode.UNIMPLEMENTED, lambda: call(self.service.message("Empty")(), timeout=30))

    def unimplemented_service(self):
        empty = self.service.message("Empty")
        call = self.channel.unary_unary(
            "/grpc.testing.UnimplementedService/UnimplementedCall", empty.SerializeToString, empty.FromString
        )
        self.fails(grpc.StatusCode.UNIMPLEMENTED, lambda: call(empty(), timeout=30))


if __name__ == "__main__":
    what, file, *rest = sys.argv[1:]
    if what == "serve":
        serve(Service(file), int(rest[0]))
    else:
        address, authority, trust, case = rest
        getattr(Client(Service(file), address, authority, trust), case)()
