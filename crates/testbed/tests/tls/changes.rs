//! What changes while requests are under way: nothing is lost, and nothing goes in the clear that is to be protected.

use crate::scene::{CLASS, PLAIN, believing, gateway, policy, rewritten, route, service};
use narthex_testbed::{Authority, Gateway, Response, TlsBackend};
use std::time::Duration;

/// A gateway with this backend; policy and authorities are in files of their own.
async fn front(backend: &TlsBackend, policy: &str, ca: &[&Authority]) -> Gateway {
    let yaml = [
        CLASS,
        &gateway("front", PLAIN, ""),
        &route("shop", "front", "", "shop"),
        &service("shop", &[backend.address]),
    ]
    .concat();
    Gateway::builder()
        .file("objects.yaml", &yaml)
        .file("policy.yaml", policy)
        .file("ca.yaml", &Authority::config_map("ca", ca))
        .without_echo()
        .start()
        .await
}

fn good(response: &Response) -> bool {
    response.code() == 200
}

async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(30)).await;
}

#[tokio::test]
async fn an_authority_is_replaced_without_a_request_lost() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let server = |authority: &Authority| authority.issue(&["shop.internal"]).server(&["http/1.1"], None);
    let backend = TlsBackend::start(server(&old)).await;
    let gw = front(&backend, &policy("shop", &believing("shop.internal")), &[&old]).await;
    let load = gw.load(vec![(gw.get("http://a.example/"), good)], 4);
    a_moment().await;
    rewritten(&gw, "ca.yaml", &Authority::config_map("ca", &[&old, &new])).await;
    backend.become_another(server(&new));
    a_moment().await;
    rewritten(&gw, "ca.yaml", &Authority::config_map("ca", &[&new])).await;
    a_moment().await;
    let outcome = load.stop().await;
    assert!(
        outcome.wrong.is_empty() && outcome.right > 0,
        "{:?}",
        outcome.wrong.first()
    );
    assert_eq!(backend.plain(), 0);
    // And a connection that the old one vouched for is not used any more.
    backend.become_another(server(&old));
    rewritten(&gw, "ca.yaml", &Authority::config_map("ca", &[&old])).await;
    gw.get("http://a.example/").await.status(200);
    rewritten(&gw, "ca.yaml", &Authority::config_map("ca", &[&new])).await;
    gw.get("http://a.example/").await.status(502);
}

#[tokio::test]
async fn nothing_goes_in_the_clear_while_there_is_a_policy() {
    let ca = Authority::new("ca");
    let backend = TlsBackend::start(ca.issue(&["shop.internal"]).server(&["http/1.1"], None)).await;
    let with = policy("shop", &believing("shop.internal"));
    let nothing = "# nothing\n";
    let gw = front(&backend, nothing, &[&ca]).await;
    let load = gw.load(vec![(gw.get("http://a.example/"), good)], 6);
    for round in 0..8 {
        a_moment().await;
        rewritten(&gw, "policy.yaml", &with).await;
        // What the old plan began may still be on its way.
        let checked = async || {
            for _ in 0..20 {
                let said = gw.get("http://a.example/").await.status(200).json();
                assert_eq!(said["tls"], true, "round {round}");
            }
        };
        checked().await;
        let before = backend.plain();
        checked().await;
        assert_eq!(backend.plain(), before, "round {round}");
        rewritten(&gw, "policy.yaml", nothing).await;
        let said = gw.get("http://a.example/").await.status(200).json();
        assert_eq!(said["tls"], false, "round {round}");
    }
    let outcome = load.stop().await;
    assert!(
        outcome.wrong.is_empty() && outcome.right > 0,
        "{:?}",
        outcome.wrong.first()
    );
}

#[tokio::test]
async fn a_policy_that_loses_its_authorities_protects_to_the_last() {
    let ca = Authority::new("ca");
    let backend = TlsBackend::start(ca.issue(&["shop.internal"]).server(&["http/1.1"], None)).await;
    let gw = front(&backend, &policy("shop", &believing("shop.internal")), &[&ca]).await;
    gw.get("http://a.example/").await.status(200);
    gw.remove("ca.yaml").live().await;
    gw.get("http://a.example/").await.status(502);
    assert_eq!(backend.plain(), 0);
    assert_eq!(backend.requests(), 1);
}
