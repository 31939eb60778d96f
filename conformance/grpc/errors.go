package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Answers of our own have a code that clients understand.
func errorChecks(stage *stage) []check {
	large := func(size int) func(context.Context, testgrpc.TestServiceClient) error {
		return func(ctx context.Context, client testgrpc.TestServiceClient) error {
			payload := interop.ClientNewPayload(testgrpc.PayloadType_COMPRESSABLE, size)
			_, err := client.UnaryCall(ctx, &testgrpc.SimpleRequest{Payload: payload})
			return err
		}
	}
	empty := func(ctx context.Context, client testgrpc.TestServiceClient) error {
		_, err := client.EmptyCall(ctx, &testgrpc.Empty{})
		return err
	}
	fields := func(count, size int) func(context.Context, testgrpc.TestServiceClient) error {
		return func(ctx context.Context, client testgrpc.TestServiceClient) error {
			for at := range count {
				ctx = metadata.AppendToOutgoingContext(ctx, fmt.Sprintf("x-field-%d", at), strings.Repeat("x", size))
			}
			return empty(ctx, client)
		}
	}
	var all []check
	for _, row := range []struct {
		name, authority string
		code            codes.Code
		says            string
		call            func(context.Context, testgrpc.TestServiceClient) error
	}{
		{"no route", "nobody.test", codes.Unimplemented, "no-route", empty},
		{"no endpoints", "empty.test", codes.Unavailable, "no-endpoints", empty},
		{"endpoint refuses the connection", "refused.test", codes.Unavailable, "connect", empty},
		{"a message over --max-body", "go.test", codes.ResourceExhausted, "body-too-large", large(3 << 20)},
		{"a message under --max-body", "go.test", codes.OK, "", large(1 << 20)},
		{"80 fields of metadata", "go.test", codes.OK, "", fields(80, 10)},
		{"24 kB of metadata", "go.test", codes.OK, "", fields(3, 8000)},
		{"200 fields of metadata", "go.test", codes.ResourceExhausted, "head-too-large", fields(200, 10)},
	} {
		for _, where := range []targetOf{stage.plain, stage.tls} {
			all = append(all, check{"errors, " + where.kind(), row.name + ": " + row.code.String(), func() (string, error) {
				connection, err := where.with(row.authority).dial()
				if err != nil {
					return "", err
				}
				defer connection.Close()
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				return "", expect(row.call(ctx, testgrpc.NewTestServiceClient(connection)), row.code, row.says)
			}})
		}
	}
	return append(all,
		check{"errors, plain", "grpc-timeout without a client that keeps it", func() (string, error) { return "", deadline(stage) }},
		check{"errors, plain", "a cancelled call is cancelled at the endpoint", func() (string, error) { return "", cancelled(stage) }},
		check{"errors, plain", "a health check by its standard service", func() (string, error) { return "", healthy(stage) }},
	)
}

func expect(err error, code codes.Code, says string) error {
	got := status.Convert(err)
	if got.Code() != code || !strings.Contains(got.Message(), says) {
		return fmt.Errorf("%v: %q instead of %v with %q", got.Code(), got.Message(), code, says)
	}
	return nil
}

// How many calls of the silent backend were given up by who made them.
var givenUp atomic.Int64

// A backend that takes every call and never says a word.
func startSilent() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	server := http2.Server{}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(connection, &http2.ServeConnOpts{Handler: http.HandlerFunc(
				func(_ http.ResponseWriter, request *http.Request) {
					<-request.Context().Done()
					givenUp.Add(1)
				})})
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// The client is one of HTTP/2 and not of gRPC, so that nobody but the gateway looks at the time.
func deadline(stage *stage) error {
	transport := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, _ string, _ *tls.Config) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, stage.plain.address)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest("POST", "http://silent.test/a.B/C", bytes.NewReader([]byte{0, 0, 0, 0, 0}))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	request.Header.Set("grpc-timeout", "300m")
	before, began := givenUp.Load(), time.Now()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	took := time.Since(began)
	if code := response.Header.Get("grpc-status"); response.StatusCode != 200 || code != "4" {
		return fmt.Errorf("status %d, grpc-status %q", response.StatusCode, code)
	}
	if took < 250*time.Millisecond || took > 3*time.Second {
		return fmt.Errorf("answered after %v instead of 300 ms", took)
	}
	return gaveUp(before)
}

func gaveUp(before int64) error {
	for range 500 {
		if givenUp.Load() > before {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the endpoint still has the call")
}

func cancelled(stage *stage) error {
	connection, err := stage.plain.with("silent.test").dial()
	if err != nil {
		return err
	}
	defer connection.Close()
	before := givenUp.Load()
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(200*time.Millisecond, cancel)
	_, err = testgrpc.NewTestServiceClient(connection).EmptyCall(ctx, &testgrpc.Empty{})
	if err := expect(err, codes.Canceled, ""); err != nil {
		return err
	}
	return gaveUp(before)
}

func healthy(stage *stage) error {
	connection, err := stage.plain.with("go.test").dial()
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reply, err := healthgrpc.NewHealthClient(connection).Check(ctx, &healthgrpc.HealthCheckRequest{}, grpc.WaitForReady(true))
	if err != nil || reply.Status != healthgrpc.HealthCheckResponse_SERVING {
		return fmt.Errorf("%v, %w", reply, err)
	}
	return nil
}
