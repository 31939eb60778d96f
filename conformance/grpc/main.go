// Real clients and servers of gRPC around `narthex run` on loopback: the public interop cases of grpc-go, the same cases
// of a Python client and against a Python server, gRPC-Web of the client of Connect, and what an operator wants to know: errors, deadlines, limits, endpoints
// that come and go, ten thousand streams at once.
//
// Prints a line for each check, `ok` or `FAIL`, its group, its name and what was measured, with tabs between. The exit
// code says whether all passed.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// What the run was told.
var (
	narthex = flag.String("narthex", "narthex", "the program that is tested")
	python  = flag.String("python", "", "Python with grpcio and protobuf; empty for none")
	peer    = flag.String("peer", "peer.py", "the Python peer")
	only    = flag.String("only", "", "groups that begin so")
	streams = flag.Int("streams", 10000, "streams at once")
	oneCase = flag.String("case", "", "runs one interop case, for this program itself")
	target  = flag.String("target", "", "address, authority and certificate of the case")
)

// A check that failed says why.
type check struct {
	group, name string
	run         func() (string, error)
}

func main() {
	flag.Parse()
	if *oneCase != "" {
		runCase(*oneCase, parseTarget(*target))
		return
	}
	stage, err := newStage()
	if err != nil {
		fmt.Fprintln(os.Stderr, "grpc:", err)
		os.Exit(2)
	}
	failed := 0
	for _, check := range checks(stage) {
		if !strings.HasPrefix(check.group, *only) {
			continue
		}
		began := time.Now()
		measured, err := within(2*time.Minute, check.run)
		if err != nil {
			failed++
			fmt.Printf("FAIL\t%s\t%s\t%v\n", check.group, check.name, err)
			continue
		}
		if measured == "" {
			measured = time.Since(began).Round(time.Millisecond).String()
		}
		fmt.Printf("ok\t%s\t%s\t%s\n", check.group, check.name, measured)
	}
	stage.close()
	if failed > 0 {
		os.Exit(1)
	}
}

// All of them, in order.
func checks(stage *stage) []check {
	var all []check
	for _, by := range []struct{ name, authority string }{
		{"Go to Go", "go.test"}, {"Go to Python", "python.test"},
	} {
		if by.authority == "python.test" && *python == "" {
			continue
		}
		for _, where := range []targetOf{stage.plain, stage.tls} {
			for _, name := range caseNames {
				to := where.with(by.authority)
				all = append(all, check{by.name + ", " + where.kind(), name, func() (string, error) {
					return "", spawnCase(name, to)
				}})
			}
		}
	}
	all = append(all, pythonChecks(stage)...)
	all = append(all, webChecks(stage)...)
	all = append(all, errorChecks(stage)...)
	all = append(all, endpointChecks(stage)...)
	return append(all, check{"load", fmt.Sprintf("%d streams at once", *streams), func() (string, error) {
		return manyStreams(stage, *streams)
	}})
}

// A check that hangs has failed.
func within(limit time.Duration, run func() (string, error)) (string, error) {
	type outcome struct {
		measured string
		err      error
	}
	done := make(chan outcome, 1)
	go func() {
		measured, err := run()
		done <- outcome{measured, err}
	}()
	select {
	case outcome := <-done:
		return outcome.measured, outcome.err
	case <-time.After(limit):
		return "", fmt.Errorf("not over after %v", limit)
	}
}

// A failed interop case ends its process, so each has one of its own.
func spawnCase(name string, to targetOf) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	output, err := exec.Command(program, "--case", name, "--target", to.String()).CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	return nil
}
