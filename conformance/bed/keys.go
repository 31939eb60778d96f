package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// keys are the authority of the bed, the API server's certificate, the key of ServiceAccount tokens, and the
// administrator's token. They live as long as the bed's folder, so that a restart of the API server changes nothing.
type keys struct {
	dir, token string
}

func makeKeys(dir string) (*keys, error) {
	k := &keys{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	authorityKey, authority, err := k.certificate("ca", nil, nil)
	if err != nil {
		return nil, err
	}
	if _, _, err := k.certificate("apiserver", authority, authorityKey); err != nil {
		return nil, err
	}
	accounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if err := k.writeKey("sa", accounts); err != nil {
		return nil, err
	}
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	k.token = hex.EncodeToString(random)
	line := fmt.Sprintf("%s,admin,admin,\"system:masters\"\n", k.token)
	return k, os.WriteFile(filepath.Join(dir, "tokens.csv"), []byte(line), 0o600)
}

// certificate makes and writes a key and its certificate: signed by issuer, or an authority if there is none.
func (k *keys) certificate(name string, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "narthex bed " + name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(30 * 24 * time.Hour),
		BasicConstraintsValid: true,
	}
	if issuer == nil {
		template.IsCA = true
		template.KeyUsage = x509.KeyUsageCertSign
		issuer, issuerKey = template, key
	} else {
		template.KeyUsage = x509.KeyUsageDigitalSignature
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.IPAddresses = []net.IP{net.ParseIP(hostAddress), net.ParseIP("198.19.0.1"), net.ParseIP("127.0.0.1")}
		template.DNSNames = []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		return nil, nil, err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(k.dir, name+".crt"), block, 0o644); err != nil {
		return nil, nil, err
	}
	if err := k.writeKey(name, key); err != nil {
		return nil, nil, err
	}
	made, err := x509.ParseCertificate(der)
	return key, made, err
}

func (k *keys) writeKey(name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	return os.WriteFile(filepath.Join(k.dir, name+".key"), block, 0o600)
}

// writeKubeconfigs writes the administrator's kubeconfig. JSON is YAML.
func (k *keys) writeKubeconfigs(dir string) error {
	return writeJSON(filepath.Join(dir, "admin.kubeconfig"), map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "bed",
		"clusters": []any{map[string]any{"name": "bed", "cluster": map[string]any{
			"server":                fmt.Sprintf("https://%s:%d", hostAddress, apiPort),
			"certificate-authority": filepath.Join(k.dir, "ca.crt"),
		}}},
		"users":    []any{map[string]any{"name": "admin", "user": map[string]any{"token": k.token}}},
		"contexts": []any{map[string]any{"name": "bed", "context": map[string]any{"cluster": "bed", "user": "admin"}}},
	})
}
