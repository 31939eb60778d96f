// A WebSocket server that sends back what it gets, by a library that passes the Autobahn cases. `/close/CODE` closes with
// that code at the first message.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/lxzan/gws"
)

type echo struct {
	gws.BuiltinEventHandler
	closes uint16
}

func (*echo) OnPing(socket *gws.Conn, payload []byte) { _ = socket.WritePong(payload) }

func (echo *echo) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	if echo.closes > 0 {
		_ = socket.WriteClose(echo.closes, []byte("as asked"))
		return
	}
	_ = socket.WriteMessage(message.Opcode, message.Bytes())
}

func main() {
	address := flag.String("listen", "127.0.0.1:9000", "where to listen")
	flag.Parse()
	options := gws.ServerOption{
		CheckUtf8Enabled:    true,
		ReadMaxPayloadSize:  64 << 20,
		WriteMaxPayloadSize: 64 << 20,
		PermessageDeflate: gws.PermessageDeflate{
			Enabled: true, ServerContextTakeover: true, ClientContextTakeover: true,
		},
		Recovery: gws.Recovery,
	}
	err := http.ListenAndServe(*address, http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		rest, _ := strings.CutPrefix(request.URL.Path, "/close/")
		code, _ := strconv.ParseUint(rest, 10, 16)
		options := options
		if request.Header.Get("Sec-WebSocket-Protocol") != "" {
			options.SubProtocols = []string{"chat"}
		}
		socket, err := gws.NewUpgrader(&echo{closes: uint16(code)}, &options).Upgrade(writer, request)
		if err == nil {
			socket.ReadLoop()
		}
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
