//! Seeded chance: the same seed gives the same objects and requests on every machine.

use std::fmt::Write as _;

/// A small generator (SplitMix64).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Starts with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// A request of the same small world as [`objects`], so that rules and requests often meet.
#[derive(Debug, Clone)]
pub struct RandomRequest {
    /// Method.
    pub method: &'static str,
    /// Host.
    pub host: String,
    /// Path, without query.
    pub path: String,
    /// Query, without `?`.
    pub query: Option<String>,
    /// Further fields; names in lower case.
    pub headers: Vec<(&'static str, &'static str)>,
}

/// Makes up a request.
pub fn request(chance: &mut Chance) -> RandomRequest {
    let host = match *chance.of(HOSTS) {
        wildcard if wildcard.starts_with('*') => format!("{}{}", chance.of(&["x", "x.y"]), &wildcard[1..]),
        "" => "elsewhere.example".to_owned(),
        host => (*host).to_owned(),
    };
    let mut path = String::new();
    for _ in 0..chance.below(4) {
        let _ = write!(path, "/{}", chance.of(ELEMENTS));
    }
    if path.is_empty() || chance.once_in(5) {
        path.push('/');
    }
    let mut headers = Vec::new();
    for name in HEADERS {
        if chance.once_in(2) {
            headers.push((*name, *chance.of(VALUES)));
        }
    }
    let query = chance
        .once_in(3)
        .then(|| format!("{}={}", chance.of(PARAMETERS), chance.of(VALUES)));
    let method = *chance.of(METHODS);
    RandomRequest {
        method,
        host,
        path,
        query,
        headers,
    }
}

/// Makes up a Gateway, HTTPRoutes and Ingresses on its port. Each rule has a Service of its own, `rule-0` and on,
/// so that an answer tells which rule it came from; there are [`RULES`] at most.
pub fn objects(chance: &mut Chance) -> String {
    let mut yaml = String::from(FRONT);
    for service in 0..RULES {
        let _ = write!(
            yaml,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: rule-{service}, namespace: default}}\n\
             spec: {{ports: [{{port: 80}}]}}\n"
        );
    }
    let mut rule = 0;
    for number in 0.. {
        if rule >= RULES {
            break;
        }
        if chance.once_in(3) {
            ingress(&mut yaml, chance, number, &mut rule);
        } else {
            http_route(&mut yaml, chance, number, &mut rule);
        }
    }
    yaml
}

fn http_route(yaml: &mut String, chance: &mut Chance, number: usize, rule: &mut usize) {
    let _ = write!(
        yaml,
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
         metadata: {{name: route-{number}, namespace: default, creationTimestamp: \"2026-01-01T00:00:{:02}Z\"}}\n\
         spec:\n  parentRefs: [{{name: front}}]\n",
        chance.below(3)
    );
    let hosts: Vec<_> = (0..chance.below(3))
        .map(|_| *chance.of(HOSTS))
        .filter(|host| !host.is_empty())
        .collect();
    if !hosts.is_empty() {
        let _ = writeln!(yaml, "  hostnames: {hosts:?}");
    }
    yaml.push_str("  rules:\n");
    for _ in 0..=chance.below(3) {
        let _ = writeln!(
            yaml,
            "  - backendRefs: [{{name: rule-{}, port: 80}}]\n    matches:",
            *rule % RULES
        );
        *rule += 1;
        for _ in 0..=chance.below(2) {
            yaml.push_str(&http_match(chance));
        }
    }
}

fn http_match(chance: &mut Chance) -> String {
    let (kind, value) = match chance.below(6) {
        0 => ("Exact", path(chance)),
        1 => ("RegularExpression", format!("{}(/[a-z]+)?", path(chance))),
        _ => ("PathPrefix", path(chance)),
    };
    let mut text = format!("    - path: {{type: {kind}, value: \"{value}\"}}\n");
    if chance.once_in(4) {
        let _ = writeln!(text, "      method: {}", chance.of(METHODS));
    }
    if chance.once_in(3) {
        let _ = writeln!(
            text,
            "      headers: [{{name: {}, value: {}}}]",
            chance.of(HEADERS),
            chance.of(VALUES)
        );
    }
    if chance.once_in(4) {
        let (name, value) = (chance.of(PARAMETERS), chance.of(VALUES));
        let _ = writeln!(text, "      queryParams: [{{name: {name}, value: {value}}}]");
    }
    text
}

fn ingress(yaml: &mut String, chance: &mut Chance, number: usize, rule: &mut usize) {
    let _ = write!(
        yaml,
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: ingress-{number}, namespace: default}}\n\
         spec:\n  ingressClassName: narthex\n  rules:\n"
    );
    // `*.example.test` and the like; an empty host is every host.
    let host = *chance.of(HOSTS);
    if host.is_empty() {
        yaml.push_str("  - http:\n      paths:\n");
    } else {
        let _ = write!(yaml, "  - host: \"{host}\"\n    http:\n      paths:\n");
    }
    for _ in 0..=chance.below(2) {
        let kind = chance.of(&["Exact", "Prefix"]);
        let _ = writeln!(
            yaml,
            "      - {{path: \"{}\", pathType: {kind}, backend: {{service: {{name: rule-{}, port: {{number: 80}}}}}}}}",
            path(chance),
            *rule % RULES
        );
        *rule += 1;
    }
}

fn path(chance: &mut Chance) -> String {
    let mut path = String::new();
    for _ in 0..chance.below(3) {
        let _ = write!(path, "/{}", chance.of(ELEMENTS));
    }
    if path.is_empty() { "/".into() } else { path }
}

/// Rules in one set of objects.
pub const RULES: usize = 24;

/// A class for each API, and a Gateway named `front` on port 80.
const FRONT: &str = "\
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: narthex}
spec: {controller: narthex.dev/ingress-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: narthex}
spec: {controllerName: narthex.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: default}
spec:
  gatewayClassName: narthex
  listeners:
  - {name: any, port: 80, protocol: HTTP}
  - {name: wide, port: 80, protocol: HTTP, hostname: \"*.example.test\"}
  - {name: one, port: 80, protocol: HTTP, hostname: a.example.test}
";
const HOSTS: &[&str] = &[
    "",
    "a.example.test",
    "b.example.test",
    "*.example.test",
    "*.test",
    "*.a.example.test",
];
const ELEMENTS: &[&str] = &["a", "b", "ab"];
const METHODS: &[&str] = &["GET", "POST", "DELETE"];
const HEADERS: &[&str] = &["x-one", "x-two"];
const VALUES: &[&str] = &["red", "blue"];
const PARAMETERS: &[&str] = &["p", "q"];
