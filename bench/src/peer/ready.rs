//! Waits until a proxy gives a right answer: some accept connections before they have read their routes and certificates.

use super::HOST;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Waits for an answer with status 200, over HTTP/1.1 or, from somebody who may speak it alone, over HTTP/2.
pub fn wait(address: SocketAddr, http2: bool) -> Result<(), String> {
    let ask = if http2 { ask_http2 } else { ask_http1 };
    let start = Instant::now();
    loop {
        match ask(address) {
            Ok(()) => return Ok(()),
            Err(problem) if start.elapsed() > Duration::from_secs(20) => {
                return Err(format!("no right answer within 20 s: {problem}"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

fn ask_http1(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    let request = format!("GET /bench HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    if start == *b"HTTP/1.1 200" {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&start).into_owned()))
}

fn ask_http2(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    // An empty SETTINGS frame behind the preface.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")?;
    stream.write_all(&request())?;
    loop {
        let mut frame = [0; 9];
        stream.read_exact(&mut frame)?;
        let length = usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2]);
        let mut content = vec![0; length];
        stream.read_exact(&mut content)?;
        match frame[3] {
            HEADERS if is_ok(&content) => return Ok(()),
            HEADERS => return Err(io::Error::other(format!("a head {content:02x?}"))),
            kind @ (RST_STREAM | GOAWAY) => return Err(io::Error::other(format!("a frame of type {kind}"))),
            _ => {}
        }
    }
}

/// A HEADERS frame that ends its stream: GET, http, the host and the path.
fn request() -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    // RFC 7541 §6.2.2: fields that are not indexed, with names of the static table.
    for (name, value) in [(1, HOST), (4, "/bench")] {
        block.extend([name, value.len() as u8]);
        block.extend(value.as_bytes());
    }
    let mut frame = vec![
        0,
        0,
        block.len() as u8,
        HEADERS,
        END_STREAM | END_HEADERS,
        0,
        0,
        0,
        1,
    ];
    frame.extend(block);
    frame
}

/// Whether a header block begins with `:status` 200 of the static table, behind changes of the table's size (RFC 7541 §6.3).
fn is_ok(block: &[u8]) -> bool {
    let first = block.iter().find(|&&byte| byte >> 5 != 1);
    first == Some(&0x88)
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_stands_first_or_behind_a_change_of_the_tables_size() {
        for (block, ok) in [
            (&[0x88, 0x5f][..], true),
            (&[0x20, 0x88], true),
            (&[0x8d], false),
            (&[0x48, 0x82, 0x68, 0x01], false),
            (&[], false),
        ] {
            assert_eq!(is_ok(block), ok, "{block:02x?}");
        }
    }

    #[test]
    fn a_request_is_one_whole_frame() {
        let frame = request();
        assert_eq!(usize::from(frame[2]), frame.len() - 9);
    }
}
