//go:build tools

// Package tools pins the echo backend that the suite's manifests name as an image.
package conformance

import _ "sigs.k8s.io/gateway-api-conformance-images/echo-basic"
