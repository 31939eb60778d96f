//! Asks the router, the same one that the data plane asks, and puts everything about the answer together.

use super::answer::{
    Answer, BackendShown, CandidateShown, CertificateShown, ListenerShown, Outcome, RequestShown, RuleShown,
};
use super::effects::{self, Seen};
use super::request::Request;
use super::{sockets, streams, words};
use crate::configuration::Configuration;
use crate::echo::Imagined;
use ir::{Action, Bind, Rule, Target};
use router::{Explanation, Head, Socket};
use std::cell::OnceCell;
use std::sync::Arc;

/// A configuration with its sockets, each compiled when it is first asked.
pub struct Explainer<'c> {
    configuration: &'c Configuration,
    echo: bool,
    sockets: Vec<OnceCell<Socket<()>>>,
}

impl<'c> Explainer<'c> {
    /// For a configuration; `echo` says whether Services without endpoints have the built-in backend.
    pub fn new(configuration: &'c Configuration, echo: bool) -> Self {
        let binds = &configuration.translation.snapshot.binds;
        Self {
            configuration,
            echo,
            sockets: binds.iter().map(|_| OnceCell::new()).collect(),
        }
    }

    /// Why a request goes where it goes.
    pub fn answer(&self, request: &Request) -> Answer {
        let mut answer = Answer {
            schema: "narthex.explain/v1",
            request: RequestShown {
                method: request.method.clone(),
                url: request.url(),
                host: None,
                path: None,
                headers: request.headers.clone(),
            },
            outcome: Outcome::Refused,
            summary: String::new(),
            listener: None,
            other_listeners: Vec::new(),
            rule: None,
            filters: Vec::new(),
            backends: Vec::new(),
            considered: Vec::new(),
        };
        match self.decide(request, &mut answer) {
            Ok((outcome, summary)) | Err((outcome, summary)) => {
                answer.outcome = outcome;
                answer.summary = summary;
            }
        }
        answer
    }

    /// The phases of a request up to its backend. Fills in what it learns; `Err` where a request ends early.
    fn decide(&self, request: &Request, answer: &mut Answer) -> Result<Ending, Ending> {
        if let Some(kind) = request.stream {
            return Ok(streams::decide(self.configuration, request, kind, answer));
        }
        let snapshot = &self.configuration.translation.snapshot;
        let chosen = sockets::choose(snapshot, request).map_err(|reason| (Outcome::NoListener, reason))?;
        let bind = &snapshot.binds[chosen.index];
        answer.listener = Some(ListenerShown {
            socket: bind.address.to_string(),
            origin: None,
            hostname: None,
            certificate: None,
            note: chosen.note,
        });
        if request.tls
            && let Some(ending) = streams::tls(self.configuration, bind, request, answer)
        {
            return Ok(ending);
        }
        if request.method == "CONNECT" {
            let refused = "405 Method Not Allowed: CONNECT is refused, this is no forward proxy";
            return Err((Outcome::Refused, refused.into()));
        }
        let (mut host_room, mut path_room) = (String::new(), String::new());
        let host_field = request.host();
        let host = router::host::normalise(host_field.as_bytes(), &mut host_room)
            .map_err(|error| (Outcome::Refused, format!("400 Bad Request: {error}")))?
            .name;
        let path = router::path::read(request.path.as_bytes(), &snapshot.http.path, &mut path_room)
            .map_err(|error| (Outcome::Refused, format!("400 Bad Request: {error}")))?;
        answer.request.host = Some(host.to_owned());
        answer.request.path = Some(path.normal.to_owned());
        let socket = self.socket(chosen.index);
        if request.tls {
            let sni = sockets::sni(request);
            let certificate = sockets::certificate(snapshot, bind, sni.as_deref());
            if let Some(shown) = &mut answer.listener {
                shown.certificate = certificate.map(|certificate| CertificateShown {
                    id: certificate.id.0.to_string(),
                    names: certificate.names.clone(),
                    covers_host: sockets::covers(certificate, host),
                });
            }
            if certificate.is_none() {
                let name = sni.as_deref().unwrap_or("this client");
                return Err((
                    Outcome::Refused,
                    format!("the TLS handshake fails: no certificate for {name}"),
                ));
            }
            if socket.is_misdirected(sni.as_deref(), host) {
                return Err((
                    Outcome::Refused,
                    format!(
                        "421 Misdirected Request: {host} belongs to another listener than the connection's"
                    ),
                ));
            }
        }
        let head = Head {
            method: &request.method,
            host,
            path: path.normal,
            query: request.query.as_deref(),
            headers: &request.headers,
        };
        let explanation = socket.explain(&head);
        show_listener(bind, &explanation, answer);
        self.show_candidates(&explanation, answer);
        let Some(winner) = &explanation.winner else {
            let why = if answer.considered.is_empty() {
                format!("404 Not Found: no rule is for host {host}")
            } else {
                "404 Not Found: no rule answers".into()
            };
            return Err((Outcome::NoRule, why));
        };
        let Some(found) = socket.find(&head).map(|answer| answer.found) else {
            return Err((Outcome::NoRule, "404 Not Found: no rule answers".into()));
        };
        let rule = found.rule();
        answer.rule = Some(RuleShown {
            origin: rule.origin.to_string(),
            kind: rule.origin.kind.to_string(),
            namespace: rule.origin.namespace.to_string(),
            name: rule.origin.name.to_string(),
            rule: rule.origin.section.as_ref().map(ToString::to_string),
            place: self.configuration.rule_place(&rule.origin, rule.index),
            host: winner.host.to_string(),
            conditions: words::conditions(found.matched()),
            over_other_layer: winner
                .over_other_layer
                .map(|why| words::over_other_layer(why).into()),
            timeouts: timeouts(rule),
            retry: rule.retry.as_deref().map(words::retry),
        });
        let seen = Seen {
            request,
            host,
            port: chosen.port,
            path: path.normal,
            forward: path.forward,
            matched: found.matched(),
        };
        Ok(self.carry_out(rule, &seen, answer))
    }

    /// What filters and action of the winning rule do.
    fn carry_out(&self, rule: &Rule, seen: &Seen<'_>, answer: &mut Answer) -> Ending {
        let origin = &rule.origin;
        let filters = effects::run(&rule.filters, seen);
        answer.filters = filters.shown;
        if let Some((status, location)) = filters.redirect {
            return (
                Outcome::Redirected,
                format!("{status} to {location}, by {origin}"),
            );
        }
        if let Some(status) = filters.answered {
            return (
                Outcome::Answered,
                format!("{status} answered by a filter of {origin}"),
            );
        }
        let backends = match &rule.action {
            Action::Forward(backends) => backends,
            Action::Answer => return (Outcome::Answered, format!("answered by a filter of {origin}")),
            Action::Status(status) => return (Outcome::Answered, format!("{status}, by {origin}")),
        };
        let total: u64 = backends.iter().map(|backend| u64::from(backend.weight)).sum();
        answer.backends = backends
            .iter()
            .map(|backend| self.backend(backend, total, seen))
            .collect();
        if total == 0 {
            return (
                Outcome::Answered,
                format!("500 by {origin}: it has no backend with a weight"),
            );
        }
        let shares: Vec<String> = answer
            .backends
            .iter()
            .filter(|backend| backend.weight > 0)
            .map(|backend| {
                let name = backend
                    .upstream
                    .as_deref()
                    .or(backend.broken.as_deref())
                    .unwrap_or_default();
                if backends.len() == 1 {
                    name.to_owned()
                } else {
                    format!("{} {name}", words::percentage(backend.percent))
                }
            })
            .collect();
        (Outcome::Forwarded, format!("{} by {origin}", shares.join(", ")))
    }

    fn backend(&self, backend: &ir::Backend, total: u64, seen: &Seen<'_>) -> BackendShown {
        let percent = if total == 0 {
            0.0
        } else {
            f64::from(backend.weight) * 100.0 / total as f64
        };
        let mut shown = BackendShown {
            upstream: None,
            weight: backend.weight,
            percent,
            endpoints: Vec::new(),
            session: backend.session.as_deref().map(words::session),
            retry_budget: None,
            filters: effects::run(&backend.filters, seen).shown,
            broken: None,
        };
        match &backend.target {
            Target::Broken { status, reason } => shown.broken = Some(format!("{status} ({reason})")),
            Target::Upstream(id) => {
                shown.upstream = Some(id.to_string());
                let upstream = self.configuration.translation.snapshot.upstreams.get(id);
                let budget = upstream.and_then(|upstream| upstream.settings.retry_budget);
                shown.retry_budget = budget.as_ref().map(words::retry_budget);
                let endpoints = upstream.map(|upstream| &*upstream.endpoints).unwrap_or_default();
                shown.endpoints = endpoints.iter().map(|endpoint| self.endpoint(endpoint)).collect();
                if endpoints.is_empty() {
                    shown.broken = Some("503 (no endpoint)".into());
                }
            }
        }
        shown
    }

    fn endpoint(&self, endpoint: &ir::Endpoint) -> String {
        if self.echo && endpoint.address == Imagined::ADDRESS {
            return "built-in echo".into();
        }
        endpoint.address.to_string()
    }

    fn show_candidates(&self, explanation: &Explanation, answer: &mut Answer) {
        let hosts = explanation.layers.iter().flat_map(|layer| &layer.hosts);
        let candidates: usize = hosts.map(|host| host.candidates.len()).sum();
        for layer in &explanation.layers {
            for host in &layer.hosts {
                for candidate in &host.candidates {
                    answer.considered.push(CandidateShown {
                        rule: candidate.rule.to_string(),
                        place: if candidates <= MANY {
                            self.configuration
                                .rule_place_cheaply(&candidate.rule, candidate.rule_index)
                        } else {
                            None
                        },
                        host: host.pattern.to_string(),
                        conditions: words::conditions(&candidate.conditions),
                        won: candidate.verdict == router::explain::Verdict::Won,
                        reason: words::verdict(&candidate.verdict),
                    });
                }
            }
        }
    }

    fn socket(&self, index: usize) -> &Socket<()> {
        let bind: &Arc<Bind> = &self.configuration.translation.snapshot.binds[index];
        self.sockets[index].get_or_init(|| Socket::build(bind, None, &mut |_: &Arc<ir::Route>| ()))
    }
}

/// What becomes of a request, and the sentence that says it.
type Ending = (Outcome, String);

fn timeouts(rule: &Rule) -> Option<String> {
    let timeouts = rule.timeouts.as_deref()?;
    let request = timeouts
        .request
        .map(|limit| format!("request {}", ir::duration::display(limit)));
    let each = timeouts
        .backend_request
        .map(|limit| format!("each try {}", ir::duration::display(limit)));
    let idle = timeouts
        .tunnel_idle
        .map(|limit| format!("upgraded and idle {}", ir::duration::display(limit)));
    let parts: Vec<String> = request.into_iter().chain(each).chain(idle).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn show_listener(bind: &Bind, explanation: &Explanation, answer: &mut Answer) {
    let winner = explanation.winner.as_ref().map(|winner| winner.listener);
    let taking_part =
        |step: &&router::explain::ListenerStep| step.verdict == router::explain::ListenerVerdict::Chosen;
    let index = winner.or_else(|| {
        explanation
            .listeners
            .iter()
            .find(taking_part)
            .map(|step| step.index)
    });
    if let (Some(index), Some(shown)) = (index, &mut answer.listener) {
        shown.origin = Some(listener_name(&bind.listeners[index]));
        shown.hostname = Some(bind.listeners[index].hostname.to_string());
    }
    answer.other_listeners = explanation
        .listeners
        .iter()
        .filter(|step| step.verdict == router::explain::ListenerVerdict::LessSpecific)
        .map(|step| format!("{} for {}: less specific, not asked", step.origin, step.hostname))
        .collect();
}

/// `Gateway ns/name#listener`, or what the Ingress listener is called.
pub fn listener_name(listener: &ir::Listener) -> String {
    match listener.layer {
        ir::Layer::Gateway => listener.origin.to_string(),
        ir::Layer::Ingress => "Ingress listener".into(),
    }
}

/// With more candidates than these, looking up the place of each would take longer than the answer.
const MANY: usize = 200;
