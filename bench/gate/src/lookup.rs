//! The router: every host of a table in turn, with the kinds of path that its five rules tell apart.

use crate::count::within;
use ir::{
    Action, Bind, BindAddress, HostPattern, Layer, Listener, Match, Origin, PathMatch, Route, Rule,
    StringMatch, Transport, ValueMatch,
};
use router::{Head, Socket};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

const HOSTS: usize = 1_000;
const PATHS: [&str; 5] = [
    "/",
    "/login",
    "/api/v2/items",
    "/users/42/avatar",
    "/static/app.js",
];

/// Instructions per lookup.
pub fn count(out: &Path) -> Result<f64, String> {
    Ok(within("counted_lookups", out, &["router"])? / (HOSTS * PATHS.len()) as f64)
}

/// `work router`
pub fn work() -> Result<(), String> {
    let bind = bind();
    let socket = Socket::build(&bind, None, &mut |_: &Arc<Route>| ());
    let hosts: Vec<String> = (0..HOSTS).map(host).collect();
    let headers = HEADERS.to_vec();
    let heads: Vec<Head<'_>> = hosts
        .iter()
        .flat_map(|host| {
            PATHS.map(|path| Head {
                method: "GET",
                host,
                path,
                query: None,
                headers: &headers,
            })
        })
        .collect();
    // Once before counting: a regex set may build parts of its automaton on first use.
    counted_by_nobody(&socket, &heads);
    if counted_lookups(&socket, &heads) == heads.len() {
        Ok(())
    } else {
        Err("router: a request without a rule".into())
    }
}

#[inline(never)]
fn counted_lookups(socket: &Socket<()>, heads: &[Head<'_>]) -> usize {
    counted_by_nobody(black_box(socket), heads)
}

fn counted_by_nobody(socket: &Socket<()>, heads: &[Head<'_>]) -> usize {
    heads
        .iter()
        .filter(|head| black_box(socket.find(black_box(head))).is_some())
        .count()
}

fn host(number: usize) -> String {
    format!("host-{number:05}.example.com")
}

fn bind() -> Bind {
    let listener = Listener {
        clients: None,
        tls_policy: ir::TlsPolicy::default(),
        identity: None,
        origin: Origin::new("Gateway", "bench", "gateway"),
        layer: Layer::Gateway,
        hostname: HostPattern::Any,
        tls: vec![],
        routes: (0..HOSTS).map(|number| Arc::new(route(number))).collect(),
    };
    Bind {
        address: BindAddress { ip: None, port: 80 },
        public_port: None,
        transport: Transport::Http,
        proxy_protocol: false,
        listeners: vec![Arc::new(listener)],
        default_certificates: vec![],
        streams: Vec::new(),
    }
}

fn route(number: usize) -> Route {
    let origin = Origin::new("HTTPRoute", "bench", format!("route-{number}"));
    let matches = [
        of(PathMatch::Prefix(String::new())),
        of(PathMatch::Exact("/login".into())),
        Match {
            headers: vec![ValueMatch {
                name: "x-tenant".into(),
                value: StringMatch::Exact("canary".into()),
            }],
            ..of(PathMatch::Prefix("/api/v2".into()))
        },
        of(PathMatch::Prefix("/api".into())),
        of(PathMatch::Regex("/users/[0-9]+/avatar".into())),
    ];
    let rules = matches.into_iter().enumerate().map(|(index, conditions)| Rule {
        origin: origin.section(format!("rules[{index}]")),
        index: index as u32,
        matches: [conditions].into(),
        filters: [].into(),
        action: Action::Answer,
        timeouts: None,
        retry: None,
        grpc: false,
    });
    Route {
        created: 0,
        hostnames: [HostPattern::Exact(host(number).into())].into(),
        rules: rules.collect(),
        origin: origin.clone(),
    }
}

fn of(path: PathMatch) -> Match {
    Match {
        path,
        method: None,
        headers: vec![],
        query: vec![],
    }
}

/// What a browser sends.
const HEADERS: &[(&str, &str)] = &[
    ("Host", "example.com"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)"),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("X-Tenant", "blue"),
    ("Cookie", "session=0123456789abcdef"),
    ("Connection", "keep-alive"),
];
