//! A lookup allocates nothing.

use ir::{
    Action, Bind, BindAddress, HostPattern, Layer, Listener, Match, Origin, PathMatch, Route, Rule,
    StringMatch, Transport, ValueMatch,
};
use narthex_router::{Head, Socket};
use std::sync::Arc;

#[test]
fn a_lookup_allocates_nothing() {
    let socket = Socket::build(&bind(), None, &mut |_: &Arc<Route>| ());
    let headers = vec![
        ("Host", "x"),
        ("X-Version", "7"),
        ("Accept", "a"),
        ("accept", "b"),
    ];
    let many_labels = ["a."; 100].concat() + "example.com";
    let deep = "/a".repeat(2000);
    let heads = [
        ("host7.example.com", "/path/7", Some("a=1&v=%32&b=c+d")),
        ("host7.example.com", "/path/7/deeper", None),
        ("host7.example.com", "/user/123/posts", Some("v=2")),
        ("unknown.example.org", "/", None),
        ("x.wild.example.com", "/path/1", Some("")),
        (&many_labels, &deep, None),
        ("", "*", None),
    ]
    .map(|(host, path, query)| Head {
        method: "GET",
        host,
        path,
        query,
        headers: &headers,
    });
    let probe = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(probe.count_total, 1, "allocations are counted");
    let mut answered = 0;
    let counted = allocation_counter::measure(|| {
        for head in &heads {
            answered += usize::from(socket.find(head).is_some());
        }
    });
    assert!(answered >= 4, "{answered} requests were answered");
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

/// Both layers; exact paths, prefixes, expressions, headers, query parameters, methods.
fn bind() -> Bind {
    let listener = |layer, hosts: Vec<HostPattern>| {
        let routes = hosts
            .into_iter()
            .enumerate()
            .map(|(n, host)| Arc::new(route(n, host)));
        Arc::new(Listener {
            clients: None,
            tls_policy: ir::TlsPolicy::default(),
            identity: None,
            origin: Origin::new("Gateway", "gw", "gw"),
            layer,
            hostname: HostPattern::Any,
            tls: vec![],
            routes: routes.collect(),
        })
    };
    let wildcard = |one_label| HostPattern::Wildcard {
        suffix: ".wild.example.com".into(),
        one_label,
    };
    let hosts = || (0..50).map(|n| HostPattern::Exact(format!("host{n}.example.com").into()));
    Bind {
        address: BindAddress { ip: None, port: 80 },
        public_port: None,
        transport: Transport::Http,
        proxy_protocol: false,
        listeners: vec![
            listener(
                Layer::Gateway,
                hosts().chain([wildcard(false), HostPattern::Any]).collect(),
            ),
            listener(Layer::Ingress, hosts().chain([wildcard(true)]).collect()),
        ],
        default_certificates: vec![],
        streams: Vec::new(),
    }
}

fn route(number: usize, host: HostPattern) -> Route {
    let origin = Origin::new("HTTPRoute", "ns", format!("r{number}"));
    let mut matches = vec![
        plain(PathMatch::Exact("/path/7".into())),
        plain(PathMatch::Prefix("/path".into())),
        plain(PathMatch::Regex("/user/[0-9]+/(posts|likes)".into())),
        plain(PathMatch::Regex("/b\u{e9}.*".into())),
    ];
    for version in 0..30 {
        matches.push(Match {
            method: Some("GET".into()),
            headers: vec![
                on("x-version", StringMatch::Exact(version.to_string())),
                on("accept", StringMatch::Exact("a,b".into())),
            ],
            query: vec![
                on("v", StringMatch::Regex("[0-9]".into())),
                on("b", StringMatch::Exact("c d".into())),
            ],
            path: PathMatch::Exact("/path/7".into()),
        });
    }
    Route {
        created: 0,
        hostnames: [host].into(),
        rules: [Rule {
            origin: origin.clone(),
            index: 0,
            matches: matches.into(),
            filters: [].into(),
            action: Action::Answer,
            timeouts: None,
            retry: None,
            grpc: false,
        }]
        .into(),
        origin,
    }
}

fn plain(path: PathMatch) -> Match {
    Match {
        path,
        method: None,
        headers: vec![],
        query: vec![],
    }
}

fn on(name: &str, value: StringMatch) -> ValueMatch {
    ValueMatch {
        name: name.into(),
        value,
    }
}
