//! Lookups in tables of all shapes.

use crate::bytes::Bytes;
use ir::{
    Action, Bind, BindAddress, HostPattern, Layer, Listener, Match, Origin, PathMatch, Route, Rule,
    StringMatch, Transport, ValueMatch,
};
use router::{Head, Socket};
use std::sync::Arc;

const HOSTS: [&str; 6] = [
    "a.example",
    "b.a.example",
    "c.b.a.example",
    "example",
    "x.test",
    "",
];
const SUFFIXES: [&str; 4] = [".example", ".a.example", ".b.a.example", ".test"];
const PATHS: [&str; 9] = [
    "",
    "/a",
    "/a/b",
    "/ab",
    "/a/b/c",
    "/b",
    "/a%2Fb",
    "/A",
    "/a/b/c/d/e",
];
const REGEXES: [&str; 6] = ["/a|/ab", "/[ab]/.*", ".*", "/a(/.*)?", "(?i)/a/B", ""];
const WORDS: [&str; 4] = ["a", "b", "a,b", ""];
const METHODS: [&str; 4] = ["GET", "POST", "get", "HEAD"];

/// A socket and requests: never a panic; `explain` gives the answer of `find`; building on the previous table gives
/// what building from nothing gives; the answer's conditions hold.
pub fn router(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    // Compiling regular expressions takes nearly all of the time: most runs do without.
    let regexes = bytes.next() & 7 == 7;
    let bind = bind(&mut bytes, regexes);
    let socket: Socket<()> = Socket::build(&bind, None, &mut |_: &Arc<Route>| ());
    let mut other = bind.clone();
    // The same listeners with a route less, and back: as after two changes.
    if let Some(listener) = other.listeners.first_mut() {
        let mut smaller = Listener::clone(listener);
        let fewer = smaller.routes.len().saturating_sub(1);
        smaller.routes = smaller.routes.iter().take(fewer).cloned().collect();
        *listener = Arc::new(smaller);
    }
    let between = Socket::build(&other, Some(&socket), &mut |_: &Arc<Route>| ());
    let rebuilt = Socket::build(&bind, Some(&between), &mut |_: &Arc<Route>| ());
    for _ in 0..4 {
        let host = bytes.one_of(&HOSTS);
        let fields = [
            (bytes.one_of(&["x", "y"]), bytes.one_of(&WORDS)),
            ("x", bytes.one_of(&WORDS)),
        ];
        let fields: Vec<(&str, &str)> = fields[..bytes.below(3)].to_vec();
        let query = format!(
            "x={}&{}={}",
            bytes.one_of(&WORDS),
            bytes.one_of(&["x", "y"]),
            bytes.one_of(&WORDS)
        );
        let path = format!("{}{}", bytes.one_of(&PATHS), bytes.one_of(&["/", "", "/b", "b"]));
        let head = Head {
            method: bytes.one_of(&METHODS),
            host,
            path: if path.starts_with('/') { &path } else { "/" },
            query: (bytes.below(2) == 1).then_some(query.as_str()),
            headers: &fields,
        };
        let answer = socket.find(&head).map(|answer| {
            let found = answer.found;
            let rule = found.rule();
            assert!(
                path_matches(&rule.matches[found.matched as usize].path, head.path),
                "{rule:?} for {}",
                head.path
            );
            let method = rule.matches[found.matched as usize].method.as_deref();
            assert!(method.is_none_or(|method| method == head.method));
            assert!(found.host.matches(host));
            (
                answer.listener,
                found.route.origin.clone(),
                found.rule,
                found.matched,
            )
        });
        let explained = socket
            .explain(&head)
            .winner
            .map(|winner| (winner.listener, winner.route, winner.rule_index, winner.matched));
        assert_eq!(answer, explained, "explain differs from find");
        let again = rebuilt.find(&head).map(|answer| {
            let found = answer.found;
            (
                answer.listener,
                found.route.origin.clone(),
                found.rule,
                found.matched,
            )
        });
        assert_eq!(answer, again, "rebuilt differs from built");
    }
}

fn bind(bytes: &mut Bytes<'_>, regexes: bool) -> Bind {
    let mut listeners = Vec::new();
    for number in 0..=bytes.below(3) {
        listeners.push(Arc::new(listener(
            bytes,
            &format!("gateway-{number}"),
            Layer::Gateway,
            regexes,
        )));
    }
    listeners.sort_by(|a, b| a.hostname.specificity(&b.hostname));
    listeners.dedup_by(|a, b| a.hostname == b.hostname);
    if bytes.below(2) == 1 {
        let mut ingress = listener(bytes, "ingress", Layer::Ingress, regexes);
        ingress.hostname = HostPattern::Any;
        listeners.push(Arc::new(ingress));
    }
    Bind {
        address: BindAddress { ip: None, port: 80 },
        public_port: None,
        transport: Transport::Http,
        proxy_protocol: false,
        listeners,
        default_certificates: Vec::new(),
        streams: Vec::new(),
    }
}

fn listener(bytes: &mut Bytes<'_>, name: &str, layer: Layer, regexes: bool) -> Listener {
    let hostname = host(bytes, layer);
    let routes = (0..bytes.below(6))
        .map(|number| Arc::new(route(bytes, number, name, layer, regexes)))
        .collect();
    Listener {
        clients: None,
        tls_policy: ir::TlsPolicy::default(),
        identity: None,
        origin: Origin::new("Gateway", "n", name),
        layer,
        hostname,
        tls: Vec::new(),
        routes,
    }
}

fn route(bytes: &mut Bytes<'_>, number: usize, listener: &str, layer: Layer, regexes: bool) -> Route {
    let origin = Origin::new("HTTPRoute", "n", format!("{listener}-{number}"));
    let hostnames = (0..=bytes.below(2)).map(|_| host(bytes, layer)).collect();
    let rules = (0..=bytes.below(3))
        .map(|index| rule(bytes, &origin, index, regexes))
        .collect();
    Route {
        created: i64::from(bytes.next() & 1),
        origin,
        hostnames,
        rules,
    }
}

fn rule(bytes: &mut Bytes<'_>, origin: &Origin, index: usize, regexes: bool) -> Rule {
    Rule {
        origin: origin.section(format!("rules[{index}]")),
        index: u32::try_from(index).unwrap_or(0),
        matches: (0..=bytes.below(2)).map(|_| condition(bytes, regexes)).collect(),
        filters: [].into(),
        action: Action::Answer,
        timeouts: None,
        retry: None,
        grpc: false,
    }
}

fn condition(bytes: &mut Bytes<'_>, regexes: bool) -> Match {
    let path = match bytes.below(9) {
        0 if regexes => PathMatch::Regex(bytes.one_of(&REGEXES).to_owned()),
        0..=4 => PathMatch::Prefix(bytes.one_of(&PATHS).to_owned()),
        _ => PathMatch::Exact(format!(
            "{}{}",
            bytes.one_of(&PATHS[1..]),
            bytes.one_of(&["", "/"])
        )),
    };
    Match {
        path,
        method: (bytes.below(3) == 0).then(|| bytes.one_of(&METHODS).to_owned()),
        headers: values(bytes, regexes),
        query: values(bytes, regexes),
    }
}

fn values(bytes: &mut Bytes<'_>, regexes: bool) -> Vec<ValueMatch> {
    let names = match bytes.below(6) {
        0 => &["x", "y"][..],
        1 => &["x"],
        _ => &[],
    };
    let value = |name: &&str| ValueMatch {
        name: (*name).to_owned(),
        value: match bytes.below(8) {
            0 if regexes => StringMatch::Regex(bytes.one_of(&["a|a,b", ".*", "b?"]).to_owned()),
            _ => StringMatch::Exact(bytes.one_of(&WORDS).to_owned()),
        },
    };
    names.iter().map(value).collect()
}

fn host(bytes: &mut Bytes<'_>, layer: Layer) -> HostPattern {
    match bytes.below(4) {
        0 => HostPattern::Any,
        1 => HostPattern::Wildcard {
            suffix: bytes.one_of(&SUFFIXES).into(),
            one_label: layer == Layer::Ingress,
        },
        _ => HostPattern::Exact(bytes.one_of(&HOSTS[..5]).into()),
    }
}

/// As the Gateway API words it, for what can be said without a regex engine.
fn path_matches(condition: &PathMatch, path: &str) -> bool {
    match condition {
        PathMatch::Exact(text) => text == path,
        PathMatch::Prefix(prefix) => path
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        PathMatch::Regex(_) => true,
    }
}
