//! TCP, UDP and TLS by name, as `examples/tcp-udp-tls` has them, with real sockets behind.

use narthex_testbed::{Authority, Connection, DEADLINE, Gateway};
use rustls::ClientConnection;
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

/// Says its name to everybody, then what it hears, until the end.
async fn speaker(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                tcp.write_all(name.as_bytes()).await?;
                let (mut read, mut write) = tcp.split();
                tokio::io::copy(&mut read, &mut write).await?;
                write.shutdown().await
            });
        }
    });
    address
}

/// Answers DNS queries for any name with 192.0.2.1 (RFC 1035 §4.1).
async fn dns_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((count, client)) = socket.recv_from(&mut query).await {
            let mut answer = query[..count].to_vec();
            answer[2] |= 0x80;
            answer[7] = 1;
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
            let _ = socket.send_to(&answer, client).await;
        }
    });
    address
}

/// The example, with its endpoints where the test's servers are.
async fn example(ports: &[(u16, SocketAddr)]) -> Gateway {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/tcp-udp-tls");
    let secret = Gateway::secret("infra", "queue-tls", &["queue.localhost"]);
    let mut builder = Gateway::builder()
        .without_echo()
        .access_log("json")
        .file("secret.yaml", &secret);
    for file in ["gateway.yaml", "tcp.yaml", "udp.yaml", "tls.yaml"] {
        let mut text = std::fs::read_to_string(directory.join(file)).unwrap();
        for (port, address) in ports {
            text = text.replace(&format!("port: {port}\n"), &format!("port: {}\n", address.port()));
        }
        builder = builder.file(file, &text);
    }
    builder.start().await
}

#[tokio::test]
async fn every_protocol_of_the_example_reaches_its_backend() {
    let (postgres, next, queue) = (
        speaker("one\n").await,
        speaker("two\n").await,
        speaker("queue\n").await,
    );
    let (vault, dns) = (speaker("vault\n").await, dns_server().await);
    let gw = example(&[
        (15432, postgres),
        (15433, next),
        (15672, queue),
        (18200, vault),
        (15353, dns),
    ])
    .await;

    let mut client = TcpStream::connect(gw.address(5432)).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = String::new();
    timeout(DEADLINE, client.read_to_string(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert!(["one\nhello", "two\nhello"].contains(&heard.as_str()), "{heard}");

    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(gw.udp_address(5353)).await.unwrap();
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04shop\x07example\0\0\x01\0\x01";
    client.send(query).await.unwrap();
    let mut answer = [0; 512];
    let count = timeout(DEADLINE, client.recv(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer[..count].starts_with(b"\x12\x34\x81") && answer[..count].ends_with(&[192, 0, 2, 1]));

    // The queue gets what was inside TLS; whoever asks for vault is left alone with it.
    let mut inside = Connection::tls(gw.address(8443), "queue.localhost")
        .await
        .unwrap();
    inside.send("hello").await.unwrap();
    assert_eq!(inside.exactly(11).await.unwrap(), b"queue\nhello");
    let name = ServerName::try_from("vault.localhost").unwrap();
    let mut session = ClientConnection::new(Authority::shared().client(), name).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    let mut passed = TcpStream::connect(gw.address(8443)).await.unwrap();
    passed.write_all(&hello).await.unwrap();
    let mut heard = vec![0; 6 + hello.len()];
    timeout(DEADLINE, passed.read_exact(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert!(
        heard.starts_with(b"vault\n") && heard.ends_with(&hello),
        "the hello came through as it was"
    );
}

#[tokio::test]
async fn a_stream_is_a_line_in_the_access_log_and_counted_by_route() {
    let queue = speaker("queue\n").await;
    let gw = example(&[(15672, queue)]).await;
    let mut inside = Connection::tls(gw.address(8443), "queue.localhost")
        .await
        .unwrap();
    inside.send("hello").await.unwrap();
    assert_eq!(inside.exactly(11).await.unwrap(), b"queue\nhello");
    drop(inside);
    let line: serde_json::Value = serde_json::from_str(&gw.access_log(1)[0]).unwrap();
    for (field, value) in [
        ("protocol", "TLS"),
        ("host", "queue.localhost"),
        ("tls_version", "TLSv1.3"),
        ("route_kind", "TLSRoute"),
        ("route_namespace", "infra"),
        ("route", "queue"),
        ("upstream", "infra/queue:5672"),
        ("endpoint", &queue.to_string()),
        ("listener", "Gateway infra/front#queue"),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&5.into(), &11.into()));
    let metrics = gw.metrics().await;
    let of_route = &["route_kind=\"TLSRoute\"", "route=\"queue\""];
    assert_eq!(metrics.sum("narthex_streams_total", of_route), 1.0);
    assert_eq!(metrics.sum("narthex_stream_sent_bytes_total", of_route), 11.0);
}

/// QUIC Initial packets are at least 1200 bytes (RFC 9000 §14.1), and a connection goes on for long: what matters to a relay
/// is that datagrams of that size pass unchanged both ways, in order of sending on a quiet network, and to the same place.
#[tokio::test]
async fn datagrams_of_the_size_of_quic_stay_with_their_endpoint() {
    let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = echo.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 2048];
        while let Ok((count, client)) = echo.recv_from(&mut bytes).await {
            let _ = echo.send_to(&bytes[..count], client).await;
        }
    });
    let gw = example(&[(15353, address)]).await;
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(gw.udp_address(5353)).await.unwrap();
    for number in 0..200_u32 {
        let mut sent = vec![number as u8; 1200];
        sent[..4].copy_from_slice(&number.to_be_bytes());
        client.send(&sent).await.unwrap();
        let mut heard = vec![0; 2048];
        let count = timeout(DEADLINE, client.recv(&mut heard)).await.unwrap().unwrap();
        assert_eq!(&heard[..count], &sent[..]);
    }
}
