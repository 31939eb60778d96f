//! TLS connections by the name that their clients ask for: passed through, ended here for a stream, or HTTPS.

#![allow(clippy::unwrap_used)]

mod support;

use ir::{Bind, StreamTls, Transport};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use support::tls::{Client, leaf};
use support::{
    PATIENCE, Peer, Plane, Server, bind, certificate, listener, pattern, route, snapshot, stream_listener,
    stream_route, tls_host, upstream,
};

/// Ends TLS with a certificate of its own and says its name.
fn tls_server(name: &'static str) -> Server {
    let certificate = certificate(name, &[name], false);
    let chain = certificate.chain.iter().cloned().map(Into::into).collect();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certificate.key.0.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    Server::start(move |peer| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(session, peer.stream.into_inner());
        let sni = {
            let _ = stream.flush();
            stream.conn.server_name().unwrap_or("none").to_owned()
        };
        let _ = stream.write_all(format!("{name} for {sni}\n").as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    })
}

/// Says in plain text what it gets.
fn plain_server(name: &'static str) -> Server {
    Server::start(move |mut peer| {
        let mut bytes = [0; 64];
        peer.send(&format!("{name}\n"));
        while let Ok(count @ 1..) = peer.stream.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            if peer.try_send(&text).is_err() {
                return;
            }
        }
    })
}

fn connect(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
    sni: &str,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from(sni.to_owned()).unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(session, tcp)
}

fn line(stream: &mut impl Read) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim().to_owned())
}

/// Passthrough for `*.pass.example`, Terminate for `end.example`, HTTPS for `web.example`, all on one port.
struct Mixed {
    plane: Plane,
    address: SocketAddr,
    web: Vec<u8>,
    end: Vec<u8>,
    _servers: Vec<Server>,
}

fn mixed() -> Mixed {
    let servers = vec![
        tls_server("behind.example"),
        plain_server("plain"),
        Server::named("web"),
    ];
    let (web, end) = (
        certificate("web", &["web.example"], false),
        certificate("end", &["end.example"], false),
    );
    let streams = vec![
        stream_listener(
            "*.pass.example",
            StreamTls::Passthrough,
            vec![
                stream_route("a", &["a.pass.example"], &[("tls", 1)]),
                stream_route("broken", &["broken.pass.example"], &[("", 1)]),
                stream_route("empty", &["empty.pass.example"], &[("none", 1)]),
            ],
        ),
        stream_listener(
            "end.example",
            StreamTls::Terminate(vec![end.id.clone()]),
            vec![stream_route("end", &["end.example"], &[("plain", 1)])],
        ),
    ];
    let https = listener(
        pattern("web.example"),
        vec![tls_host("web.example", &[&web])],
        vec![route("web.example", "web")],
    );
    let bind = Bind {
        streams,
        ..bind(0, Transport::Https, vec![https])
    };
    let upstreams = vec![
        upstream("tls", &[servers[0].address]),
        upstream("plain", &[servers[1].address]),
        upstream("web", &[servers[2].address]),
        upstream("none", &[]),
    ];
    let plane = Plane::start(1);
    let address = plane.serve(&snapshot(
        vec![bind],
        upstreams,
        vec![Arc::clone(&web), Arc::clone(&end)],
    ));
    Mixed {
        plane,
        address,
        web: web.chain[0].clone(),
        end: end.chain[0].clone(),
        _servers: servers,
    }
}

#[test]
fn passthrough_terminate_and_https_share_a_port_by_name() {
    let mixed = mixed();
    let config = Client::new().config();
    let mut passed = connect(&config, mixed.address, "a.pass.example");
    assert_eq!(line(&mut passed).unwrap(), "behind.example for a.pass.example");
    let mut ended = connect(&config, mixed.address, "END.example");
    assert_eq!(line(&mut ended).unwrap(), "plain");
    assert_eq!(leaf(&ended.conn), mixed.end);
    assert_eq!(ended.conn.alpn_protocol(), None);
    ended.write_all(b"hello\n").unwrap();
    assert_eq!(line(&mut ended).unwrap(), "hello");
    let session = Client::new().connect(mixed.address, Some("web.example")).unwrap();
    assert_eq!(leaf(&session), mixed.web);
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    // Both versions, as the ClientHello was read by us.
    let mut older = Client::new();
    older.versions = vec![&rustls::version::TLS12];
    let mut ended = connect(&older.config(), mixed.address, "end.example");
    assert_eq!(line(&mut ended).unwrap(), "plain");
}

#[test]
fn a_name_that_leads_nowhere_is_closed_without_a_byte_of_tls() {
    let mixed = mixed();
    for name in ["b.pass.example", "broken.pass.example", "empty.pass.example"] {
        let config = Client::new().config();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut session = ClientConnection::new(config, name).unwrap();
        let mut hello = Vec::new();
        session.write_tls(&mut hello).unwrap();
        let mut client = Peer::connect(mixed.address);
        client.stream.get_mut().write_all(&hello).unwrap();
        assert!(client.is_closed());
    }
    let text = String::from_utf8(mixed.plane.telemetry.scrape(telemetry::Format::Text)).unwrap();
    for code in ["no-route", "broken-backend", "no-endpoints"] {
        assert!(
            text.contains(&format!("narthex_faults_total{{code=\"{code}\"}} 1")),
            "{code}"
        );
    }
}

#[test]
fn a_hello_in_many_small_pieces_is_passed_on_whole() {
    let mixed = mixed();
    let name = ServerName::try_from("a.pass.example").unwrap();
    let mut session = ClientConnection::new(Client::new().config(), name).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    let mut tcp = TcpStream::connect(mixed.address).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    for part in hello.chunks(hello.len() / 40) {
        tcp.write_all(part).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut stream = StreamOwned::new(session, tcp);
    assert_eq!(line(&mut stream).unwrap(), "behind.example for a.pass.example");
}

#[test]
fn what_is_no_tls_is_closed_at_once_and_others_are_served() {
    let mixed = mixed();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\x00\x00",
        b"\x80\x2e\x01\x03\x01",
    ] {
        let mut client = Peer::connect(mixed.address);
        client.stream.get_mut().write_all(bytes).unwrap();
        assert!(client.is_closed());
    }
    let mut passed = connect(&Client::new().config(), mixed.address, "a.pass.example");
    assert_eq!(line(&mut passed).unwrap(), "behind.example for a.pass.example");
}
