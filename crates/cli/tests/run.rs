//! `narthex run` and `narthex echo` as processes: the quickstart, signals, and what is said when a port can't be had.

// The fixtures are tests as much as what uses them.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};
use support::{DEADLINE, Running, command, free, root};
use tempfile::TempDir;
use testbed::{Authority, Connection};

/// The quickstart on free ports, with a certificate that the test's client trusts.
struct Quickstart {
    running: Running,
    http: SocketAddr,
    https: SocketAddr,
    greeting: String,
    _directory: TempDir,
}

impl Quickstart {
    fn start(flags: &[&str]) -> Self {
        let (http, https) = (free(), free());
        let directory = tempfile::tempdir().unwrap();
        for name in ["gateway.yaml", "routes.yaml", "ingress.yaml", "services.yaml"] {
            let text = fs::read_to_string(root().join("examples/quickstart").join(name)).unwrap();
            let text = text.replace("port: 8080", &format!("port: {}", http.port()));
            let text = text.replace("port: 8443", &format!("port: {}", https.port()));
            fs::write(directory.path().join(name), text).unwrap();
        }
        let secret = Authority::shared().secret("shop", "shop-tls", &["shop.localhost"]);
        fs::write(directory.path().join("certificate.yaml"), secret).unwrap();
        let (http_port, https_port) = (http.port().to_string(), https.port().to_string());
        let path = directory.path().to_str().unwrap();
        let mut arguments = vec![
            "run",
            "--echo",
            "--http-port",
            &http_port,
            "--https-port",
            &https_port,
        ];
        arguments.extend(["--admin-address", "127.0.0.1:0", "--workers", "1"]);
        arguments.extend(flags);
        arguments.push(path);
        let running = Running::start(command(&arguments));
        let greeting = running.until("findings");
        Self {
            running,
            http,
            https,
            greeting,
            _directory: directory,
        }
    }
}

/// Sends a GET for shop.localhost and returns status, `Location` and the JSON of the body.
async fn get(connection: &mut Connection, path: &str, fields: &str) -> (u16, Option<String>, Value) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop.localhost\r\n{fields}\r\n");
    connection.send(request).await.unwrap();
    let response = connection.response(false).await.unwrap();
    let body = serde_json::from_str(&response.text()).unwrap_or_default();
    (
        response.code(),
        response.header("location").map(str::to_owned),
        body,
    )
}

#[tokio::test]
async fn the_quickstart_answers_by_host_path_header_weight_redirect_ingress_and_https() {
    let quickstart = Quickstart::start(&[]);
    let mut plain = Connection::plain(quickstart.http).await.unwrap();
    let mut by_service = std::collections::BTreeMap::new();
    for _ in 0..400 {
        let (status, _, body) = get(&mut plain, "/", "").await;
        assert_eq!(status, 200);
        *by_service
            .entry(body["service"].as_str().unwrap().to_owned())
            .or_insert(0) += 1;
    }
    // 40 expected of 400; 400 draws miss 10..=80 once in ten million.
    assert!(
        (10..=80).contains(&by_service["catalogue-next"]),
        "{by_service:?}"
    );
    assert_eq!(by_service.len(), 2);
    let (_, _, body) = get(&mut plain, "/cart/7?x=1", "").await;
    assert_eq!(
        (&body["service"], &body["path"], &body["query"]),
        (&"cart".into(), &"/cart/7".into(), &"x=1".into())
    );
    let (_, _, body) = get(&mut plain, "/cart", "x-beta: yes\r\n").await;
    assert_eq!(body["service"], "cart-beta");
    let (_, _, body) = get(&mut plain, "/legacy/1", "").await;
    assert_eq!(body["service"], "legacy");
    let (status, location, _) = get(&mut plain, "/basket/42", "").await;
    let expected = format!("http://shop.localhost:{}/cart/42", quickstart.http.port());
    assert_eq!((status, location), (301, Some(expected)));
    let (status, _, _) = get(&mut plain, "/cart/status/503", "").await;
    assert_eq!(status, 503);
    let mut tls = Connection::tls(quickstart.https, "shop.localhost").await.unwrap();
    let (_, _, body) = get(&mut tls, "/cart", "").await;
    assert_eq!(body["headers"]["x-forwarded-proto"][0], "https");
}

#[test]
fn the_greeting_names_listeners_hosts_findings_and_a_curl_line() {
    let quickstart = Quickstart::start(&[]);
    let (http, https) = (quickstart.http.port(), quickstart.https.port());
    for part in [
        "1 host on 2 sockets".to_owned(),
        format!("http://*:{http}  Gateway shop/front#http, Ingress listener"),
        format!("curl --resolve shop.localhost:{http}:127.0.0.1 http://shop.localhost:{http}/"),
        format!("curl -k --resolve shop.localhost:{https}:127.0.0.1 https://shop.localhost:{https}/"),
        "findings   none".to_owned(),
    ] {
        assert!(
            quickstart.greeting.contains(&part),
            "{part} in\n{}",
            quickstart.greeting
        );
    }
}

#[tokio::test]
async fn an_interrupt_lets_requests_finish_and_ends_with_0() {
    let mut quickstart = Quickstart::start(&[]);
    let mut connection = Connection::plain(quickstart.http).await.unwrap();
    connection
        .send("GET /delay/1s HTTP/1.1\r\nhost: shop.localhost\r\n\r\n")
        .await
        .unwrap();
    let mut idle = Connection::plain(quickstart.http).await.unwrap();
    assert_eq!(get(&mut idle, "/", "").await.0, 200);
    quickstart.running.signal("INT");
    quickstart.running.until_error("draining");
    let response = connection.response(false).await.unwrap();
    assert_eq!(response.code(), 200);
    assert_eq!(response.header("connection"), Some("close"));
    quickstart.running.until_error("every request was finished");
    assert_eq!(quickstart.running.code(), 0);
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_cut_and_ends_with_4() {
    let mut quickstart = Quickstart::start(&["--drain-timeout", "200ms"]);
    let mut connection = Connection::plain(quickstart.http).await.unwrap();
    connection
        .send("GET /delay/60s HTTP/1.1\r\nhost: shop.localhost\r\n\r\n")
        .await
        .unwrap();
    let mut idle = Connection::plain(quickstart.http).await.unwrap();
    assert_eq!(get(&mut idle, "/", "").await.0, 200);
    quickstart.running.signal("TERM");
    quickstart.running.until_error("1 connection cut off");
    assert_eq!(quickstart.running.code(), 4);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut quickstart = Quickstart::start(&["--drain-timeout", "10m"]);
    let mut connection = Connection::plain(quickstart.http).await.unwrap();
    connection
        .send("GET /delay/60s HTTP/1.1\r\nhost: shop.localhost\r\n\r\n")
        .await
        .unwrap();
    let mut idle = Connection::plain(quickstart.http).await.unwrap();
    assert_eq!(get(&mut idle, "/", "").await.0, 200);
    let start = Instant::now();
    quickstart.running.signal("TERM");
    quickstart.running.until_error("draining");
    quickstart.running.signal("TERM");
    assert_eq!(quickstart.running.code(), 4);
    assert!(start.elapsed() < DEADLINE);
}

#[test]
fn a_port_that_another_program_has_is_said_with_a_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let path = root().join("examples/ingress");
    let https = free().port().to_string();
    let mut running = Running::start(command(&[
        "run",
        "--echo",
        "--bind",
        "127.0.0.1",
        "--http-port",
        &port,
        "--https-port",
        &https,
        "--admin-address",
        "off",
        path.to_str().unwrap(),
    ]));
    let log = running.until_error("hint");
    let told = log.matches(&format!("can't listen on 127.0.0.1:{port}")).count();
    assert_eq!(told, 1, "{log}");
    // The other port works, so it goes on.
    let greeting = running.until("findings");
    assert!(
        greeting.contains(&format!("not on 127.0.0.1:{port}")),
        "{greeting}"
    );
    running.signal("TERM");
    assert_eq!(running.code(), 0);
}

#[test]
fn a_change_is_seen_also_where_the_directory_was_named_relative_to_here() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("manifests");
    fs::create_dir(&inner).unwrap();
    let (http, https) = (free().port().to_string(), free().port().to_string());
    for name in ["manifests", "./manifests", "."] {
        let mut command = command(&[
            "run",
            "--admin-address",
            "off",
            "--http-port",
            &http,
            "--https-port",
            &https,
            name,
        ]);
        command.current_dir(if name == "." { &inner } else { directory.path() });
        let mut running = Running::start(command);
        running.until("findings");
        // A look at everything, every three seconds, would find it too, so each try that fails ends just after one; this
        // long before the next, only an event does. Three tries, for the machine may be busy.
        let soon = (1..=3).any(|number| {
            let broken = inner.join(format!("broken-{number}.yaml"));
            let start = Instant::now();
            fs::write(&broken, "a: [").unwrap();
            let log = running.until_error("NTX0001");
            // What a finding lacks is not in its line.
            assert!(!log.contains("=\"\""), "{log}");
            let took = start.elapsed();
            fs::remove_file(&broken).unwrap();
            took < Duration::from_millis(1500)
        });
        assert!(soon, "{name}");
        running.signal("TERM");
        assert_eq!(running.code(), 0);
    }
}

/// Ports below this one need a permission.
fn first_open_port() -> u16 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    text.trim().parse().unwrap_or(1024)
}

#[test]
fn without_the_permission_for_port_80_it_says_what_to_do_and_ends_with_3() {
    if first_open_port() <= 80 {
        // Nobody needs a permission here.
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let gateway = fs::read_to_string(root().join("examples/cors/cors.yaml")).unwrap();
    let file = directory.path().join("gateway.yaml");
    fs::write(&file, gateway.replace("port: 8080", "port: 80")).unwrap();
    let mut command = command(&["run", "--echo", "--admin-address", "off", file.to_str().unwrap()]);
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        // Nobody's user, who must be able to read file and binary.
        let open = |path: &std::path::Path| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(path, mode).unwrap();
        };
        open(directory.path());
        open(&file);
        let binary = directory.path().join("narthex");
        fs::copy(env!("CARGO_BIN_EXE_narthex"), &binary).unwrap();
        let arguments: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        command = std::process::Command::new(binary);
        command.args(arguments).current_dir("/").uid(65534).gid(65534);
    }
    let mut running = Running::start(command);
    let log = running.until_error("setcap");
    for part in [
        "can't listen on *:80",
        "ip_unprivileged_port_start=80",
        "change the port of Gateway default/front#http",
    ] {
        assert!(log.contains(part), "{part} in\n{log}");
    }
    assert_eq!(running.code(), 3);
}

#[tokio::test]
async fn echo_is_a_backend_of_its_own_and_returns_websocket_frames() {
    let address = free();
    let running = Running::start(command(&[
        "echo",
        "--listen",
        &address.to_string(),
        "--service",
        "mine",
    ]));
    running.until("listening on");
    let mut connection = Connection::plain(address).await.unwrap();
    connection
        .send("POST /a?b=c HTTP/1.1\r\nhost: x.example\r\ncontent-length: 5\r\n\r\nhello")
        .await
        .unwrap();
    let body = connection.response(false).await.unwrap().json();
    assert_eq!(
        (&body["service"], &body["bodyBytes"], &body["query"]),
        (&"mine".into(), &5.into(), &"b=c".into())
    );
    connection
        .send("GET /bytes/100000 HTTP/1.1\r\nhost: x.example\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(connection.response(false).await.unwrap().text().len(), 100_000);
    let start = Instant::now();
    connection
        .send("GET /delay/300ms HTTP/1.1\r\nhost: x.example\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(connection.response(false).await.unwrap().code(), 200);
    assert!(start.elapsed() >= Duration::from_millis(300));
    connection
        .send("GET / HTTP/1.1\r\nhost: x.example\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        .await
        .unwrap();
    let response = connection.response(false).await.unwrap();
    assert_eq!(response.code(), 101);
    // RFC 6455 §1.3 has this very key and answer.
    assert_eq!(
        response.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    // "hi", masked with zeros (RFC 6455 §5.2), then a close frame.
    connection
        .send([0x81, 0x82, 0, 0, 0, 0, b'h', b'i', 0x88, 0x80, 0, 0, 0, 0])
        .await
        .unwrap();
    assert_eq!(connection.rest().await.unwrap(), [0x81, 2, b'h', b'i', 0x88, 0]);
}

#[test]
fn what_cannot_be_read_at_the_start_ends_with_2() {
    let answer = support::run(&["run", "examples/nowhere"]);
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("can't read examples/nowhere"), "{answer:?}");
}
