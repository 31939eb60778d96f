//! Requests and responses through the gateway.

use super::{client, echo};
use http::Request;

#[tokio::test]
async fn a_request_is_answered() {
    let gw = echo().start().await;
    assert!(gw.serves_http3(443));
    let client = client(&gw).await;
    let answer = client.get("https://one.example/x?y").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = gw.last_request_to("default", "one").unwrap().to_string();
    assert!(seen.contains("/x?y") && seen.contains("\"x-forwarded-proto\":\"https\""), "{seen}");
}

#[tokio::test]
async fn content_passes_both_ways() {
    let gw = echo().start().await;
    let client = client(&gw).await;
    let request = Request::post("https://one.example/").body(()).unwrap();
    let mut asked = client.ask(&request, false).await.unwrap();
    asked.send("hello ", false).await.unwrap();
    asked.send("world", true).await.unwrap();
    let answer = asked.answer().await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("\"bodyBytes\":11"), "{}", answer.text());
}
