//go:build tools

// Package tools pins the DNS server that the suite of v1.6 names as an image. A module of its own: its libraries are
// others than the suite's.
package tools

import _ "github.com/coredns/coredns"
