package ingress_test

import (
	"net/http"
	"testing"
	"time"

	networking "k8s.io/api/networking/v1"
)

// An Ingress of a class that no controller here has gets neither an address nor traffic.
func TestIngressClass(t *testing.T) {
	scenario(t, "ingress_class", "a class of nobody", func(t *testing.T) {
		w := newWorld(t)
		const name, host = "test-ingress-class", "ingress-class"
		foreign := ingressOf(name, rule{host, []path{{networking.PathTypePrefix, "/", "ingress-class-prefix", ""}}})
		class := "some-invalid-class-name"
		foreign.Spec.IngressClassName = &class
		w.serve(foreign)
		// A later Ingress that is ours: once it has its address, the controller has seen the other one too.
		w.serveAt(ingressOf("ours", rule{"ours", []path{{networking.PathTypePrefix, "/", "ours", ""}}}))
		for end := time.Now().Add(*quietWait); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			address, err := w.statusOf(name)
			if err != nil {
				t.Fatal(err)
			}
			if address != "" {
				t.Fatalf("it has the address %s", address)
			}
		}
		w.send(http.MethodGet, "http://ours/").servedBy("ours")
		w.send(http.MethodGet, "http://"+host+"/").status(http.StatusNotFound)
	})
}
