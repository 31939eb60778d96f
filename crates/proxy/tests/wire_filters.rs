//! Filters and rules through a real listener.

mod support;

use ir::{
    Action, Backend, Cors, Filter, Fraction, HeaderEdit, HostPattern, Mirror, PathMatch, PathRewrite,
    Redirect, Route, Rule, Target, Timeouts, Transport, UpstreamId, UrlRewrite,
};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use support::{
    PATIENCE, Peer, Plane, Server, answer, bind, field, listener, origin_of, rule, snapshot, status, upstream,
};

fn to(name: &str) -> Backend {
    Backend {
        weight: 1,
        session: None,
        target: Target::Upstream(UpstreamId(name.into())),
        filters: [].into(),
    }
}

/// A gate with these rules for every host. Each origin answers with the head that it received.
fn gate(rules: Vec<Rule>, upstreams: &[(&str, &Server)]) -> (Plane, Peer) {
    let route = Arc::new(Route {
        origin: origin_of("HTTPRoute", "route"),
        created: 0,
        hostnames: [HostPattern::Any].into(),
        rules: rules.into(),
    });
    let bind = bind(
        0,
        Transport::Http,
        vec![listener(HostPattern::Any, vec![], vec![route])],
    );
    let upstreams = upstreams
        .iter()
        .map(|(name, server)| upstream(name, &[server.address]))
        .collect();
    let plane = Plane::start(1);
    let address = plane.serve(&snapshot(vec![bind], upstreams, vec![]));
    (plane, Peer::connect(address))
}

fn echo() -> Server {
    Server::start(|mut peer| {
        while let Some(head) = peer.head() {
            peer.send(&answer(&head));
        }
    })
}

/// Takes a request and closes.
fn closed() -> Server {
    Server::start(|mut peer| drop(peer.head()))
}

fn filtered(filters: Vec<Filter>) -> Rule {
    Rule {
        filters: filters.into(),
        ..rule(Action::Forward(vec![to("app")]))
    }
}

/// The rule for paths below a prefix.
fn below(prefix: &str, rule: Rule) -> Rule {
    let mut conditions = rule.matches[0].clone();
    conditions.path = PathMatch::Prefix(prefix.into());
    Rule {
        matches: [conditions].into(),
        ..rule
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

#[test]
fn request_and_response_fields_are_edited() {
    let origin = echo();
    let filters = vec![
        Filter::ResponseHeaders(HeaderEdit {
            set: pairs(&[("X-Out", "1")]),
            ..HeaderEdit::default()
        }),
        Filter::RequestHeaders(HeaderEdit {
            set: pairs(&[("X-Set", "new"), ("X-Forwarded-Proto", "https")]),
            add: pairs(&[("X-Add", "more")]),
            remove: vec!["X-Gone".into()],
        }),
    ];
    let (_plane, mut client) = gate(vec![filtered(filters)], &[("app", &origin)]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nx-set: old\r\nX-Add: one\r\nX-Gone: x\r\n\r\n");
    let (head, seen) = client.response().expect("a response");
    assert_eq!(field(&head, "x-out"), Some("1"));
    assert_eq!(field(&seen, "x-set"), Some("new"));
    assert_eq!(field(&seen, "x-add"), Some("one,more"));
    assert_eq!(field(&seen, "x-gone"), None);
    assert_eq!(
        field(&seen, "x-forwarded-proto"),
        Some("https"),
        "the user has the last word"
    );
    assert_eq!(seen.to_lowercase().matches("x-forwarded-proto").count(), 1);
}

#[test]
fn host_and_path_are_rewritten_and_the_query_stays() {
    let origin = echo();
    let rewriting = filtered(vec![Filter::Rewrite(UrlRewrite {
        hostname: Some("inside.example".into()),
        path: Some(PathRewrite::Prefix("/new".into())),
    })]);
    let rewriting = below("/old", rewriting);
    let (_plane, mut client) = gate(vec![rewriting], &[("app", &origin)]);
    client.send("GET /old/x?q=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let (_, seen) = client.response().expect("a response");
    assert!(seen.starts_with("GET /new/x?q=1 HTTP/1.1\r\n"), "{seen}");
    assert_eq!(field(&seen, "host"), Some("inside.example"));
    assert_eq!(field(&seen, "x-forwarded-host"), Some("a"));
    assert_eq!(seen.to_lowercase().matches("\r\nhost:").count(), 1);
}

#[test]
fn a_redirect_is_answered_and_the_connection_goes_on() {
    let redirect = Filter::Redirect(Redirect {
        scheme: Some("https".into()),
        hostname: Some("new.example".into()),
        port: None,
        path: None,
        status: 301,
    });
    let rule = Rule {
        filters: [redirect].into(),
        ..rule(Action::Answer)
    };
    let (_plane, mut client) = gate(vec![rule], &[]);
    for _ in 0..2 {
        client.send("POST /a?b=c HTTP/1.1\r\nHost: old.example\r\nContent-Length: 5\r\n\r\nhello");
        let (head, _) = client.response().expect("a response");
        assert_eq!(status(&head), "301");
        assert_eq!(field(&head, "location"), Some("https://new.example/a?b=c"));
        assert_eq!(field(&head, "connection"), None);
    }
}

#[test]
fn plain_http_is_sent_to_https() {
    let redirect = Filter::HttpsRedirect {
        status: 308,
        port: 8443,
    };
    let origin = echo();
    let (_plane, mut client) = gate(vec![filtered(vec![redirect])], &[("app", &origin)]);
    client.send("GET /a HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-Proto: https\r\n\r\n");
    let (head, _) = client.response().expect("a response");
    assert_eq!(
        (status(&head), field(&head, "location")),
        ("308", Some("https://a.example:8443/a"))
    );
}

#[test]
fn preflights_are_answered_here_and_grants_come_with_responses() {
    let origin = Server::start(|mut peer| {
        while peer.head().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nAccess-Control-Allow-Origin: *\r\n\r\n");
        }
    });
    let cors = Filter::Cors(Cors {
        allow_origins: vec![ir::filter::CorsOrigin {
            scheme: Some("https".into()),
            host: HostPattern::Exact("app.example".into()),
            port: None,
        }],
        allow_methods: vec!["GET".into(), "PUT".into()],
        allow_headers: vec!["X-Token".into()],
        expose_headers: vec!["X-Count".into()],
        allow_credentials: true,
        max_age: 60,
    });
    let (_plane, mut client) = gate(vec![filtered(vec![cors.clone()])], &[("app", &origin)]);
    let preflight = "OPTIONS / HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Method: PUT\r\n";
    client.send(&format!("{preflight}Origin: https://app.example\r\n\r\n"));
    let head = client.head().expect("a response");
    assert_eq!(status(&head), "204");
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, PUT"),
        ("access-control-allow-headers", "X-Token"),
        ("access-control-max-age", "60"),
    ] {
        assert_eq!(field(&head, name), Some(value), "{name}");
    }
    client.send(&format!("{preflight}Origin: https://evil.example\r\n\r\n"));
    let head = client.head().expect("a response");
    assert_eq!(field(&head, "access-control-allow-origin"), None);

    client.send("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\n\r\n");
    let (head, _) = client.response().expect("a response");
    assert_eq!(
        field(&head, "access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(field(&head, "access-control-expose-headers"), Some("X-Count"));
    assert_eq!(field(&head, "vary"), Some("Origin"));
    client.send("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\n\r\n");
    let (head, _) = client.response().expect("a response");
    assert_eq!(
        field(&head, "access-control-allow-origin"),
        None,
        "the gateway is the authority"
    );

    // Scripts may read our own answers, too.
    let (_plane, mut client) = gate(vec![filtered(vec![cors])], &[("app", &closed())]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\n\r\n");
    let (head, _) = client.response().expect("a response");
    assert_eq!(
        (status(&head), field(&head, "access-control-allow-origin")),
        ("502", Some("https://app.example"))
    );
}

#[test]
fn a_mirror_gets_the_whole_request_and_a_dead_one_delays_nothing() {
    let (report, seen) = mpsc::channel();
    let report = Mutex::new(report);
    let shadow = Server::start(move |mut peer| {
        let head = peer.head().expect("a request");
        let length = field(&head, "content-length")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let body = peer.read_exactly(length);
        report
            .lock()
            .expect("one thread")
            .send((head, body))
            .expect("reported");
        // Never answers.
        peer.head();
    });
    let origin = Server::start(|mut peer| {
        while let Some(head) = peer.head() {
            if field(&head, "transfer-encoding").is_some() {
                peer.read_exactly("5\r\nhello\r\n0\r\n\r\n".len());
            }
            peer.send(&answer("original"));
        }
    });
    let mirror = |upstream: &str| {
        Filter::Mirror(Mirror {
            upstream: UpstreamId(upstream.into()),
            fraction: Fraction::ALL,
        })
    };
    let rule = filtered(vec![mirror("shadow"), mirror("nobody")]);
    let route = Arc::new(Route {
        origin: origin_of("HTTPRoute", "route"),
        created: 0,
        hostnames: [HostPattern::Any].into(),
        rules: [rule].into(),
    });
    let bind = bind(
        0,
        Transport::Http,
        vec![listener(HostPattern::Any, vec![], vec![route])],
    );
    let plane = Plane::start(1);
    let address = plane.serve(&snapshot(
        vec![bind],
        vec![
            upstream("app", &[origin.address]),
            upstream("shadow", &[shadow.address]),
            upstream("nobody", &[]),
        ],
        vec![],
    ));
    let mut client = Peer::connect(address);
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().expect("a response").1, "original");
    let (head, _) = seen.recv_timeout(PATIENCE).expect("mirrored");
    assert!(head.starts_with("GET /x HTTP/1.1\r\n"));
    client.send("POST /y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(client.response().expect("a response").1, "original");
    let (head, body) = seen.recv_timeout(PATIENCE).expect("mirrored");
    assert!(head.starts_with("POST /y HTTP/1.1\r\n"));
    assert_eq!(
        (field(&head, "content-length"), body.as_str()),
        (Some("5"), "hello")
    );
    assert_eq!(field(&head, "transfer-encoding"), None);
}

#[test]
fn weights_are_kept_and_broken_backends_answer_for_their_share() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let share = |name: &str, weight| Backend { weight, ..to(name) };
    let broken = Backend {
        weight: 1,
        session: None,
        target: Target::Broken {
            status: 500,
            reason: "no such Service".into(),
        },
        filters: [].into(),
    };
    let rule = rule(Action::Forward(vec![
        share("a", 6),
        share("b", 3),
        broken,
        share("c", 0),
    ]));
    let (_plane, mut client) = gate(vec![rule], &[("a", &a), ("b", &b)]);
    let (mut from_a, mut from_b, mut broken) = (0, 0, 0);
    for _ in 0..1000 {
        let (head, body) = client.get("x").expect("a response");
        match (status(&head), body.as_str()) {
            ("200", "a") => from_a += 1,
            ("200", "b") => from_b += 1,
            ("500", _) => broken += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!((530..=670).contains(&from_a), "{from_a}");
    assert!((230..=370).contains(&from_b), "{from_b}");
    assert!((60..=145).contains(&broken), "{broken}");
}

#[test]
fn a_rules_time_is_up_with_504() {
    let silent = Server::start(|mut peer| {
        peer.head();
        peer.head();
    });
    for timeouts in [
        Timeouts {
            tunnel_idle: None,
            request: Some(Duration::from_millis(150)),
            backend_request: None,
        },
        Timeouts {
            tunnel_idle: None,
            request: None,
            backend_request: Some(Duration::from_millis(150)),
        },
    ] {
        let rule = Rule {
            timeouts: Some(Arc::new(timeouts)),
            ..rule(Action::Forward(vec![to("app")]))
        };
        let (_plane, mut client) = gate(vec![rule], &[("app", &silent)]);
        assert_eq!(status(&client.get("a").expect("a response").0), "504");
    }
}

#[test]
fn a_rules_time_that_is_up_behind_interim_responses_tears_none_of_them() {
    // RFC 9112 §2.1: a message must not begin in the middle of another one's head.
    const LINK: usize = 15_000;
    let (report, gone) = mpsc::channel();
    let report = Mutex::new(report);
    let talkative = Server::start(move |mut peer| {
        peer.head();
        let hint = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(LINK));
        // Gets stuck, for the client doesn't read, and fails when the gate gives up.
        while peer.try_send(&hint).is_ok() {}
        report.lock().expect("one thread").send(()).expect("reported");
    });
    let rule = Rule {
        timeouts: Some(Arc::new(Timeouts {
            request: Some(Duration::from_millis(700)),
            ..Timeouts::default()
        })),
        ..rule(Action::Forward(vec![to("app")]))
    };
    let (_plane, mut client) = gate(vec![rule], &[("app", &talkative)]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gone.recv_timeout(PATIENCE).expect("the time is up");
    loop {
        let head = client.head().expect("a response");
        if status(&head) != "103" {
            assert_eq!(status(&head), "504");
            break;
        }
        assert_eq!(field(&head, "link").map(str::len), Some(LINK), "a torn head");
    }
}

#[test]
fn no_route_and_no_backend_have_their_statuses() {
    let only = below("/here", rule(Action::Forward(vec![])));
    let (_plane, mut client) = gate(vec![only], &[]);
    client.send("GET /there HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status(&client.response().expect("a response").0), "404");
    client.send("GET /here HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status(&client.response().expect("a response").0), "500");
}
