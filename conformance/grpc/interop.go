package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

// Where a client goes.
type targetOf struct {
	address, authority string
	// A file with the certificate to trust; empty for no TLS.
	trust string
}

func (to targetOf) with(authority string) targetOf {
	to.authority = authority
	return to
}

func (to targetOf) kind() string {
	if to.trust == "" {
		return "plain"
	}
	return "TLS"
}

func (to targetOf) String() string { return to.address + "," + to.authority + "," + to.trust }

func parseTarget(text string) targetOf {
	words := append(strings.Split(text, ","), "", "", "")
	return targetOf{words[0], words[1], words[2]}
}

// A connection of its own.
func (to targetOf) dial(options ...grpc.DialOption) (*grpc.ClientConn, error) {
	secret := insecure.NewCredentials()
	if to.trust != "" {
		pem, err := os.ReadFile(to.trust)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		secret = credentials.NewTLS(&tls.Config{RootCAs: pool, ServerName: to.authority})
	}
	options = append(options, grpc.WithTransportCredentials(secret), grpc.WithAuthority(to.authority),
		// What is lost must be seen.
		grpc.WithDisableRetry())
	return grpc.NewClient("passthrough:///"+to.address, options...)
}

// The cases of grpc/doc/interop-test-descriptions.md that need no account anywhere.
var caseNames = []string{
	"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
	"timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "status_code_and_message",
	"special_status_message", "custom_metadata", "unimplemented_method", "unimplemented_service",
}

// Runs one; the process ends if it fails.
func runCase(name string, to targetOf) {
	connection, err := to.dial()
	if err != nil {
		fail(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := testgrpc.NewTestServiceClient(connection)
	cases := map[string]func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption){
		"empty_unary":                 interop.DoEmptyUnaryCall,
		"large_unary":                 interop.DoLargeUnaryCall,
		"client_streaming":            interop.DoClientStreaming,
		"server_streaming":            interop.DoServerStreaming,
		"ping_pong":                   interop.DoPingPong,
		"empty_stream":                interop.DoEmptyStream,
		"timeout_on_sleeping_server":  interop.DoTimeoutOnSleepingServer,
		"cancel_after_begin":          interop.DoCancelAfterBegin,
		"cancel_after_first_response": interop.DoCancelAfterFirstResponse,
		"status_code_and_message":     interop.DoStatusCodeAndMessage,
		"special_status_message":      interop.DoSpecialStatusMessage,
		"custom_metadata":             interop.DoCustomMetadata,
	}
	switch do, found := cases[name]; {
	case found:
		do(ctx, client)
	case name == "unimplemented_method":
		interop.DoUnimplementedMethod(ctx, connection)
	case name == "unimplemented_service":
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(connection))
	default:
		fail(fmt.Errorf("no such case: %s", name))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
