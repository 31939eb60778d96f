//! `X-Forwarded-Client-Cert`: what backends are told of clients, and who may tell it.

use crate::scene::{CLASS, PLAIN, Person, cert, frontend, gateway, https, route};
use http::Request;
use narthex_testbed::http2::Http2;
use narthex_testbed::objects::services;
use narthex_testbed::{Authority, Gateway};
use serde_json::Value;

const FIELD: &str = "x-forwarded-client-cert";
const FORGED: &str = "Hash=0000;Subject=\"CN=admin\"";

/// A gateway with a plain port 80, an open port 443, and a port 8443 for friends of `ca`.
async fn front(ca: &Authority, trusted: bool) -> Gateway {
    let listeners = [
        PLAIN.to_owned(),
        https("open", 443, ""),
        https("closed", 8443, ""),
    ]
    .join(", ");
    let yaml = [
        CLASS,
        &gateway("front", &listeners, &frontend("", &[(8443, "ca")])),
        &route("shop", "front", "", "shop"),
        &services(&["shop"]),
        &cert(),
        &Authority::config_map("ca", &[ca]),
    ]
    .concat();
    let builder = Gateway::builder().file("objects.yaml", &yaml);
    let builder = if trusted {
        builder.settings(|settings| settings.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()])
    } else {
        builder
    };
    builder.start().await
}

#[tokio::test]
async fn backends_learn_who_the_client_is() {
    let ca = Authority::new("ca");
    let gw = front(&ca, false).await;
    let friend = Person::of(&ca, &["friend.example", "spiffe://a.example/friend"]);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &friend.issued.leaf());
    let hash: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = format!(
        "Hash={};Subject=\"CN=friend.example\";DNS=\"friend.example\";URI=\"spiffe://a.example/friend\"",
        hash.concat()
    );
    let call = gw.get("https://a.example:8443/").client(&friend.config);
    for _ in 0..2 {
        let said = call
            .clone()
            .header("X-Forwarded-Client-Cert", FORGED)
            .await
            .status(200)
            .json();
        assert_eq!(sorted(&said["headers"][FIELD]), sorted(&Value::from(&*expected)));
    }
    let mut client = Http2::tls_as(gw.address(8443), "a.example", friend.config).await;
    let request = Request::get("https://a.example/")
        .header(FIELD, FORGED)
        .body(())
        .unwrap();
    let answer = client.ask(request, true).await.unwrap().answer().await.unwrap();
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(sorted(&said["headers"][FIELD]), sorted(&Value::from(&*expected)));
}

#[tokio::test]
async fn nobody_can_say_it_of_himself() {
    let ca = Authority::new("ca");
    let gw = front(&ca, false).await;
    for url in ["http://a.example/", "https://a.example/"] {
        let call = gw
            .get(url)
            .header("X-Forwarded-Client-Cert", FORGED)
            .header("x-forwarded-CLIENT-cert", "more");
        call.await.status(200).upstream_lacks(FIELD);
    }
    let mut client = Http2::tls(gw.address(443), "a.example").await;
    let request = Request::get("https://a.example/")
        .header(FIELD, FORGED)
        .body(())
        .unwrap();
    let answer = client.ask(request, true).await.unwrap().answer().await.unwrap();
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(said["headers"].get(FIELD).is_none(), "{said}");
}

#[tokio::test]
async fn a_trusted_proxy_may_say_it_of_its_client() {
    let ca = Authority::new("ca");
    let gw = front(&ca, true).await;
    for url in ["http://a.example/", "https://a.example/"] {
        let call = gw.get(url).header("X-Forwarded-Client-Cert", FORGED);
        call.await.status(200).upstream_header(FIELD, FORGED);
    }
    let mut client = Http2::tls(gw.address(443), "a.example").await;
    let request = Request::get("https://a.example/")
        .header(FIELD, FORGED)
        .body(())
        .unwrap();
    let answer = client.ask(request, true).await.unwrap().answer().await.unwrap();
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(said["headers"][FIELD], FORGED);
    // What we have seen ourselves counts more than what it says.
    let proxy = Person::of(&ca, &["proxy"]);
    let call = gw
        .get("https://a.example:8443/")
        .client(&proxy.config)
        .header("X-Forwarded-Client-Cert", FORGED);
    let said = call.await.status(200).json();
    let said = said["headers"][FIELD].as_str().unwrap().to_owned();
    assert!(said.contains("CN=proxy") && !said.contains("admin"), "{said}");
}

/// The order of names in a certificate is not ours.
fn sorted(field: &Value) -> Vec<String> {
    let mut parts: Vec<String> = field
        .as_str()
        .unwrap_or_default()
        .split(';')
        .map(str::to_owned)
        .collect();
    parts.sort();
    parts
}
