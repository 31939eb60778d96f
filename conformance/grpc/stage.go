package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

// Narthex, and everybody around it.
type stage struct {
	folder     string
	gateway    *exec.Cmd
	plain, tls targetOf
	closers    []func()
}

// A backend of grpc-go.
type backend struct {
	port   int
	server *grpc.Server
}

// One on a port of its own, or on this one.
func startBackend(port int) (*backend, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(server, interop.NewTestServer())
	healthgrpc.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	return &backend{listener.Addr().(*net.TCPAddr).Port, server}, nil
}

func newStage() (*stage, error) {
	folder, err := os.MkdirTemp("", "narthex-grpc-")
	if err != nil {
		return nil, err
	}
	stage := &stage{folder: folder}
	stage.closers = append(stage.closers, func() { _ = os.RemoveAll(folder) })
	first, err := startBackend(0)
	if err != nil {
		return nil, err
	}
	silent, err := startSilent()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(5)
	if err != nil {
		return nil, err
	}
	certificate, key, err := makeCertificate()
	if err != nil {
		return nil, err
	}
	trust := filepath.Join(folder, "trust.pem")
	if err := os.WriteFile(trust, certificate, 0o600); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(folder, "objects"), 0o700); err != nil {
		return nil, err
	}
	if *python != "" {
		if err := stage.startPython(ports[3]); err != nil {
			return nil, err
		}
	}
	encode := base64.StdEncoding.EncodeToString
	stage.write("front.yaml", fmt.Sprintf(front, ports[0], ports[1], encode(certificate), encode(key)))
	for name, at := range map[string][]int{
		"go": {first.port}, "python": {ports[3]}, "silent": {silent}, "refused": {ports[4]}, "empty": {}, "rolling": {first.port},
	} {
		stage.write(name+".yaml", fmt.Sprintf(service, name))
		stage.endpoints(name, at)
	}
	stage.plain = targetOf{address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	stage.tls = targetOf{address: fmt.Sprintf("127.0.0.1:%d", ports[1]), trust: trust}
	stage.gateway = exec.Command(*narthex, "run", "--bind", "127.0.0.1", "--max-body", "2m", "--log-level", "error",
		"--admin-address", fmt.Sprintf("127.0.0.1:%d", ports[2]), filepath.Join(folder, "objects"))
	stage.gateway.Stderr = os.Stderr
	if err := stage.gateway.Start(); err != nil {
		return nil, err
	}
	stage.closers = append(stage.closers, func() {
		_ = stage.gateway.Process.Kill()
		_ = stage.gateway.Wait()
	})
	return stage, listening(ports[0], ports[1])
}

func (stage *stage) close() {
	for at := len(stage.closers) - 1; at >= 0; at-- {
		stage.closers[at]()
	}
}

// Writes a file of objects in one step.
func (stage *stage) write(name, text string) {
	path := filepath.Join(stage.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		fail(err)
	}
	if err := os.Rename(path, filepath.Join(stage.folder, "objects", name)); err != nil {
		fail(err)
	}
}

// Gives a Service these endpoints.
func (stage *stage) endpoints(name string, ports []int) {
	var text strings.Builder
	for at, port := range ports {
		fmt.Fprintf(&text, slice, name, at, name, port)
	}
	stage.write(name+"-endpoints.yaml", text.String())
}

func listening(ports ...int) error {
	deadline := time.Now().Add(20 * time.Second)
	for _, port := range ports {
		for {
			connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				_ = connection.Close()
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("nobody listens on %d", port)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

// Ports that nobody had a moment ago.
func freePorts(count int) ([]int, error) {
	var ports []int
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// A certificate for everything under `test`, and its key.
func makeCertificate() (certificate, key []byte, err error) {
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"*.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &secret.PublicKey, secret)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		return nil, nil, err
	}
	block := func(kind string, bytes []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
	}
	return block("CERTIFICATE", der), bytes.TrimSpace(block("PRIVATE KEY", private)), nil
}

const front = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: narthex}
spec: {controllerName: narthex.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: default}
spec:
  gatewayClassName: narthex
  listeners:
  - {name: plain, protocol: HTTP, port: %d}
  - name: tls
    protocol: HTTPS
    port: %d
    tls: {certificateRefs: [{name: front}]}
---
apiVersion: v1
kind: Secret
metadata: {name: front, namespace: default}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
`

const service = `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: %[1]s, namespace: default}
spec:
  parentRefs: [{name: front}]
  hostnames: [%[1]s.test]
  rules:
  - backendRefs: [{name: %[1]s, port: 9000}]
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: default}
spec: {ports: [{name: grpc, port: 9000}]}
`

const slice = `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s-%d, namespace: default, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
ports: [{name: grpc, port: %d}]
endpoints: [{addresses: [127.0.0.1]}]
`
