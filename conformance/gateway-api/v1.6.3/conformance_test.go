// Package conformance runs the public Gateway API suite against whatever the
// kubeconfig leads to. `cargo xtask conformance gateway-api` builds and starts it.
package conformance_test

import (
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
)

func TestConformance(t *testing.T) {
	conformance.RunConformance(t)
}
