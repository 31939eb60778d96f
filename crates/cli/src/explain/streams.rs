//! Streams: which listener and route take a connection or a flow, and where they send it. The decision is the router's,
//! as in the data plane.

use super::answer::{Answer, BackendShown, CertificateShown, ListenerShown, Outcome, RuleShown};
use super::request::{Request, StreamKind};
use super::{sockets, words};
use crate::configuration::Configuration;
use ir::{Bind, HostPattern, StreamListener, StreamRoute, StreamTarget, StreamTls, Transport};
use router::{StreamRoutes, Streams, TakenBy};
use std::sync::Arc;

/// What becomes of it, and the sentence that says it.
type Ending = (Outcome, String);

/// Answers for a `tls://`, `tcp://` or `udp://` URL.
pub fn decide(
    configuration: &Configuration,
    request: &Request,
    kind: StreamKind,
    answer: &mut Answer,
) -> Ending {
    let snapshot = &configuration.translation.snapshot;
    let port = request.port.unwrap_or(443);
    if kind == StreamKind::Udp {
        let Some(bind) = snapshot.udp.iter().find(|bind| bind.address.port == port) else {
            let ports = snapshot.udp.iter().map(|bind| bind.address.port);
            return nothing(port, "UDP", ports);
        };
        answer.listener = Some(shown(&bind.address.to_string(), &bind.listener));
        return first(configuration, &bind.listener, answer);
    }
    let wanted = match kind {
        StreamKind::Tls => Transport::Https,
        StreamKind::Tcp | StreamKind::Udp => Transport::Tcp,
    };
    let binds = || snapshot.binds.iter().filter(|bind| bind.transport == wanted);
    let Some(bind) = binds().find(|bind| bind.address.port == port) else {
        let word = if kind == StreamKind::Tls { "TLS" } else { "TCP" };
        return nothing(port, word, binds().map(|bind| bind.address.port));
    };
    if kind == StreamKind::Tcp {
        let Some(listener) = bind.streams.first() else {
            return (Outcome::NoListener, format!("nobody answers on port {port}"));
        };
        answer.listener = Some(shown(&bind.address.to_string(), listener));
        return first(configuration, listener, answer);
    }
    tls(configuration, bind, request, answer).unwrap_or_else(|| {
        answer.listener = Some(ListenerShown {
            socket: bind.address.to_string(),
            origin: None,
            hostname: None,
            certificate: None,
            note: Some("HTTPS takes the connection; ask for https:// to see where a request goes".into()),
        });
        (Outcome::Answered, "taken by HTTPS, which ends TLS".into())
    })
}

/// Answers for a TLS connection, if it is a stream listener that takes it.
pub fn tls(
    configuration: &Configuration,
    bind: &Bind,
    request: &Request,
    answer: &mut Answer,
) -> Option<Ending> {
    if bind.streams.is_empty() {
        return None;
    }
    let sni = sockets::sni(request);
    let name = sni.as_deref().unwrap_or("a client without SNI").to_owned();
    let streams = Streams::build(bind, None, &mut |_| ());
    match streams.of_sni(sni.as_deref()) {
        TakenBy::Http => None,
        TakenBy::Nobody => Some((
            Outcome::NoRule,
            format!("closed before TLS begins: no listener is for {name}"),
        )),
        TakenBy::Stream { listener, chosen, .. } => {
            let mut listener_shown = shown(&bind.address.to_string(), listener);
            if let StreamTls::Terminate(certificates) = &listener.tls {
                let snapshot = &configuration.translation.snapshot;
                let certificate = certificates.first().and_then(|id| snapshot.certificates.get(id));
                listener_shown.certificate = certificate.map(|certificate| CertificateShown {
                    id: certificate.id.0.to_string(),
                    names: certificate.names.clone(),
                    covers_host: sockets::covers(certificate, &name),
                });
            }
            answer.listener = Some(listener_shown);
            answer.request.host = sni;
            let Some(chosen) = chosen else {
                return Some((
                    Outcome::NoRule,
                    format!("closed before TLS begins: no route of the listener is for {name}"),
                ));
            };
            let host = matching(&chosen.route, &name);
            Some(forwarded(
                configuration,
                &chosen.route,
                host,
                "the most specific hostname",
                answer,
            ))
        }
    }
}

/// The oldest route takes everything.
fn first(configuration: &Configuration, listener: &Arc<StreamListener>, answer: &mut Answer) -> Ending {
    let routes = StreamRoutes::build(listener, None, &mut |_| ());
    let Some(chosen) = routes.first() else {
        return (Outcome::NoRule, "refused: the listener has no route".into());
    };
    let others = listener.routes.len() - 1;
    let why = match others {
        0 => "the only route of the listener".to_owned(),
        1 => "older than the other route of the listener".to_owned(),
        several => format!("older than the {several} other routes of the listener"),
    };
    forwarded(configuration, &chosen.route, "*".into(), &why, answer)
}

fn forwarded(
    configuration: &Configuration,
    route: &StreamRoute,
    host: String,
    why: &str,
    answer: &mut Answer,
) -> Ending {
    let origin = route.origin.section(Arc::clone(&route.rule));
    answer.rule = Some(RuleShown {
        origin: origin.to_string(),
        kind: origin.kind.to_string(),
        namespace: origin.namespace.to_string(),
        name: origin.name.to_string(),
        rule: Some(route.rule.to_string()),
        place: configuration.rule_place_cheaply(&origin, 0),
        host,
        conditions: why.to_owned(),
        over_other_layer: None,
        timeouts: None,
        retry: None,
    });
    let total: u64 = route
        .backends
        .iter()
        .map(|backend| u64::from(backend.weight))
        .sum();
    answer.backends = route
        .backends
        .iter()
        .map(|backend| {
            let mut shown = BackendShown {
                upstream: None,
                weight: backend.weight,
                percent: if total == 0 {
                    0.0
                } else {
                    f64::from(backend.weight) * 100.0 / total as f64
                },
                endpoints: Vec::new(),
                session: None,
                retry_budget: None,
                filters: Vec::new(),
                broken: None,
            };
            match &backend.target {
                StreamTarget::Broken { reason } => shown.broken = Some(format!("refused ({reason})")),
                StreamTarget::Upstream(id) => {
                    shown.upstream = Some(id.to_string());
                    let upstream = configuration.translation.snapshot.upstreams.get(id);
                    let endpoints = upstream.map(|upstream| &*upstream.endpoints).unwrap_or_default();
                    shown.endpoints = endpoints
                        .iter()
                        .map(|endpoint| endpoint.address.to_string())
                        .collect();
                    if endpoints.is_empty() {
                        shown.broken = Some("refused (no endpoint)".into());
                    }
                }
            }
            shown
        })
        .collect();
    if total == 0 {
        return (
            Outcome::Refused,
            format!("refused by {origin}: it has no backend with a weight"),
        );
    }
    let weighty = answer.backends.iter().filter(|backend| backend.weight > 0);
    let shares: Vec<String> = weighty
        .map(|backend| {
            let name = backend.upstream.as_deref().unwrap_or("refused");
            if backend.percent >= 100.0 {
                name.to_owned()
            } else {
                format!("{} {name}", words::percentage(backend.percent))
            }
        })
        .collect();
    let all_broken =
        { answer.backends.iter() }.all(|backend| backend.weight == 0 || backend.broken.is_some());
    let outcome = if all_broken {
        Outcome::Refused
    } else {
        Outcome::Forwarded
    };
    (outcome, format!("{} by {origin}", shares.join(", ")))
}

fn shown(socket: &str, listener: &StreamListener) -> ListenerShown {
    ListenerShown {
        socket: socket.to_owned(),
        origin: Some(listener.origin.to_string()),
        hostname: Some(listener.hostname.to_string()),
        certificate: None,
        note: match listener.tls {
            StreamTls::None => None,
            StreamTls::Passthrough => Some("TLS is passed through".into()),
            StreamTls::Terminate(_) => Some("TLS ends here; the backend gets what is inside".into()),
        },
    }
}

/// The route's hostname under which it was found.
fn matching(route: &StreamRoute, name: &str) -> String {
    let covering = route.hostnames.iter().filter(|pattern| pattern.matches(name));
    let best = covering.min_by(|a, b| a.specificity(b));
    best.unwrap_or(&HostPattern::Any).to_string()
}

fn nothing(port: u16, word: &str, ports: impl Iterator<Item = u16>) -> Ending {
    let ports: Vec<String> = ports.map(|port| port.to_string()).collect();
    let there = if ports.is_empty() {
        format!("nothing listens for {word} at all")
    } else {
        format!("{word} is on port {}", ports.join(" and "))
    };
    (
        Outcome::NoListener,
        format!("nothing listens for {word} on port {port}; {there}"),
    )
}
