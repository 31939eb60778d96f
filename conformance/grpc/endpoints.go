package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// Endpoints come and go, and no call is lost.
func endpointChecks(stage *stage) []check {
	return []check{
		{"endpoints", "each of 3 restarts in turn, 3 rounds", func() (string, error) { return restarts(stage) }},
		{"endpoints", "each of 3 is replaced by one on another port, 3 rounds", func() (string, error) { return rolling(stage) }},
		{"endpoints", "one is killed: its calls fail with UNAVAILABLE, and none hangs", func() (string, error) { return killed(stage) }},
	}
}

// Calls without a pause, and streams that are always open.
type traffic struct {
	stop    chan struct{}
	running sync.WaitGroup
	calls   atomic.Int64
	mutex   sync.Mutex
	failed  []error
}

func startTraffic(to targetOf, callers, talkers int) (*traffic, error) {
	traffic := &traffic{stop: make(chan struct{})}
	loop := func(client testgrpc.TestServiceClient, once func(testgrpc.TestServiceClient) error) {
		defer traffic.running.Done()
		for {
			select {
			case <-traffic.stop:
				return
			default:
			}
			traffic.calls.Add(1)
			if err := once(client); err != nil {
				traffic.mutex.Lock()
				traffic.failed = append(traffic.failed, err)
				traffic.mutex.Unlock()
			}
		}
	}
	for at := range callers + talkers {
		connection, err := to.dial()
		if err != nil {
			return nil, err
		}
		once := callOnce
		if at >= callers {
			once = talk
		}
		traffic.running.Add(1)
		go func() {
			defer connection.Close()
			loop(testgrpc.NewTestServiceClient(connection), once)
		}()
	}
	return traffic, nil
}

func (traffic *traffic) end() (int64, []error) {
	close(traffic.stop)
	traffic.running.Wait()
	return traffic.calls.Load(), traffic.failed
}

func callOnce(client testgrpc.TestServiceClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := client.UnaryCall(ctx, &testgrpc.SimpleRequest{
		ResponseSize: 100, Payload: interop.ClientNewPayload(testgrpc.PayloadType_COMPRESSABLE, 100),
	})
	return err
}

// A stream of both directions, for 20 messages over a fifth of a second.
func talk(client testgrpc.TestServiceClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for range 20 {
		if err := exchange(stream); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	_, err = stream.Recv()
	if err != nil && err.Error() == "EOF" {
		return nil
	}
	return fmt.Errorf("no end of the stream: %w", err)
}

func exchange(stream grpc.BidiStreamingClient[testgrpc.StreamingOutputCallRequest, testgrpc.StreamingOutputCallResponse]) error {
	request := &testgrpc.StreamingOutputCallRequest{ResponseParameters: []*testgrpc.ResponseParameters{{Size: 100}}}
	if err := stream.Send(request); err != nil {
		// The reason is told by the receiving side.
		_, err = stream.Recv()
		return fmt.Errorf("sending: %w", err)
	}
	_, err := stream.Recv()
	return err
}

func startBackends(stage *stage) ([]*backend, error) {
	var backends []*backend
	for range 3 {
		backend, err := startBackend(0)
		if err != nil {
			return nil, err
		}
		backends = append(backends, backend)
	}
	return backends, publish(stage, backends)
}

func publish(stage *stage, backends []*backend) error {
	var ports []int
	for _, backend := range backends {
		ports = append(ports, backend.port)
	}
	stage.endpoints("rolling", ports)
	// The change is live within the hold-off; Kubernetes would give an endpoint that leaves more time than this.
	time.Sleep(500 * time.Millisecond)
	return nil
}

func verdict(traffic *traffic) (string, error) {
	calls, failed := traffic.end()
	if len(failed) > 0 {
		return "", fmt.Errorf("%d of %d calls failed; the first: %w", len(failed), calls, failed[0])
	}
	return fmt.Sprintf("%d calls, 0 failed", calls), nil
}

func restarts(stage *stage) (string, error) {
	backends, err := startBackends(stage)
	if err != nil {
		return "", err
	}
	traffic, err := startTraffic(stage.plain.with("rolling.test"), 4, 4)
	if err != nil {
		return "", err
	}
	for range 3 {
		for at, old := range backends {
			time.Sleep(200 * time.Millisecond)
			old.server.GracefulStop()
			// Nobody listens there meanwhile.
			time.Sleep(100 * time.Millisecond)
			if backends[at], err = startBackend(old.port); err != nil {
				return "", err
			}
		}
	}
	return verdict(traffic)
}

func rolling(stage *stage) (string, error) {
	backends, err := startBackends(stage)
	if err != nil {
		return "", err
	}
	traffic, err := startTraffic(stage.plain.with("rolling.test"), 4, 4)
	if err != nil {
		return "", err
	}
	for range 3 {
		for at, old := range backends {
			if backends[at], err = startBackend(0); err != nil {
				return "", err
			}
			if err := publish(stage, backends); err != nil {
				return "", err
			}
			old.server.GracefulStop()
		}
	}
	return verdict(traffic)
}

func killed(stage *stage) (string, error) {
	backends, err := startBackends(stage)
	if err != nil {
		return "", err
	}
	traffic, err := startTraffic(stage.plain.with("rolling.test"), 4, 8)
	if err != nil {
		return "", err
	}
	time.Sleep(300 * time.Millisecond)
	backends[0].server.Stop()
	time.Sleep(time.Second)
	calls, failed := traffic.end()
	for _, err := range failed {
		if code := status.Code(err); code != codes.Unavailable {
			return "", fmt.Errorf("%v instead of UNAVAILABLE: %w", code, err)
		}
	}
	if len(failed) > 12 {
		return "", fmt.Errorf("%d of %d calls failed, which is more than were under way", len(failed), calls)
	}
	return fmt.Sprintf("%d calls, %d failed", calls, len(failed)), nil
}

// Opens so many streams of both directions, over as many connections as it takes, and has a message go both ways on each
// while all of them are open.
func manyStreams(stage *stage, count int) (string, error) {
	before := memory(stage)
	const each = 125
	type open = grpc.BidiStreamingClient[testgrpc.StreamingOutputCallRequest, testgrpc.StreamingOutputCallResponse]
	streams := make([]open, count)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	began := time.Now()
	for first := 0; first < count; first += each {
		connection, err := stage.plain.with("go.test").dial()
		if err != nil {
			return "", err
		}
		defer connection.Close()
		client := testgrpc.NewTestServiceClient(connection)
		for at := first; at < min(first+each, count); at++ {
			if streams[at], err = client.FullDuplexCall(ctx); err != nil {
				return "", fmt.Errorf("stream %d: %w", at, err)
			}
			if err := exchange(streams[at]); err != nil {
				return "", fmt.Errorf("stream %d: %w", at, err)
			}
		}
	}
	opened, held := time.Since(began), memory(stage)
	began = time.Now()
	for at, stream := range streams {
		if err := exchange(stream); err != nil {
			return "", fmt.Errorf("stream %d, when all were open: %w", at, err)
		}
	}
	round := time.Since(began)
	for at, stream := range streams {
		if err := stream.CloseSend(); err != nil {
			return "", err
		}
		if _, err := stream.Recv(); err == nil || err.Error() != "EOF" {
			return "", fmt.Errorf("stream %d, at its end: %w", at, err)
		}
	}
	return fmt.Sprintf("%d connections of clients; opened in %.1f s, a message both ways on each in %.1f s; memory of Narthex %d MB before, %d MB with all open (%.1f kB a stream)",
		(count+each-1)/each, opened.Seconds(), round.Seconds(), before>>10, held>>10,
		float64(held-before)/float64(count)), nil
}

// Resident memory of Narthex in KiB.
func memory(stage *stage) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", stage.gateway.Process.Pid))
	if err != nil {
		return 0
	}
	var size int
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			_, _ = fmt.Sscan(rest, &size)
		}
	}
	return size
}
