//! Finds the rule for a request, runs its filters and chooses a backend. Waits for nothing.

use super::facts::Facts;
use crate::connection::TlsFacts;
use crate::fault::Fault;
use crate::filter::{self, Changes, CompiledFilter};
use crate::forwarded::{self, Client, Received};
use crate::http::h1::head::strip_hop_by_hop;
use crate::http::h1::{BodyLength, Fields, Name, NameSet, RequestHead};
use crate::plan::{Action, CompiledRule, Found, PlanSocket, Target};
use crate::respond::Reply;
use crate::sessions::{Known, Sessions};
use crate::upstream::UpstreamCell;
use crate::worker::WorkerState;
use ir::PathMatch;
use std::net::SocketAddr;
use std::sync::Arc;

/// What is to be done.
pub(super) struct Decision<'p> {
    pub found: Option<Found<'p>>,
    pub step: Step<'p>,
    /// What a trusted proxy said about the client.
    pub received: Received,
}

pub(super) enum Step<'p> {
    /// Answered here; for a fault if there is one.
    Reply(Reply, Option<Fault>),
    /// Sent on.
    Forward(Order<'p>),
}

/// Where a request goes and how.
pub(super) struct Order<'p> {
    pub cell: &'p Arc<UpstreamCell>,
    pub changes: Changes<'p>,
    /// Filters of the rule and of the backend, for the response.
    pub filters: [&'p [CompiledFilter]; 2],
    /// Its time limits and when to try again.
    pub rule: &'p CompiledRule,
    /// A filter may have edited request fields.
    pub edited: bool,
    /// Set where the backend keeps its clients.
    pub kept: Option<Box<Kept<'p>>>,
}

/// What is to be done about a client's session.
#[derive(Debug)]
pub(super) struct Kept<'p> {
    pub sessions: &'p Sessions,
    /// What the client knows.
    pub known: Known,
    /// The endpoint of the backend among that, if it still is one.
    pub endpoint: Option<SocketAddr>,
}

impl Decision<'_> {
    /// Nothing but a fault.
    pub fn fault(fault: Fault) -> Self {
        Self::with_status(fault, fault.status())
    }

    fn with_status(fault: Fault, status: u16) -> Self {
        Self {
            found: None,
            step: Step::Reply(Reply::fault(fault, status), Some(fault)),
            received: Received::default(),
        }
    }
}

/// Decides. Afterwards the request's fields are the ones to send on, but for those that are written anew.
/// `tls` is set on TLS.
#[expect(clippy::too_many_arguments, reason = "each is a different thing")]
pub(super) fn decide<'p>(
    worker: &WorkerState,
    socket: &'p PlanSocket,
    tls: Option<&TlsFacts>,
    facts: &Facts<'_>,
    client: &Client,
    raw: &[u8],
    head: &mut RequestHead,
    settings: &ir::HttpSettings,
) -> Decision<'p> {
    if let Some(fault) = facts.fault {
        return Decision::fault(fault);
    }
    if tls.is_some_and(|tls| socket.router.is_misdirected(tls.sni.as_deref(), facts.host)) {
        return Decision::fault(Fault::Misdirected);
    }
    // Who was let in under another rule than today's is not served on its old connection.
    if tls.is_some_and(|tls| !tls.admission.holds(tls.sni.as_deref(), socket.tls.as_deref())) {
        return Decision::fault(Fault::Misdirected);
    }
    let found = socket.find(&router::Head {
        method: facts.method,
        host: facts.host,
        path: facts.path.normal,
        query: facts.query,
        headers: &View {
            fields: &head.fields,
            raw,
        },
    });
    // The length is known before anything is sent, so nobody needs to see the request.
    if let (Some(limit), BodyLength::Length(length) | BodyLength::Stream(Some(length))) =
        (settings.limits.body, head.body)
        && length > limit
    {
        return Decision {
            found,
            ..Decision::fault(Fault::BodyTooLarge)
        };
    }
    let Some(found) = found else {
        return Decision::fault(Fault::NoRoute);
    };
    let received = Received::take(client, &head.fields, raw);
    strip(
        head,
        raw,
        client.trusted && tls.is_none_or(|tls| tls.admission.client().is_none()),
    );
    Decision {
        found: Some(found),
        step: step(worker, found, facts, client, raw, head),
        received,
    }
}

fn step<'p>(
    worker: &WorkerState,
    found: Found<'p>,
    facts: &Facts<'_>,
    client: &Client,
    raw: &[u8],
    head: &mut RequestHead,
) -> Step<'p> {
    let rule = found.rule;
    let chosen = rule.choose(|total| worker.random.below(total));
    // Before any filter can change what the client said.
    let kept = chosen.and_then(|backend| {
        let (sessions, cell) = (backend.sessions.as_deref()?, backend.target.cell()?);
        Some(Box::new(kept(sessions, cell, &head.fields, raw)))
    });
    let mut changes = Changes::default();
    let mut edited = false;
    let mut run = |filters: &'p [CompiledFilter], changes: &mut Changes<'p>| {
        if filters.is_empty() {
            return None;
        }
        edited = true;
        let mut request = filter::Request {
            raw,
            method: facts.method.as_bytes(),
            fields: &mut head.fields,
            scheme: client.scheme,
            host: facts.host,
            port: client.port,
            path: facts.path.normal,
            own_path: facts.path.forward,
            query: facts.query,
            prefix: match &found.matched.path {
                PathMatch::Prefix(prefix) => Some(prefix),
                _ => None,
            },
        };
        filter::run(filters, &mut request, changes, &|bound| {
            worker.random.below(bound)
        })
    };
    if let Some(reply) = run(&rule.filters, &mut changes) {
        return answer(reply, None, &changes);
    }
    let answer = |reply, fault| answer(reply, fault, &changes);
    match &rule.action {
        Action::Forward { .. } => {}
        // For `Answer`, a filter should have answered: with HTTPS there is nothing to redirect to.
        Action::Status(404) | Action::Answer => {
            return answer(Reply::fault(Fault::NoRoute, 404), Some(Fault::NoRoute));
        }
        Action::Status(status) => return answer(Reply::status(*status), None),
    }
    let broken = |status| {
        answer(
            Reply::fault(Fault::BrokenBackend, status),
            Some(Fault::BrokenBackend),
        )
    };
    let Some(backend) = chosen else {
        return broken(500);
    };
    let cell = match &backend.target {
        Target::Upstream(cell) => cell,
        Target::Broken(status) => return broken(*status),
    };
    if let Some(reply) = run(&backend.filters, &mut changes) {
        return self::answer(reply, None, &changes);
    }
    Step::Forward(Order {
        cell,
        changes,
        filters: [&rule.filters, &backend.filters],
        rule,
        edited,
        kept,
    })
}

/// What the client of a request knows about its session at a backend.
#[inline(never)]
fn kept<'p>(sessions: &'p Sessions, cell: &UpstreamCell, fields: &Fields, raw: &[u8]) -> Kept<'p> {
    let known = sessions.find(fields, raw);
    let endpoint = sessions.endpoint(&known).filter(|endpoint| cell.has(*endpoint));
    Kept {
        sessions,
        known,
        endpoint,
    }
}

/// An answer of our own, with what a CORS filter grants.
fn answer<'p>(mut reply: Reply, fault: Option<Fault>, changes: &Changes<'_>) -> Step<'p> {
    if let Some(grant) = &changes.cors {
        filter::cors::allow_reply(grant, &mut reply);
    }
    Step::Reply(reply, fault)
}

/// What a client can't say of itself.
const CLIENT_CERTIFICATE: NameSet = NameSet::of(&[Name::XForwardedClientCert]);

/// Takes out what is not to be sent on. `passes_certificate`: a trusted proxy says who its client is.
fn strip(head: &mut RequestHead, raw: &[u8], passes_certificate: bool) {
    strip_hop_by_hop(&mut head.fields, raw, head.connection);
    head.fields.take_out(forwarded::OURS);
    if !passes_certificate {
        head.fields.take_out(CLIENT_CERTIFICATE);
    }
    if head.disguised {
        head.fields.remove_if(raw, |_, name| Name::is_disguised(name));
    }
}

/// Fields as the router asks for them.
struct View<'a> {
    fields: &'a Fields,
    raw: &'a [u8],
}

impl router::Headers for View<'_> {
    fn next_value(&self, lower_name: &str, from: usize) -> Option<(usize, &[u8])> {
        self.fields.find_from(self.raw, lower_name.as_bytes(), from)
    }
}
