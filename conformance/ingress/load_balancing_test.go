package ingress_test

import (
	"net/http"
	"testing"
)

// All Pods of a backend get their share.
func TestLoadBalancing(t *testing.T) {
	scenario(t, "load_balancing", "100 requests to 10 Pods", func(t *testing.T) {
		w := newWorld(t)
		w.serveAt(defaultOf("load-balancing", "echo-service"))
		w.scale("echo-service", 10)
		pods := map[string]bool{}
		for range 100 {
			got := w.send(http.MethodGet, "http://load-balancing")
			got.servedBy("echo-service")
			pods[got.backend.Pod] = true
		}
		same(t, "Pods that answered", len(pods), 10)
	})
}
