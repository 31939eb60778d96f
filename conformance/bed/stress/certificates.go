package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	secretName = "certificate"
	// secureHost is of a route that is asked for over HTTPS; routes belong to both listeners.
	secureHost = "fixed-0.example"
)

// authority issues the certificates of the HTTPS listener, and knows which are valid.
var authority struct {
	mu     sync.Mutex
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	serial int64
	issued map[int64]time.Time
	oldest time.Duration
	newest map[int64]bool
}

// issue makes a certificate and puts it into the Secret.
func (c *cluster) issue() error {
	cert, key, err := newCertificate()
	if err != nil {
		return err
	}
	secret := &core.Secret{
		ObjectMeta: meta.ObjectMeta{Name: secretName},
		Type:       core.SecretTypeTLS,
		Data:       map[string][]byte{core.TLSCertKey: cert, core.TLSPrivateKeyKey: key},
	}
	secrets := c.core.CoreV1().Secrets(here)
	if _, err = secrets.Update(context.Background(), secret, meta.UpdateOptions{}); err == nil {
		return nil
	}
	_, err = secrets.Create(context.Background(), secret, meta.CreateOptions{})
	return err
}

func newCertificate() (cert, key []byte, err error) {
	a := &authority
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.key == nil {
		a.issued, a.newest = map[int64]time.Time{}, map[int64]bool{}
		if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, nil, err
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1 << 40), Subject: pkix.Name{CommonName: "stress"}, IsCA: true, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
		if err != nil {
			return nil, nil, err
		}
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			return nil, nil, err
		}
	}
	a.serial++
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), DNSNames: []string{secureHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, own.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return nil, nil, err
	}
	a.issued[a.serial] = time.Now()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), nil
}

// secure is the HTTPS client's side: what it is shown must be one of ours, and how old that is is remembered.
func secure() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(authority.cert)
	return &tls.Config{RootCAs: roots, ServerName: secureHost, VerifyConnection: func(state tls.ConnectionState) error {
		a := &authority
		a.mu.Lock()
		defer a.mu.Unlock()
		serial := state.PeerCertificates[0].SerialNumber.Int64()
		if _, known := a.issued[serial]; !known {
			return fmt.Errorf("certificate %d was never issued", serial)
		}
		a.newest[serial] = true
		// It is old since the next one was issued.
		if next, replaced := a.issued[serial+1]; replaced {
			a.oldest = max(a.oldest, time.Since(next))
		}
		return nil
	}}
}

// certificatesRotated replaces the certificate every second, while clients connect anew for each request.
func certificatesRotated(b *bench) ([]string, error) {
	target := &target{name: "HTTPS", host: secureHost, path: "/", tls: secure(), backend: backendName(0)}
	if err := within(10*time.Second, func() error {
		for _, replica := range b.load.replicas.all() {
			if _, problem := replica.ask(target, true); problem != nil {
				return fmt.Errorf("%s: %s", problem.kind, problem.detail)
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	mark := b.audit.mark()
	authority.mu.Lock()
	authority.oldest, authority.newest = 0, map[int64]bool{}
	authority.mu.Unlock()
	// About one in twelve requests.
	end := b.load.also(target)
	defer end()
	replaced := 0
	for began := time.Now(); time.Since(began) < b.length; replaced++ {
		if err := b.issue(); err != nil {
			return nil, err
		}
		time.Sleep(time.Second)
	}
	calls, err := b.audit.since(mark)
	authority.mu.Lock()
	defer authority.mu.Unlock()
	return []string{
		note("secret", "replaced %d times; clients saw %d different certificates, replaced %.1f s ago at most",
			replaced, len(authority.newest), authority.oldest.Seconds()),
		note("api calls", "%s", summary(calls)),
	}, err
}
