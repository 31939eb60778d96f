package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"narthex.dev/conformance/bed/runner"
)

// serveControl answers `POST /VERB/NAME[/ARGUMENT]` on a Unix socket: start, kill, freeze, thaw or slow a part of the
// control plane, or kill, freeze or thaw a Pod, named NAMESPACE:POD. `GET /status` says what runs.
func serveControl(path string, parts *parts, pods *runner.Runner) error {
	_ = os.Remove(path)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	go func() {
		_ = http.Serve(listener, http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
			if request.URL.Path == "/status" {
				fmt.Fprint(answer, parts.status(), pods.Status())
				return
			}
			words := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
			words = append(words, "", "")
			var err error
			if namespace, pod, found := strings.Cut(words[1], ":"); found {
				err = pods.Act(words[0], namespace, pod)
			} else {
				err = parts.act(words[0], words[1], words[2])
			}
			if err != nil {
				http.Error(answer, err.Error(), http.StatusBadRequest)
			}
		}))
	}()
	return nil
}

// status is one line per part.
func (p *parts) status() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines strings.Builder
	for _, part := range p.order {
		state := "runs"
		select {
		case <-part.ended:
			state = "ended"
		default:
		}
		fmt.Fprintf(&lines, "%-24s %-6s pid %d\n", part.name, state, part.command.Process.Pid)
	}
	return lines.String()
}
