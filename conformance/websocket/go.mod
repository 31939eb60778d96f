// A WebSocket server that sends back what it gets, as a reference. Not a part of Narthex.
module narthex.dev/conformance/websocket

go 1.27

require github.com/lxzan/gws v1.8.9

require (
	github.com/dolthub/maphash v0.1.0 // indirect
	github.com/klauspost/compress v1.17.9 // indirect
)
