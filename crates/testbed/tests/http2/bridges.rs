//! What a message becomes between versions: each version of client with each version of backend.

use crate::peers::{Ask, Body, PAIRS, ask, ask_one, ask_two, both, length, pattern};
use h2::ext::Protocol;
use http::Request;
use narthex_testbed::http2::Http2;

#[tokio::test]
async fn bodies_pass_both_ways_whatever_their_size_and_framing() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        for size in [0, 1, 16_384, 100_000, 1_500_000] {
            for body in [Body::Known(size), Body::Unknown(size)] {
                let got = ask(
                    &gw,
                    pair,
                    Ask {
                        method: "POST",
                        path: "/echo",
                        body,
                        ..Ask::default()
                    },
                )
                .await;
                assert_eq!(got.status, 200, "{pair:?} {body:?}");
                assert!(got.body == pattern(size), "{pair:?} {body:?}: {}", got.body.len());
            }
        }
        for path in ["/length/70000", "/chunked/70000", "/length/0", "/chunked/0"] {
            let got = ask(
                &gw,
                pair,
                Ask {
                    method: "GET",
                    path,
                    ..Ask::default()
                },
            )
            .await;
            assert!(got.body == pattern(length(path)), "{pair:?} {path}");
            let known = path.starts_with("/length").then(|| length(path).to_string());
            if known.is_some() {
                assert_eq!(got.one("content-length"), known.as_deref(), "{pair:?} {path}");
            }
        }
    }
}

#[tokio::test]
async fn trailers_pass_both_ways_without_those_that_may_not_be_there() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        let asked = Ask {
            method: "POST",
            path: "/trailed/5",
            fields: &[("te", "trailers")],
            body: Body::Trailed(10),
        };
        let asked = if pair.0 == 1 {
            Ask {
                fields: &[("TE", "trailers"), ("Connection", "TE")],
                ..asked
            }
        } else {
            asked
        };
        let got = ask(&gw, pair, asked).await;
        assert_eq!(got.body, pattern(5), "{pair:?}");
        assert_eq!(got.trailer, [("x-sum".into(), "42".into())], "{pair:?}");
        let seen = got
            .one("seen-trailer")
            .unwrap()
            .trim_end_matches('|')
            .to_ascii_lowercase();
        assert_eq!(seen, "x-check: 7", "{pair:?}");
        let seen = got.one("seen").unwrap().to_ascii_lowercase();
        assert!(seen.contains("te: trailers"), "{pair:?}: {seen}");
    }
}

#[tokio::test]
async fn interim_responses_pass() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        let got = ask(
            &gw,
            pair,
            Ask {
                method: "GET",
                path: "/hint",
                ..Ask::default()
            },
        )
        .await;
        assert_eq!((&*got.interim, got.status), (&[103][..], 200), "{pair:?}");
        let asked = Ask {
            method: "POST",
            path: "/echo",
            fields: &[("expect", "100-continue")],
            body: Body::Known(100),
        };
        let got = ask(&gw, pair, asked).await;
        assert_eq!((got.status, got.body.len()), (200, 100), "{pair:?}");
    }
}

#[tokio::test]
async fn responses_without_content_have_none_and_keep_their_length() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        let got = ask(
            &gw,
            pair,
            Ask {
                method: "HEAD",
                path: "/length/1234",
                ..Ask::default()
            },
        )
        .await;
        assert_eq!(
            (got.status, got.one("content-length"), got.body.len()),
            (200, Some("1234"), 0),
            "{pair:?}"
        );
        for status in [204, 304] {
            let path = format!("/status/{status}");
            let got = ask(
                &gw,
                pair,
                Ask {
                    method: "GET",
                    path: &path,
                    ..Ask::default()
                },
            )
            .await;
            assert_eq!(
                (got.status, got.one("content-length"), got.body.len()),
                (status, None, 0),
                "{pair:?}"
            );
        }
    }
}

#[tokio::test]
async fn fields_of_one_connection_stay_there() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        let got = ask(
            &gw,
            pair,
            Ask {
                method: "GET",
                path: "/length/1",
                ..Ask::default()
            },
        )
        .await;
        for name in ["keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
            assert_eq!(got.one(name), None, "{pair:?}");
        }
        assert_eq!(got.all("set-cookie"), ["a=1", "b=2"], "{pair:?}");
        assert!(got.one("date").is_some(), "{pair:?}");
        let seen = got.one("seen").unwrap().to_ascii_lowercase();
        assert!(
            !seen.contains("|te:") && !seen.contains("connection:"),
            "{pair:?}: {seen}"
        );
        assert!(seen.contains("x-forwarded-proto: http"), "{pair:?}: {seen}");
    }
}

#[tokio::test]
async fn crumbs_of_cookies_reach_a_backend_as_one_field() {
    let (gw, ..) = both().await;
    for pair in [(2, 1), (2, 2)] {
        let fields = [
            ("cookie", "a=1"),
            ("accept", "x"),
            ("cookie", "b=2"),
            ("cookie", "c=3; d=4"),
        ];
        let asked = Ask {
            method: "GET",
            path: "/length/1",
            fields: &fields,
            ..Ask::default()
        };
        let got = ask(&gw, pair, asked).await;
        let seen = got.one("seen").unwrap().to_ascii_lowercase();
        assert!(seen.contains("|cookie: a=1; b=2; c=3; d=4|"), "{pair:?}: {seen}");
        assert_eq!(seen.matches("cookie:").count(), 1, "{pair:?}");
    }
}

#[tokio::test]
async fn the_authority_becomes_the_host_and_the_host_the_authority() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        let got = ask(
            &gw,
            pair,
            Ask {
                method: "GET",
                path: "/length/1",
                ..Ask::default()
            },
        )
        .await;
        let seen = got.one("seen").unwrap().to_ascii_lowercase();
        let host = if pair.1 == 1 { "one.example" } else { "two.example" };
        assert_eq!(seen.matches("|host: ").count(), 1, "{pair:?}: {seen}");
        assert!(seen.contains(&format!("|host: {host}|")), "{pair:?}: {seen}");
    }
}

#[tokio::test]
async fn answers_of_our_own_are_the_same_for_both_versions() {
    let (gw, ..) = both().await;
    for client in [1, 2] {
        for (method, to_head) in [("GET", false), ("HEAD", true), ("POST", false)] {
            let asked = Ask {
                method,
                path: "/",
                ..Ask::default()
            };
            let got = match client {
                1 => ask_one(&gw, "nowhere.example", asked).await,
                _ => ask_two(&gw, "nowhere.example", asked).await,
            };
            assert_eq!(
                (got.status, got.body.is_empty()),
                (404, to_head),
                "{client} {method}"
            );
            let length = got.one("content-length").unwrap().parse::<usize>().unwrap();
            assert!(to_head || length == got.body.len());
            assert_eq!(got.one("connection"), None);
        }
    }
    // RFC 9110 §9.3.6.
    let mut client = Http2::plain(gw.address(80)).await;
    let request = Request::builder()
        .method("CONNECT")
        .uri("one.example:443")
        .body(())
        .unwrap();
    let answer = client.ask(request, true).await.unwrap().answer().await.unwrap();
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn a_protocol_with_line_ends_in_it_adds_no_lines_to_a_request() {
    let (gw, ..) = both().await;
    for host in ["one.example", "two.example"] {
        let mut client = Http2::plain(gw.address(80)).await;
        client.settled().await;
        let request = Request::connect(format!("http://{host}/echo"));
        let request = request
            .extension(Protocol::from("websocket\r\nX-Evil: 1"))
            .body(())
            .unwrap();
        // RFC 9113 §8.2.1: no field has such a value, so what came is no message.
        let answer = client.ask(request, false).await.unwrap().answer().await;
        assert_eq!(answer.unwrap_err().reason(), Some(h2::Reason::PROTOCOL_ERROR));
    }
}
