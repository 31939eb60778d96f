//! Rules and requests in a line of words.
//!
//! Rule: `gw LISTENER:HOSTNAME ROUTE HOST PATH [CONDITION]...` or `ingress ROUTE HOST PATH [CONDITION]...`. Lines of one
//! route are its rules. PATH is `exact:/x`, `prefix:/x` or `regex:/x`. A condition is a method, `h:name=value`,
//! `h:name~regex`, `q:name=value` or `age=N` (of the route).
//! Request: `METHOD host/path?query [h:name=value]...`. Answer: `route#rule`.

use ir::{
    Action, Bind, BindAddress, HostPattern, Layer, List, Listener, Match, Origin, PathMatch, Route, Rule,
    StringMatch, Transport, ValueMatch,
};
use narthex_router::{Head, Socket};
use std::sync::Arc;

pub fn winner(rules: &[&str], request: &str) -> String {
    with_head(request, |head| match socket(rules).find(head) {
        Some(answer) => short(&answer.found.rule().origin),
        None => "none".into(),
    })
}

pub fn misdirected(rules: &[&str], sni: Option<&str>, host: &str) -> bool {
    socket(rules).is_misdirected(sni, host)
}

pub fn unusable(rules: &[&str]) -> Vec<String> {
    let mut origins: Vec<String> = socket(rules)
        .unusable()
        .map(|unusable| short(&unusable.origin))
        .collect();
    origins.sort_unstable();
    origins
}

/// One line per step, in words of the types.
pub fn explain(rules: &[&str], request: &str) -> Vec<String> {
    let explanation = with_head(request, |head| socket(rules).explain(head));
    let mut lines = Vec::new();
    for step in &explanation.listeners {
        let name = step.origin.section.as_deref().unwrap_or("ingress");
        lines.push(format!("listener {name}: {:?}", step.verdict));
    }
    for layer in &explanation.layers {
        for host in &layer.hosts {
            lines.push(format!("{:?} {}: {:?}", layer.layer, host.pattern, host.verdict));
            for candidate in &host.candidates {
                lines.push(format!("{}: {:?}", short(&candidate.rule), candidate.verdict));
            }
        }
    }
    if let Some(winner) = &explanation.winner {
        let over = winner
            .over_other_layer
            .map(|over| format!(" over the other layer by {over:?}"));
        lines.push(format!(
            "winner: {}{}",
            short(&winner.rule),
            over.unwrap_or_default()
        ));
    }
    lines
}

fn socket(lines: &[&str]) -> Socket<()> {
    let mut listeners: Vec<Listener> = Vec::new();
    for line in lines {
        let mut words = line.split(' ');
        let mut word = || words.next().expect("another word");
        let (layer, origin, hostname) = match word() {
            "gw" => {
                let (name, hostname) = word().split_once(':').expect("listener:hostname");
                let origin = Origin::new("Gateway", "ns", "gw").section(name);
                (Layer::Gateway, origin, host(hostname, Layer::Gateway))
            }
            _ => (
                Layer::Ingress,
                Origin::new("Narthex", "", "ingress"),
                HostPattern::Any,
            ),
        };
        let route = route(layer, word(), word(), words.clone());
        let position = listeners.iter().position(|listener| listener.origin == origin);
        let position = position.unwrap_or_else(|| {
            listeners.push(Listener {
                clients: None,
                tls_policy: ir::TlsPolicy::default(),
                identity: None,
                origin,
                layer,
                hostname,
                tls: vec![],
                routes: List::default(),
            });
            listeners.len() - 1
        });
        let routes = &mut listeners[position].routes;
        *routes = add(routes.iter().map(|route| (**route).clone()).collect(), route);
    }
    // The Ingress listener comes last, as in every snapshot.
    listeners.sort_by_key(|listener| listener.layer == Layer::Ingress);
    let bind = Bind {
        address: BindAddress { ip: None, port: 80 },
        public_port: None,
        transport: Transport::Http,
        proxy_protocol: false,
        listeners: listeners.into_iter().map(Arc::new).collect(),
        default_certificates: vec![],
        streams: Vec::new(),
    };
    Socket::build(&bind, None, &mut |_: &Arc<Route>| ())
}

/// Joins the rules of one route.
fn add(mut routes: Vec<Route>, new: Route) -> List<Route> {
    let same = routes
        .iter_mut()
        .find(|old| old.origin == new.origin && old.hostnames == new.hostnames);
    match same {
        None => routes.push(new),
        Some(old) => {
            let mut rules = std::mem::take(&mut old.rules).into_vec();
            for mut rule in new.rules {
                let index = rules.len();
                rule.origin = old.origin.section(format!("rules[{index}]"));
                rule.index = index as u32;
                rules.push(rule);
            }
            old.rules = rules.into();
        }
    }
    routes.into_iter().map(Arc::new).collect()
}

fn route<'w>(layer: Layer, name: &str, hostname: &str, mut words: impl Iterator<Item = &'w str>) -> Route {
    let kind = if layer == Layer::Gateway {
        "HTTPRoute"
    } else {
        "Ingress"
    };
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    let origin = Origin::new(kind, namespace, name);
    let (path_kind, text) = words
        .next()
        .and_then(|word| word.split_once(':'))
        .expect("kind:path");
    let mut conditions = Match {
        path: match path_kind {
            "exact" => PathMatch::Exact(text.into()),
            "regex" => PathMatch::Regex(text.into()),
            _ => PathMatch::Prefix(text.trim_end_matches('/').into()),
        },
        method: None,
        headers: vec![],
        query: vec![],
    };
    let mut created = 0;
    for word in words {
        if let Some(condition) = word.strip_prefix("h:") {
            conditions.headers.push(value(condition));
        } else if let Some(condition) = word.strip_prefix("q:") {
            conditions.query.push(value(condition));
        } else if let Some(age) = word.strip_prefix("age=") {
            created = age.parse().expect("a number");
        } else {
            conditions.method = Some(word.into());
        }
    }
    Route {
        created,
        hostnames: [host(hostname, layer)].into(),
        rules: [Rule {
            origin: origin.section("rules[0]"),
            index: 0,
            matches: [conditions].into(),
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

fn value(condition: &str) -> ValueMatch {
    let at = condition.find(['=', '~']).expect("name=value or name~regex");
    let text = condition[at + 1..].to_owned();
    ValueMatch {
        name: condition[..at].into(),
        value: if condition[at..].starts_with('=') {
            StringMatch::Exact(text)
        } else {
            StringMatch::Regex(text)
        },
    }
}

fn host(text: &str, layer: Layer) -> HostPattern {
    match text.strip_prefix('*') {
        Some("") => HostPattern::Any,
        Some(suffix) => HostPattern::Wildcard {
            suffix: suffix.into(),
            one_label: layer == Layer::Ingress,
        },
        None => HostPattern::Exact(text.into()),
    }
}

fn with_head<T>(request: &str, with: impl FnOnce(&Head<'_>) -> T) -> T {
    let mut words = request.split(' ');
    let method = words.next().expect("a method");
    let target = words.next().expect("a target");
    let (host, rest) = target.split_at(target.find('/').expect("a path"));
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let headers: Vec<(&str, &str)> = words
        .filter_map(|word| word.strip_prefix("h:")?.split_once('='))
        .collect();
    with(&Head {
        method,
        host,
        path,
        query,
        headers: &headers,
    })
}

/// `HTTPRoute ns/name#rules[1]` is `ns/name#1`.
fn short(origin: &Origin) -> String {
    let section = origin.section.as_deref().unwrap_or_default();
    let rule = section.trim_start_matches("rules[").trim_end_matches(']');
    if origin.namespace.is_empty() {
        format!("{}#{rule}", origin.name)
    } else {
        format!("{}/{}#{rule}", origin.namespace, origin.name)
    }
}
