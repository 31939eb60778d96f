package ingress_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// received is what the echo backend says about the request that it got, and about itself.
type received struct {
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Host    string              `json:"host"`
	Proto   string              `json:"proto"`
	Headers map[string][]string `json:"headers"`
	Service string              `json:"service"`
	Pod     string              `json:"pod"`
}

// exchange is a response, and the request as its backend saw it (empty when no backend answered).
type exchange struct {
	t           *testing.T
	response    *http.Response
	certificate *x509.Certificate
	backend     received
}

// send asks the Ingress's address for a URL, whatever its host resolves to. There is no second try: an Ingress that
// has an address is served. Redirects are followed, as an Ingress with TLS may have them.
func (w *world) send(method, target string) *exchange {
	w.t.Helper()
	for range 5 {
		got := w.sendOnce(method, target)
		switch got.response.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
			http.StatusPermanentRedirect:
		default:
			return got
		}
		next, err := got.response.Location()
		if err != nil {
			w.t.Fatalf("%s %s: %v", method, target, err)
		}
		target = next.String()
	}
	w.t.Fatalf("%s: redirects without an end", target)
	return nil
}

func (w *world) sendOnce(method, target string) *exchange {
	w.t.Helper()
	asked, err := url.Parse(target)
	if err != nil {
		w.t.Fatal(err)
	}
	host := asked.Hostname()
	if host == "" {
		host = w.address
	}
	asked.Host = net.JoinHostPort(w.address, map[string]string{"http": "80", "https": "443"}[asked.Scheme])
	request, err := http.NewRequestWithContext(w.t.Context(), method, asked.String(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Host = host
	// Each request has a connection of its own, so that none keeps to the backend of an earlier one. The certificate is
	// signed by nobody that is known; what matters of it is checked by `certifiedFor`.
	transport := &http.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true, ServerName: host},
	}
	defer transport.CloseIdleConnections()
	caller := http.Client{
		Transport:     transport,
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := caller.Do(request)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatalf("%s %s: body: %v", method, target, err)
	}
	got := &exchange{t: w.t, response: response}
	if response.TLS != nil {
		got.certificate = response.TLS.PeerCertificates[0]
	}
	// The controller's own answers need not be JSON; then there was no backend.
	_ = json.Unmarshal(body, &got.backend)
	return got
}

// servedBy wants status 200, from a backend of this Service.
func (e *exchange) servedBy(service string) {
	e.t.Helper()
	e.status(http.StatusOK)
	same(e.t, "service", e.backend.Service, service)
}

func (e *exchange) status(want int) {
	e.t.Helper()
	same(e.t, "status", e.response.StatusCode, want)
}

// certifiedFor wants a certificate of this host, and for it.
func (e *exchange) certifiedFor(host string) {
	e.t.Helper()
	if e.certificate == nil {
		e.t.Error("the connection was not secure")
		return
	}
	if len(e.certificate.DNSNames) == 0 || e.certificate.DNSNames[0] != host {
		e.t.Errorf("the certificate is for %v, not for %s", e.certificate.DNSNames, host)
	}
	if err := e.certificate.VerifyHostname(host); err != nil {
		e.t.Error(err)
	}
}

func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}
