package runner

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// serveLogs answers the API server's requests for logs of Pods, as a kubelet does, and returns its port.
func (r *Runner) serveLogs() (int, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(30 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return 0, err
	}
	listener, err := net.Listen("tcp", r.Host+":0")
	if err != nil {
		return 0, err
	}
	secure := tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", r.answerLogs)
	go func() { log.Printf("logs: %v", http.Serve(secure, mux)) }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func (r *Runner) answerLogs(answer http.ResponseWriter, request *http.Request) {
	file, err := os.Open(filepath.Join(r.Dir, request.PathValue("namespace")+"_"+request.PathValue("pod"), "log"))
	if err != nil {
		http.Error(answer, "no log", http.StatusNotFound)
		return
	}
	defer file.Close()
	query := request.URL.Query()
	since, err := sinceOf(query)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	var lines []string
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		moment, text, _ := strings.Cut(scanner.Text(), " ")
		written, err := time.Parse(time.RFC3339Nano, moment)
		if err != nil || written.Before(since) {
			continue
		}
		if query.Get("timestamps") == "true" {
			text = moment + " " + text
		}
		lines = append(lines, text)
	}
	if tail, err := strconv.Atoi(query.Get("tailLines")); err == nil && tail < len(lines) {
		lines = lines[len(lines)-tail:]
	}
	for _, line := range lines {
		fmt.Fprintln(answer, line)
	}
}

// sinceOf is the moment from which lines are wanted.
func sinceOf(query url.Values) (time.Time, error) {
	if moment := query.Get("sinceTime"); moment != "" {
		return time.Parse(time.RFC3339, moment)
	}
	if seconds := query.Get("sinceSeconds"); seconds != "" {
		count, err := strconv.Atoi(seconds)
		return time.Now().Add(-time.Duration(count) * time.Second), err
	}
	return time.Time{}, nil
}
