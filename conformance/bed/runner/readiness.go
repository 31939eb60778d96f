package runner

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// watchReadiness reports each change, by the container's readiness probe, or else from the first open port on.
func (p *pod) watchReadiness(container core.Container, pid int, quiet <-chan struct{}) {
	probe := container.ReadinessProbe
	ready, failures := false, int32(0)
	for pause := 10 * time.Millisecond; ; {
		var now bool
		if probe == nil {
			now = p.object.Spec.HostNetwork || listens(pid)
		} else {
			now = p.probe(probe, container)
		}
		failures++
		if now {
			failures = 0
		}
		bearable := int32(1)
		if probe != nil && probe.FailureThreshold > 0 {
			bearable = probe.FailureThreshold
		}
		if now != ready && (now || failures >= bearable) {
			select {
			case <-quiet:
				return
			default:
			}
			ready = now
			p.report(ready, "", "")
		}
		if ready && probe == nil {
			return
		}
		if ready {
			pause = time.Duration(max(probe.PeriodSeconds, 1)) * time.Second
		}
		select {
		case <-quiet:
			return
		case <-time.After(pause):
		}
	}
}

// listens says whether a network namespace has a port open: a TCP listener (state 0A) or any UDP socket.
func listens(pid int) bool {
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue
		}
		for _, line := range bytes.Split(content, []byte("\n"))[1:] {
			fields := strings.Fields(string(line))
			if len(fields) > 3 && (fields[3] == "0A" || strings.HasPrefix(table, "udp")) {
				return true
			}
		}
	}
	return false
}

func (p *pod) probe(probe *core.Probe, container core.Container) bool {
	limit := time.Duration(max(probe.TimeoutSeconds, 1)) * time.Second
	switch {
	case probe.HTTPGet != nil:
		address := net.JoinHostPort(p.address, portOf(probe.HTTPGet.Port, container))
		client := http.Client{Timeout: limit, Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		}}
		answer, err := client.Get(strings.ToLower(string(probe.HTTPGet.Scheme)) + "://" + address + probe.HTTPGet.Path)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode >= 200 && answer.StatusCode < 400
	case probe.TCPSocket != nil:
		connection, err := net.DialTimeout("tcp", net.JoinHostPort(p.address, portOf(probe.TCPSocket.Port, container)), limit)
		if err != nil {
			return false
		}
		connection.Close()
		return true
	}
	return true
}

// portOf finds a port by its name.
func portOf(port intstr.IntOrString, container core.Container) string {
	for _, known := range container.Ports {
		if port.Type == intstr.String && known.Name == port.StrVal {
			return fmt.Sprint(known.ContainerPort)
		}
	}
	return port.String()
}
