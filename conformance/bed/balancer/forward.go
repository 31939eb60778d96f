package balancer

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	core "k8s.io/api/core/v1"
)

// forwarder listens at one address and port and passes on what comes.
type forwarder struct {
	endpoints atomic.Pointer[[]string]
	turn      atomic.Uint64
	listening io.Closer
}

func open(at socket) (*forwarder, error) {
	f := &forwarder{}
	f.endpoints.Store(&[]string{})
	switch at.protocol {
	case core.ProtocolTCP:
		listener, err := net.Listen("tcp", at.at.String())
		if err != nil {
			return nil, err
		}
		f.listening = listener
		go f.acceptTCP(listener)
	case core.ProtocolUDP:
		packets, err := net.ListenPacket("udp", at.at.String())
		if err != nil {
			return nil, err
		}
		f.listening = packets
		go f.receiveUDP(packets)
	default:
		return nil, fmt.Errorf("%s: protocol %s is not forwarded", at.at, at.protocol)
	}
	return f, nil
}

// lead says where to from now on. What is open stays where it is.
func (f *forwarder) lead(endpoints []string) { f.endpoints.Store(&endpoints) }

func (f *forwarder) close() { _ = f.listening.Close() }

// connect tries the endpoints, each one once.
func (f *forwarder) connect(network string) (net.Conn, error) {
	endpoints := *f.endpoints.Load()
	for range endpoints {
		endpoint := endpoints[f.turn.Add(1)%uint64(len(endpoints))]
		if conn, err := net.DialTimeout(network, endpoint, 2*time.Second); err == nil {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("none of %d endpoints answers", len(endpoints))
}

func (f *forwarder) acceptTCP(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go f.passTCP(client.(*net.TCPConn))
	}
}

// passTCP copies both ways; either side may end its own before the other.
func (f *forwarder) passTCP(client *net.TCPConn) {
	defer client.Close()
	conn, err := f.connect("tcp")
	if err != nil {
		// As without a balancer: refused, not ended in order.
		_ = client.SetLinger(0)
		return
	}
	defer conn.Close()
	server := conn.(*net.TCPConn)
	var both sync.WaitGroup
	for _, way := range [][2]*net.TCPConn{{server, client}, {client, server}} {
		both.Go(func() {
			to, from := way[0], way[1]
			if _, err := io.Copy(to, from); err != nil {
				_ = to.SetLinger(0)
				_ = to.Close()
				_ = from.Close()
				return
			}
			_ = to.CloseWrite()
		})
	}
	both.Wait()
}

// receiveUDP keeps a connection to an endpoint for each client that was heard of lately.
func (f *forwarder) receiveUDP(packets net.PacketConn) {
	var mu sync.Mutex
	clients := map[string]net.Conn{}
	buffer := make([]byte, 64<<10)
	for {
		count, client, err := packets.ReadFrom(buffer)
		if err != nil {
			return
		}
		mu.Lock()
		server := clients[client.String()]
		if server == nil {
			if server, err = f.connect("udp"); err != nil {
				mu.Unlock()
				continue
			}
			clients[client.String()] = server
			go func() {
				answerUDP(packets, client, server)
				mu.Lock()
				delete(clients, client.String())
				mu.Unlock()
				_ = server.Close()
			}()
		}
		mu.Unlock()
		_, _ = server.Write(buffer[:count])
	}
}

func answerUDP(packets net.PacketConn, client net.Addr, server net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		_ = server.SetReadDeadline(time.Now().Add(30 * time.Second))
		count, err := server.Read(buffer)
		if err != nil {
			return
		}
		if _, err := packets.WriteTo(buffer[:count], client); err != nil {
			return
		}
	}
}
