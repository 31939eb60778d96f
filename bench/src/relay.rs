//! A TCP relay that understands nothing: one thread, one read and one write per side. No proxy can cost less, so it is the floor.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// `relay LISTEN ORIGIN`: relays until killed.
pub fn run(words: &[String]) -> Result<(), String> {
    let [listen, origin] = words else {
        return Err("usage: relay LISTEN ORIGIN".into());
    };
    let parse = |word: &String| -> Result<SocketAddr, String> {
        word.parse().map_err(|error| format!("{word}: {error}"))
    };
    let (listen, origin) = (parse(listen)?, parse(origin)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let local = tokio::task::LocalSet::new();
    local
        .block_on(&runtime, serve(listen, origin))
        .map_err(|error| format!("{listen}: {error}"))
}

async fn serve(listen: SocketAddr, origin: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (downstream, _) = listener.accept().await?;
        // Whoever goes away ends the pair, and that is all.
        tokio::task::spawn_local(async move { drop(pair(downstream, origin).await) });
    }
}

async fn pair(mut downstream: TcpStream, origin: SocketAddr) -> io::Result<()> {
    let mut upstream = TcpStream::connect(origin).await?;
    downstream.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (mut from_client, mut to_client) = downstream.split();
    let (mut from_origin, mut to_origin) = upstream.split();
    let up = async {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_origin.shutdown().await;
            }
            to_origin.write_all(&buffer[..read]).await?;
        }
    };
    let down = async {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = from_origin.read(&mut buffer).await?;
            if read == 0 {
                return to_client.shutdown().await;
            }
            to_client.write_all(&buffer[..read]).await?;
        }
    };
    tokio::try_join!(up, down).map(drop)
}

/// As nginx's and HAProxy's buffers.
const BUFFER: usize = 16 * 1024;
