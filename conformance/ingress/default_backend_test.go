package ingress_test

import (
	"fmt"
	"net/http"
	"testing"
)

// An Ingress with nothing but a default backend: all requests go there, and arrive as they were sent.
func TestDefaultBackend(t *testing.T) {
	for _, sent := range []struct{ method, host, path string }{
		{http.MethodGet, "my-host", ""},
		{http.MethodGet, "my-host", "sub-path"},
		{http.MethodPost, "some-host", ""},
		{http.MethodPut, "", "resource"},
		{http.MethodDelete, "some-host", "resource"},
		{http.MethodPatch, "my-host", "resource"},
	} {
		name := fmt.Sprintf("%s http://%s/%s", sent.method, sent.host, sent.path)
		scenario(t, "default_backend", name, func(t *testing.T) {
			w := newWorld(t)
			w.serveAt(defaultOf("default-backend", "echo-service"))
			got := w.send(sent.method, fmt.Sprintf("http://%s/%s", sent.host, sent.path))
			got.servedBy("echo-service")
			same(t, "version of the response", got.response.Proto, "HTTP/1.1")
			for _, field := range []string{"Content-Length", "Content-Type", "Date", "Server"} {
				if got.response.Header[field] == nil {
					t.Errorf("the response has no %s field", field)
				}
			}
			same(t, "method at the backend", got.backend.Method, sent.method)
			same(t, "path at the backend", got.backend.Path, "/"+sent.path)
			same(t, "version at the backend", got.backend.Proto, "HTTP/1.1")
			same(t, "User-Agent at the backend", fmt.Sprint(got.backend.Headers["User-Agent"]), "[Go-http-client/1.1]")
		})
	}
}
