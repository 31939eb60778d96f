package ingress_test

import (
	"net/http"
	"testing"

	networking "k8s.io/api/networking/v1"
)

// Exact and Prefix paths, both for the same path, and paths that end in a slash.
func TestPathRules(t *testing.T) {
	const exact, prefix = networking.PathTypeExact, networking.PathTypePrefix
	rules := []rule{
		{"exact-path-rules", []path{
			{exact, "/foo", "foo-exact", ""},
		}},
		{"prefix-path-rules", []path{
			{prefix, "/foo", "foo-prefix", ""},
			{prefix, "/aaa/bbb", "aaa-slash-bbb-prefix", ""},
			{prefix, "/aaa", "aaa-prefix", ""},
		}},
		{"mixed-path-rules", []path{
			{prefix, "/foo", "foo-prefix", ""},
			{exact, "/foo", "foo-exact", ""},
		}},
		{"trailing-slash-path-rules", []path{
			{prefix, "/aaa/bbb/", "aaa-slash-bbb-slash-prefix", ""},
			{exact, "/foo/", "foo-slash-exact", ""},
		}},
	}
	for _, sent := range []struct{ name, url, service string }{
		{"exact, the path itself", "http://exact-path-rules/foo", "foo-exact"},
		{"exact, a slash more", "http://exact-path-rules/foo/", ""},
		{"exact, other case", "http://exact-path-rules/FOO", ""},
		{"exact, another path", "http://exact-path-rules/bar", ""},
		{"prefix, the path itself", "http://prefix-path-rules/foo", "foo-prefix"},
		{"prefix, a slash more", "http://prefix-path-rules/foo/", "foo-prefix"},
		{"prefix, other case", "http://prefix-path-rules/FOO", ""},
		{"prefix, the longer of two", "http://prefix-path-rules/aaa/bbb", "aaa-slash-bbb-prefix"},
		{"prefix, below the longer of two", "http://prefix-path-rules/aaa/bbb/ccc", "aaa-slash-bbb-prefix"},
		{"prefix, below the shorter of two", "http://prefix-path-rules/aaa/ccc", "aaa-prefix"},
		{"prefix, whole segments only", "http://prefix-path-rules/aaaccc", ""},
		// The source has this one twice.
		{"prefix, a slash more, again", "http://prefix-path-rules/foo/", "foo-prefix"},
		{"exact before prefix", "http://mixed-path-rules/foo", "foo-exact"},
		{"prefix with a slash at its end, a request without", "http://trailing-slash-path-rules/aaa/bbb", "aaa-slash-bbb-slash-prefix"},
		{"prefix with a slash at its end, a request with one", "http://trailing-slash-path-rules/aaa/bbb/", "aaa-slash-bbb-slash-prefix"},
		{"exact with a slash at its end, a request without", "http://trailing-slash-path-rules/foo", ""},
	} {
		scenario(t, "path_rules", sent.name, func(t *testing.T) {
			w := newWorld(t)
			w.serveAt(ingressOf("path-rules", rules...))
			got := w.send(http.MethodGet, sent.url)
			if sent.service == "" {
				got.status(http.StatusNotFound)
				return
			}
			got.servedBy(sent.service)
		})
	}
}
