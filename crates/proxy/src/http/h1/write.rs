//! Pieces of messages as bytes.

use crate::http::buffer::Buffer;

/// `Name: value` and a line end.
#[inline]
pub fn field(out: &mut Buffer, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend(name);
    out.extend(b": ");
    out.extend(value);
    out.extend(b"\r\n");
}

/// `start`, which is a name, colon and space, then a value and a line end.
#[inline]
pub fn line(out: &mut Buffer, start: &[u8], value: &[u8]) {
    out.reserve(start.len() + value.len() + 2);
    out.extend(start);
    out.extend(value);
    out.extend(b"\r\n");
}

/// A decimal number.
#[inline]
pub fn decimal(out: &mut Buffer, number: u64) {
    out.extend(itoa::Buffer::new().format(number).as_bytes());
}

/// A status line. Without a reason of its own, the usual one (RFC 9110 §15).
pub fn status_line(out: &mut Buffer, status: u16, reason: &[u8]) {
    let mut digits = itoa::Buffer::new();
    out.extend(b"HTTP/1.1 ");
    out.extend(digits.format(status).as_bytes());
    out.push(b' ');
    out.extend(if reason.is_empty() {
        reason_of(status).as_bytes()
    } else {
        reason
    });
    out.extend(b"\r\n");
}

/// The line before a chunk.
#[inline]
pub fn chunk_size(out: &mut Buffer, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 18];
    let mut at = 16;
    text[16..].copy_from_slice(b"\r\n");
    let mut rest = size;
    loop {
        at -= 1;
        text[at] = DIGITS[rest & 15];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend(&text[at..]);
}

/// Reason phrases of RFC 9110 §15, of early hints and the like.
pub fn reason_of(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_hexadecimal() {
        for (size, text) in [(0, "0\r\n"), (10, "a\r\n"), (0x1234, "1234\r\n")] {
            let mut out = Buffer::default();
            chunk_size(&mut out, size);
            assert_eq!(out.filled(), text.as_bytes());
        }
    }
}
