package ingress_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// path leads requests of a rule to a Service.
type path struct {
	kind    networking.PathType
	path    string
	service string
	// port is a name; without one the Service is meant by its number.
	port string
}

// rule is a host with its paths, in the order in which the Ingress has them.
type rule struct {
	host  string
	paths []path
}

func ingressOf(name string, rules ...rule) *networking.Ingress {
	ingress := &networking.Ingress{ObjectMeta: meta.ObjectMeta{Name: name}}
	for _, rule := range rules {
		var paths []networking.HTTPIngressPath
		for _, path := range rule.paths {
			paths = append(paths, networking.HTTPIngressPath{
				Path: path.path, PathType: &path.kind, Backend: backendOf(path.service, path.port),
			})
		}
		ingress.Spec.Rules = append(ingress.Spec.Rules, networking.IngressRule{
			Host:             rule.host,
			IngressRuleValue: networking.IngressRuleValue{HTTP: &networking.HTTPIngressRuleValue{Paths: paths}},
		})
	}
	return ingress
}

// defaultOf is an Ingress with no rules.
func defaultOf(name, service string) *networking.Ingress {
	ingress := ingressOf(name)
	backend := backendOf(service, "")
	ingress.Spec.DefaultBackend = &backend
	return ingress
}

func backendOf(service, port string) networking.IngressBackend {
	asked := networking.ServiceBackendPort{Name: port}
	if port == "" {
		asked.Number = servicePort
	}
	return networking.IngressBackend{Service: &networking.IngressServiceBackend{Name: service, Port: asked}}
}

// backends are all that an Ingress names.
func backends(ingress *networking.Ingress) []networking.IngressBackend {
	var all []networking.IngressBackend
	if ingress.Spec.DefaultBackend != nil {
		all = append(all, *ingress.Spec.DefaultBackend)
	}
	for _, rule := range ingress.Spec.Rules {
		for _, path := range rule.HTTP.Paths {
			all = append(all, path.Backend)
		}
	}
	return all
}

// makeCertificate makes a Secret with a certificate that a host signed for itself.
func (w *world) makeCertificate(name, host string) {
	w.t.Helper()
	certificate, key := selfSigned(w.t, host)
	secret := &core.Secret{
		ObjectMeta: meta.ObjectMeta{Name: name},
		Type:       core.SecretTypeTLS,
		Data:       map[string][]byte{core.TLSCertKey: certificate, core.TLSPrivateKeyKey: key},
	}
	if _, err := client.CoreV1().Secrets(w.namespace).Create(w.t.Context(), secret, meta.CreateOptions{}); err != nil {
		w.t.Fatalf("Secret %s: %v", name, err)
	}
}

func selfSigned(t *testing.T, host string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: host},
		DNSNames:     []string{host},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}
