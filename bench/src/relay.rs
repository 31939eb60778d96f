//! A relay of TCP and UDP that understands nothing: one thread, one read and one write per side. No proxy that copies can cost
//! less, so it is the floor.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

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
    let datagrams = Rc::new(UdpSocket::bind(listen).await?);
    tokio::task::spawn_local(async move { drop(datagrams_of_all(datagrams, origin).await) });
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

/// A socket for each client, and no end of them.
async fn datagrams_of_all(listening: Rc<UdpSocket>, origin: SocketAddr) -> io::Result<()> {
    let mut clients: HashMap<SocketAddr, Rc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (count, client) = listening.recv_from(&mut buffer).await?;
        let socket = match clients.get(&client) {
            Some(socket) => Rc::clone(socket),
            None => {
                let socket = Rc::new(UdpSocket::bind((listening.local_addr()?.ip(), 0)).await?);
                socket.connect(origin).await?;
                clients.insert(client, Rc::clone(&socket));
                let (answers, listening) = (Rc::clone(&socket), Rc::clone(&listening));
                tokio::task::spawn_local(async move {
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(count) = answers.recv(&mut buffer).await {
                        if listening.send_to(&buffer[..count], client).await.is_err() {
                            return;
                        }
                    }
                });
                socket
            }
        };
        socket.send(&buffer[..count]).await?;
    }
}

/// As nginx's and HAProxy's buffers.
const BUFFER: usize = 16 * 1024;
