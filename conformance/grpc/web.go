package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
)

// gRPC-Web as the client of Connect speaks it, to the server of grpc-go, which does not: the gateway translates.
func webChecks(stage *stage) []check {
	var all []check
	for _, where := range []targetOf{stage.plain, stage.tls} {
		client, err := where.web()
		for _, row := range []struct {
			name string
			run  func(webClient) error
		}{
			{"an empty call", webEmpty},
			{"271828 bytes there, 314159 back", webLarge},
			{"a stream of answers", webStream},
			{"a code and its message", webStatus},
			{"metadata before and behind", webMetadata},
			{"a deadline", webDeadline},
			{"no route", webNoRoute},
		} {
			all = append(all, check{"gRPC-Web of Connect, " + where.kind(), row.name, func() (string, error) {
				if err != nil {
					return "", err
				}
				return "", row.run(client)
			}})
		}
	}
	return all
}

// A client of HTTP that goes to the gateway whatever the URL's host is.
type webClient struct {
	http   *http.Client
	scheme string
}

func (to targetOf) web() (webClient, error) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, to.address)
		},
	}
	if to.trust == "" {
		return webClient{&http.Client{Transport: transport}, "http"}, nil
	}
	pem, err := os.ReadFile(to.trust)
	if err != nil {
		return webClient{}, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	transport.ForceAttemptHTTP2 = true
	return webClient{&http.Client{Transport: transport}, "https"}, nil
}

func method[Req, Res any](client webClient, host, name string) *connect.Client[Req, Res] {
	url := fmt.Sprintf("%s://%s/grpc.testing.TestService/%s", client.scheme, host, name)
	return connect.NewClient[Req, Res](client.http, url, connect.WithGRPCWeb())
}

func tenSeconds() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 10*time.Second)
}

func webEmpty(client webClient) error {
	ctx, cancel := tenSeconds()
	defer cancel()
	call := method[testgrpc.Empty, testgrpc.Empty](client, "go.test", "EmptyCall")
	answer, err := call.CallUnary(ctx, connect.NewRequest(&testgrpc.Empty{}))
	if err == nil && !proto.Equal(answer.Msg, &testgrpc.Empty{}) {
		return fmt.Errorf("it is not empty: %v", answer.Msg)
	}
	return err
}

func unary(client webClient, host string) *connect.Client[testgrpc.SimpleRequest, testgrpc.SimpleResponse] {
	return method[testgrpc.SimpleRequest, testgrpc.SimpleResponse](client, host, "UnaryCall")
}

func webLarge(client webClient) error {
	ctx, cancel := tenSeconds()
	defer cancel()
	answer, err := unary(client, "go.test").CallUnary(ctx, connect.NewRequest(&testgrpc.SimpleRequest{
		ResponseType: testgrpc.PayloadType_COMPRESSABLE, ResponseSize: 314159,
		Payload: interop.ClientNewPayload(testgrpc.PayloadType_COMPRESSABLE, 271828),
	}))
	if err == nil && len(answer.Msg.GetPayload().GetBody()) != 314159 {
		return fmt.Errorf("%d bytes came back", len(answer.Msg.GetPayload().GetBody()))
	}
	return err
}

func webStream(client webClient) error {
	ctx, cancel := tenSeconds()
	defer cancel()
	sizes := []int32{31415, 9, 2653, 58979}
	request := &testgrpc.StreamingOutputCallRequest{ResponseType: testgrpc.PayloadType_COMPRESSABLE}
	for _, size := range sizes {
		request.ResponseParameters = append(request.ResponseParameters, &testgrpc.ResponseParameters{Size: size})
	}
	call := method[testgrpc.StreamingOutputCallRequest, testgrpc.StreamingOutputCallResponse](client, "go.test", "StreamingOutputCall")
	stream, err := call.CallServerStream(ctx, connect.NewRequest(request))
	if err != nil {
		return err
	}
	defer stream.Close()
	for at, size := range sizes {
		if !stream.Receive() {
			return fmt.Errorf("message %d did not come: %w", at, stream.Err())
		}
		if got := len(stream.Msg().GetPayload().GetBody()); got != int(size) {
			return fmt.Errorf("message %d has %d bytes", at, got)
		}
	}
	if stream.Receive() {
		return errors.New("more came than was asked for")
	}
	return stream.Err()
}

// expectCode: a call that ends with this code, and a message that holds these words.
func expectCode(err error, code connect.Code, says string) error {
	var wrong *connect.Error
	if !errors.As(err, &wrong) || wrong.Code() != code || !bytes.Contains([]byte(wrong.Message()), []byte(says)) {
		return fmt.Errorf("instead of %v with %q: %v", code, says, err)
	}
	return nil
}

func webStatus(client webClient) error {
	ctx, cancel := tenSeconds()
	defer cancel()
	says := "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
	_, err := unary(client, "go.test").CallUnary(ctx, connect.NewRequest(&testgrpc.SimpleRequest{
		ResponseStatus: &testgrpc.EchoStatus{Code: int32(connect.CodeDataLoss), Message: says},
	}))
	return expectCode(err, connect.CodeDataLoss, says)
}

func webMetadata(client webClient) error {
	ctx, cancel := tenSeconds()
	defer cancel()
	request := connect.NewRequest(&testgrpc.SimpleRequest{})
	request.Header().Set("x-grpc-test-echo-initial", "before")
	request.Header().Set("x-grpc-test-echo-trailing-bin", connect.EncodeBinaryHeader([]byte{0xab, 0xab, 0xab}))
	answer, err := unary(client, "go.test").CallUnary(ctx, request)
	if err != nil {
		return err
	}
	if got := answer.Header().Get("x-grpc-test-echo-initial"); got != "before" {
		return fmt.Errorf("before: %q", got)
	}
	behind, err := connect.DecodeBinaryHeader(answer.Trailer().Get("x-grpc-test-echo-trailing-bin"))
	if err != nil || !bytes.Equal(behind, []byte{0xab, 0xab, 0xab}) {
		return fmt.Errorf("behind: %x, %w", behind, err)
	}
	return nil
}

func webDeadline(client webClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err := unary(client, "silent.test").CallUnary(ctx, connect.NewRequest(&testgrpc.SimpleRequest{}))
	return expectCode(err, connect.CodeDeadlineExceeded, "")
}

func webNoRoute(client webClient) error {
	ctx, cancel := tenSeconds()
	defer cancel()
	_, err := unary(client, "nobody.test").CallUnary(ctx, connect.NewRequest(&testgrpc.SimpleRequest{}))
	return expectCode(err, connect.CodeUnimplemented, "")
}
