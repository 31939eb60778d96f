package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// patience of a client. What a frozen replica holds is answered later.
const patience = 120 * time.Second

// target is something that is asked for.
type target struct {
	name, host, path string
	// tls is set for HTTPS, each time over a new connection.
	tls *tls.Config
	// backend is the beginning of the names of the Pods that may answer.
	backend string
}

// connection is one to a replica. It is our own because Go's client quietly sends requests again.
type connection struct {
	net.Conn
	reader *bufio.Reader
	used   time.Time
	reused bool
}

// trouble is why a request failed. The first word or two say the kind.
type trouble struct {
	kind, detail string
	// unheard: the connection had been used before and ended without a byte of an answer, as one does that was closed
	// for being idle while the request was on its way.
	unheard bool
}

func dial(address string, t *target) (*connection, *trouble) {
	port := "80"
	if t.tls != nil {
		port = "443"
	}
	dialer := net.Dialer{Timeout: patience}
	plain, err := dialer.Dial("tcp", net.JoinHostPort(address, port))
	if err != nil {
		return nil, troubleOf("no connection", err)
	}
	if t.tls == nil {
		return &connection{Conn: plain, reader: bufio.NewReader(plain)}, nil
	}
	secure := tls.Client(plain, t.tls)
	_ = secure.SetDeadline(time.Now().Add(patience))
	if err := secure.Handshake(); err != nil {
		plain.Close()
		return nil, troubleOf("TLS", err)
	}
	return &connection{Conn: secure, reader: bufio.NewReader(secure)}, nil
}

// answer is what matters of one.
type answer struct {
	header http.Header
	body   string
	again  bool
}

// ask sends a request and reads the answer to its end.
func (c *connection) ask(t *target) (*answer, *trouble) {
	_ = c.SetDeadline(time.Now().Add(patience))
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: stress\r\n\r\n", t.path, t.host)
	if _, err := io.WriteString(c, request); err != nil {
		return nil, c.lost(err)
	}
	if _, err := c.reader.Peek(1); err != nil {
		return nil, c.lost(err)
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return nil, troubleOf("answer cut off", err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, troubleOf("answer cut off", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, &trouble{kind: response.Status, detail: strings.TrimSpace(string(body[:min(len(body), 200)]))}
	}
	if !strings.Contains(string(body), `"pod": "`+t.backend+"-") {
		return nil, &trouble{kind: "wrong backend", detail: string(body)}
	}
	c.used = time.Now()
	return &answer{header: response.Header, body: string(body), again: !response.Close}, nil
}

func (c *connection) lost(err error) *trouble {
	found := troubleOf("no answer", err)
	found.unheard = c.reused && !errors.Is(err, os.ErrDeadlineExceeded)
	return found
}

func troubleOf(what string, err error) *trouble {
	why := err.Error()
	for _, known := range []struct {
		err  error
		text string
	}{
		{io.EOF, "closed"}, {io.ErrUnexpectedEOF, "closed"}, {syscall.ECONNRESET, "reset"}, {syscall.EPIPE, "closed"},
		{syscall.ECONNREFUSED, "refused"}, {syscall.EHOSTUNREACH, "no such host"}, {os.ErrDeadlineExceeded, "timeout"},
	} {
		if errors.Is(err, known.err) {
			why = known.text
		}
	}
	return &trouble{kind: what + ": " + why, detail: err.Error()}
}
