//! HTTP/1.1 (RFC 9112), both directions, without I/O: bytes in, heads and body framing out.
