//! Versions, lists of revoked certificates, OCSP responses, and tickets that replicas share.

use crate::scene::{CLASS, Person, attempt, cert, frontend, gateway, https, rewritten, route, turned_away};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use narthex_testbed::objects::services;
use narthex_testbed::{Authority, Gateway};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn objects(listeners: &str, tls: &str) -> String {
    bare(listeners, tls) + &cert()
}

/// The same without the certificate.
fn bare(listeners: &str, tls: &str) -> String {
    [
        CLASS,
        &gateway("front", listeners, tls),
        &route("shop", "front", "", "shop"),
        &services(&["shop"]),
    ]
    .concat()
}

/// An HTTPS listener with this policy.
fn with_policy(name: &str, port: u16, hostname: &str, policy: &str) -> String {
    let options = format!("tls: {{options: {{narthex.dev/tls-policy: {policy}}}, ");
    https(name, port, hostname).replace("tls: {", &options)
}

fn speaking(version: &'static rustls::SupportedProtocolVersion) -> Arc<ClientConfig> {
    Authority::shared().client_of(None, &[version])
}

#[tokio::test]
async fn a_listener_can_ask_for_tls_1_3() {
    let listeners = [
        https("any", 443, "a.example"),
        with_policy("modern", 443, "b.example", "modern"),
        with_policy("wrong", 8443, "", "Modern"),
        with_policy("old", 9443, "", "intermediate"),
    ];
    let gw = Gateway::from_yaml(&objects(&listeners.join(", "), "")).await;
    for (url, old) in [
        ("https://a.example/", true),
        ("https://b.example/", false),
        // What is no policy is not taken for leave.
        ("https://a.example:8443/", false),
        ("https://a.example:9443/", true),
    ] {
        gw.get(url).client(&speaking(&TLS13)).await.status(200);
        let outcome = attempt(gw.get(url).client(&speaking(&TLS12))).await;
        assert_eq!(outcome.is_ok(), old, "{url}");
    }
    let live = gw.now();
    let told = live
        .diagnostics
        .iter()
        .filter(|finding| finding.code == ir::Code::TlsPolicyUnknown);
    assert_eq!(told.count(), 1);
}

#[tokio::test]
async fn a_flag_can_ask_for_tls_1_3_and_a_listener_for_less() {
    let listeners = [
        https("default", 443, ""),
        with_policy("old", 8443, "", "intermediate"),
    ]
    .join(", ");
    let gw = Gateway::builder()
        .file("objects.yaml", &objects(&listeners, ""))
        .settings(|settings| settings.tls_policy = ir::TlsPolicy::Modern)
        .start()
        .await;
    turned_away(&attempt(gw.get("https://a.example/").client(&speaking(&TLS12))).await);
    gw.get("https://a.example/")
        .client(&speaking(&TLS13))
        .await
        .status(200);
    gw.get("https://a.example:8443/")
        .client(&speaking(&TLS12))
        .await
        .status(200);
}

#[tokio::test]
async fn who_was_revoked_is_not_let_in_not_even_with_a_session() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let [friend, lost] = [(); 2].map(|()| Person::of(&ca, &["friend"]));
    let listed_nowhere = Person::of(&other, &["friend"]);
    let gw = Gateway::builder()
        .file(
            "objects.yaml",
            &objects(&https("a", 443, ""), &frontend("ca", &[])),
        )
        .file("ca.yaml", &Authority::config_map("ca", &[&ca, &other]))
        .start()
        .await;
    let call = gw.get("https://a.example/");
    let mut open = call.clone().client(&lost.config).connect().await.unwrap();
    call.send_on(&mut open).await.unwrap().status(200);
    let list = ca.revoke(&[&lost.issued], 2100);
    rewritten(
        &gw,
        "ca.yaml",
        &Authority::config_map_with("ca", &[&ca, &other], &list),
    )
    .await;
    turned_away(&attempt(call.clone().client(&lost.config)).await);
    call.send_on(&mut open).await.unwrap().status(421);
    call.clone().client(&friend.config).await.status(200);
    // An authority without a list has revoked nobody.
    call.clone().client(&listed_nowhere.config).await.status(200);
    // A list that is no longer kept says nothing about anybody.
    let stale = ca.revoke(&[], 2021);
    rewritten(&gw, "ca.yaml", &Authority::config_map_with("ca", &[&ca], &stale)).await;
    turned_away(&attempt(call.clone().client(&friend.config)).await);
    // What is no list takes the authority's word away.
    let nonsense = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    rewritten(
        &gw,
        "ca.yaml",
        &Authority::config_map_with("ca", &[&ca], nonsense),
    )
    .await;
    assert!(!gw.listens_on(443));
    let live = gw.now();
    assert!(
        live.diagnostics
            .iter()
            .any(|finding| finding.code == ir::Code::AuthorityInvalid)
    );
}

#[tokio::test]
async fn an_ocsp_response_of_the_secret_is_shown() {
    // OCSPResponse { successful } with nothing in it: the client of this test does not read further.
    let response = [0x30, 3, 0x0a, 1, 0];
    for (entry, shown) in [
        (STANDARD.encode(response), &response[..]),
        (STANDARD.encode(STANDARD.encode(response)), &response),
        (STANDARD.encode([0x30, 3, 0x0a, 1, 6]), &[]),
        (STANDARD.encode("nothing"), &[]),
    ] {
        let secret = cert().replace("data:\n", &format!("data:\n  tls.ocsp-staple: {entry}\n"));
        let gw = Gateway::from_yaml(&(bare(&https("a", 443, ""), "") + &secret)).await;
        let seen = Stapled::default();
        shake(gw.address(443), &seen.client()).await.unwrap();
        assert_eq!(*seen.0.lock().unwrap(), shown, "{entry}");
        let live = gw.now();
        let told = live
            .diagnostics
            .iter()
            .any(|finding| finding.code == ir::Code::StapleInvalid);
        assert_eq!(told, shown.is_empty(), "{entry}");
    }
}

#[tokio::test]
async fn replicas_with_one_secret_resume_each_others_sessions() {
    let (ca, cert) = (Authority::new("ca"), cert());
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: tickets, namespace: default}}\ndata: {{key: {}}}\n---\n",
        STANDARD.encode([7; 48])
    );
    let listeners = [https("open", 443, ""), https("closed", 8443, "")].join(", ");
    let yaml =
        bare(&listeners, &frontend("", &[(8443, "ca")])) + &cert + &Authority::config_map("ca", &[&ca]);
    let replica = async |secret: &str| {
        Gateway::builder()
            .file("objects.yaml", &format!("{yaml}{secret}"))
            .settings(|settings| settings.ticket_secret = Some(translate::Key::new("default", "tickets")))
            .start()
            .await
    };
    let (one, two, stranger) = (replica(&secret).await, replica(&secret).await, replica("").await);
    let live = stranger.now();
    assert!(
        live.diagnostics
            .iter()
            .any(|finding| finding.code == ir::Code::TicketSecretInvalid)
    );
    let friend = ca.issue(&["friend"]);
    for version in [&TLS12, &TLS13] {
        let client = speaking(version);
        assert_ne!(
            shake(one.address(443), &client).await.unwrap(),
            HandshakeKind::Resumed
        );
        assert_eq!(
            shake(two.address(443), &client).await.unwrap(),
            HandshakeKind::Resumed
        );
        assert_ne!(
            shake(stranger.address(443), &client).await.unwrap(),
            HandshakeKind::Resumed
        );
        // A ticket of the open port is none for the closed one, secret or not.
        let client = speaking(version);
        shake(one.address(443), &client).await.unwrap();
        assert!(shake(two.address(8443), &client).await.is_err());
        // But one of the closed port is.
        let client = Authority::shared().client_of(Some(&friend), &[version]);
        shake(one.address(8443), &client).await.unwrap();
        assert_eq!(
            shake(two.address(8443), &client).await.unwrap(),
            HandshakeKind::Resumed
        );
    }
}

/// A handshake for `a.example`, and a request, so that tickets that come behind it are read.
async fn shake(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<HandshakeKind> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("a.example").unwrap();
    let mut stream = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(stream.get_ref().1.handshake_kind().unwrap())
}

/// A client that notes what is stapled, and believes everybody.
#[derive(Debug, Clone, Default)]
struct Stapled(Arc<Mutex<Vec<u8>>>);

impl Stapled {
    fn client(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self.clone()))
            .with_no_client_auth();
        Arc::new(config)
    }
}

impl ServerCertVerifier for Stapled {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        response: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().unwrap() = response.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.signature_verification_algorithms.supported_schemes()
    }
}
