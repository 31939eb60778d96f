package ingress_test

import (
	"net/http"
	"testing"

	networking "k8s.io/api/networking/v1"
)

// One rule for a host with TLS, one for a wildcard, which stands for exactly one label.
func TestHostRules(t *testing.T) {
	const exact, secret = "foo.bar.com", "conformance-tls"
	ingress := func() *networking.Ingress {
		ingress := ingressOf("host-rules",
			rule{"*.foo.com", []path{{networking.PathTypePrefix, "/", "wildcard-foo-com", ""}}},
			rule{exact, []path{{networking.PathTypePrefix, "/", "foo-bar-com", "http"}}},
		)
		ingress.Spec.TLS = []networking.IngressTLS{{Hosts: []string{exact}, SecretName: secret}}
		return ingress
	}
	for _, sent := range []struct {
		name, url string
		// service and host are what the backend says; without a service the answer is 404.
		service, host string
	}{
		{"the host over TLS", "https://foo.bar.com", "foo-bar-com", exact},
		{"the host", "http://foo.bar.com", "foo-bar-com", exact},
		{"another host of the same domain", "http://subdomain.bar.com", "", ""},
		{"wildcard, one label", "http://bar.foo.com", "wildcard-foo-com", "bar.foo.com"},
		{"wildcard, two labels", "http://baz.bar.foo.com", "", ""},
		{"wildcard, no label", "http://foo.com", "", ""},
	} {
		scenario(t, "host_rules", sent.name, func(t *testing.T) {
			w := newWorld(t)
			w.makeCertificate(secret, exact)
			w.serveAt(ingress())
			got := w.send(http.MethodGet, sent.url)
			if sent.service == "" {
				got.status(http.StatusNotFound)
				return
			}
			if sent.url == "https://"+exact {
				got.certifiedFor(exact)
			}
			got.servedBy(sent.service)
			same(t, "host at the backend", got.backend.Host, sent.host)
		})
	}
}
