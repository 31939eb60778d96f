//! The server behind every proxy under test: one thread, a fixed answer, and an echo for upgraded connections.
//! Small on purpose: what it costs must not hide what a proxy costs.

use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of the body of every answer.
pub const BODY: usize = 128;

/// `origin ADDR`: serves until killed.
pub fn run(words: &[String]) -> Result<(), String> {
    let address = words.first().ok_or("usage: origin ADDR")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let local = tokio::task::LocalSet::new();
    local
        .block_on(&runtime, serve(address))
        .map_err(|error| format!("{address}: {error}"))
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A client that goes away in mid-request is not the origin's business.
        tokio::task::spawn_local(async move { drop(connection(stream).await) });
    }
}

async fn connection(mut stream: TcpStream) -> io::Result<()> {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {BODY}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + BODY, b'x');
    let mut buffer = vec![0; 8 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            let head = &buffer[..filled];
            if head
                .windows(9)
                .any(|window| window.eq_ignore_ascii_case(b"\r\nupgrade"))
            {
                return echo(stream).await;
            }
            stream.write_all(&answer).await?;
            filled = 0;
        } else if filled == buffer.len() {
            return Err(io::Error::other("a request head over 8 KiB"));
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await?;
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await.map(drop)
}
