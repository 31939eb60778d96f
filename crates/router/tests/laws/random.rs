//! Random listeners, routes and requests over alphabets so small that they keep meeting each other.

use ir::{
    Action, Bind, BindAddress, HostPattern, Layer, Listener, Match, Origin, PathMatch, Route, Rule,
    StringMatch, Transport, ValueMatch,
};
use narthex_router::Head;
use std::sync::Arc;

/// xorshift with a seed, so that a failure can be had again.
pub struct Dice {
    state: u64,
    routes: u32,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            routes: 0,
        }
    }

    pub fn roll(&mut self, sides: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % sides as u64) as usize
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.roll(chances) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len())]
    }
}

/// One to three Gateway listeners of distinct hostnames and mostly an Ingress listener.
pub fn bind(dice: &mut Dice) -> Bind {
    let mut listeners: Vec<Arc<Listener>> = Vec::new();
    for _ in 0..dice.roll(4) {
        let hostname = if dice.one_in(3) {
            HostPattern::Any
        } else {
            host(dice, Layer::Gateway)
        };
        if listeners.iter().all(|other| other.hostname != hostname) {
            listeners.push(listener(dice, Layer::Gateway, hostname));
        }
    }
    if !dice.one_in(4) {
        listeners.push(listener(dice, Layer::Ingress, HostPattern::Any));
    }
    Bind {
        address: BindAddress { ip: None, port: 80 },
        public_port: None,
        transport: Transport::Http,
        proxy_protocol: false,
        listeners,
        default_certificates: vec![],
        streams: Vec::new(),
    }
}

pub fn route(dice: &mut Dice, layer: Layer) -> Arc<Route> {
    dice.routes += 1;
    let kind = match layer {
        Layer::Gateway => "HTTPRoute",
        Layer::Ingress => "Ingress",
    };
    // Distinct names; namespaces in which `-` sorts before `/`.
    let origin = Origin::new(kind, dice.of(&["a", "a-b", "b"]), format!("r{:05}", dice.routes));
    let hosts = if layer == Layer::Gateway {
        1 + dice.roll(2)
    } else {
        1
    };
    // Now and then enough rules of one path that values are looked up instead of tried.
    let crowd = dice.one_in(8);
    let rules = if crowd { 20 } else { 1 + dice.roll(4) };
    let path = path_match(dice);
    Arc::new(Route {
        created: i64::from(dice.one_in(2)) + i64::from(dice.one_in(3)),
        hostnames: (0..hosts).map(|_| mixed(host(dice, layer), dice)).collect(),
        rules: (0..rules)
            .map(|index| Rule {
                origin: origin.section(format!("rules[{index}]")),
                index: index as u32,
                matches: (0..=dice.roll(2))
                    .map(|_| conditions(dice, if crowd { Some(&path) } else { None }))
                    .collect(),
                filters: [].into(),
                action: Action::Answer,
                timeouts: None,
                retry: None,
                grpc: false,
            })
            .collect(),
        origin,
    })
}

/// A request that owns its parts.
#[derive(Debug)]
pub struct Request {
    method: &'static str,
    host: &'static str,
    path: String,
    query: Option<String>,
    headers: Vec<(&'static str, &'static str)>,
}

impl Request {
    pub fn head(&self) -> Head<'_> {
        Head {
            method: self.method,
            host: self.host,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
        }
    }
}

pub fn request(dice: &mut Dice) -> Request {
    let mut headers = Vec::new();
    for _ in 0..dice.roll(4) {
        headers.push((
            dice.of(&["x", "X", "y", "z"]),
            dice.of(&["1", "2", "3", "", "1,2"]),
        ));
    }
    let mut query = Vec::new();
    for _ in 0..dice.roll(3) {
        query.push(dice.of(&["p=1", "p=2", "q=1", "p=%31", "%70=1", "q", "q=a+b", "p=a%20b", ""]));
    }
    Request {
        method: dice.of(&["GET", "GET", "POST", "PUT"]),
        host: dice.of(&[
            "a.x", "b.x", "a.b.x", "b.b.x", "a.b.b.x", "x", "a.y", "b.x", "a.b.x", "",
        ]),
        path: if dice.one_in(60) {
            "*".to_owned()
        } else {
            path(dice, true)
        },
        query: (!dice.one_in(3)).then(|| query.join("&")),
        headers,
    }
}

fn listener(dice: &mut Dice, layer: Layer, hostname: HostPattern) -> Arc<Listener> {
    let name = format!("l{}", dice.roll(1_000_000));
    Arc::new(Listener {
        clients: None,
        tls_policy: ir::TlsPolicy::default(),
        identity: None,
        origin: Origin::new("Gateway", "gw", "gw").section(name),
        layer,
        hostname,
        tls: vec![],
        routes: (0..dice.roll(9)).map(|_| route(dice, layer)).collect(),
    })
}

fn host(dice: &mut Dice, layer: Layer) -> HostPattern {
    match dice.roll(8) {
        0..=1 => HostPattern::Any,
        2..=4 => HostPattern::Wildcard {
            suffix: dice.of(&[".x", ".b.x", ".b.b.x"]).into(),
            one_label: layer == Layer::Ingress,
        },
        _ => HostPattern::Exact(dice.of(&["a.x", "b.x", "a.b.x", "b.b.x", "x"]).into()),
    }
}

/// Each layer has its own kind of wildcard; now and then a route has the other one.
fn mixed(pattern: HostPattern, dice: &mut Dice) -> HostPattern {
    match pattern {
        HostPattern::Wildcard { suffix, one_label } => HostPattern::Wildcard {
            suffix,
            one_label: one_label != dice.one_in(10),
        },
        other => other,
    }
}

fn path(dice: &mut Dice, whole: bool) -> String {
    let mut path = String::new();
    for _ in 0..dice.of(&[0, 1, 1, 2, 2, 3]) {
        path.push('/');
        path.push_str(dice.of(&["a", "a", "a", "b", "ab"]));
    }
    if whole && (path.is_empty() || dice.one_in(5)) {
        path.push('/');
    }
    path
}

fn path_match(dice: &mut Dice) -> PathMatch {
    match dice.roll(6) {
        0..=1 => PathMatch::Exact(path(dice, true)),
        2 => PathMatch::Regex(
            dice.of(&[
                "/a", "/a|/ab", "/.*", "/a/.*", "/[ab]+", "/a(/b)?", "/[^/]+/b", ".*", "/(a|b)/?", "/b.*|/a",
            ])
            .into(),
        ),
        _ => PathMatch::Prefix(path(dice, false)),
    }
}

fn conditions(dice: &mut Dice, path: Option<&PathMatch>) -> Match {
    let crowd = path.is_some();
    Match {
        path: path.cloned().unwrap_or_else(|| path_match(dice)),
        method: dice.one_in(4).then(|| dice.of(&["GET", "POST"]).to_owned()),
        headers: values(dice, &["x", "y"], crowd),
        query: values(dice, &["p", "q"], false),
    }
}

/// Conditions on some of these names, each at most once.
fn values(dice: &mut Dice, names: &[&str], often: bool) -> Vec<ValueMatch> {
    let mut values = Vec::new();
    for (position, name) in names.iter().enumerate() {
        if (often && position == 0 && !dice.one_in(5)) || dice.one_in(5) {
            let value = match dice.roll(5) {
                0 => StringMatch::Regex(dice.of(&["[12]", "1|1,.*", ".*", "a b"]).into()),
                _ => StringMatch::Exact(dice.of(&["1", "2", "3", "", "a b", "1,2"]).into()),
            };
            values.push(ValueMatch {
                name: (*name).to_owned(),
                value,
            });
        }
    }
    if dice.one_in(2) {
        values.reverse();
    }
    values
}
