//! Sends a request to its upstream: gets a connection, writes the head, relays, and decides about another try (what a
//! rule has to say about that: `again`).

mod head;

use super::again::Retries;
use super::answer::ResponseRules;
use super::cancel::unless_reset;
use super::decide::{Kept, Order};
use super::facts::Facts;
use super::mirror::{self, BodyCopy};
use super::record::Record;
use super::relay::{Deadlines, Ending, Relay, Sending, Upload};
use super::session::Session;
use crate::fault::{Fault, Retry};
use crate::forwarded::{Client, Received};
use crate::http::buffer::Buffer;
use crate::http::grpc;
use crate::http::grpc_web::Web;
use crate::http::h1::{BodyLength, BodyWriter, RequestHead, ResponseHead};
use crate::http::h2::websocket;
use crate::http::tunnel;
use crate::stream::Stream;
use crate::time::{Instant, timeout_at};
use crate::upstream::checkout::{self, Ahead, Carries, Checkout};
use crate::upstream::{UpstreamConnection, Wanted};
use crate::worker::WorkerState;
use head::Framing;
use smallvec::SmallVec;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// A request that is to be sent on, and everything that is needed for it.
pub(super) struct Forward<'a, 'p> {
    pub worker: &'a Rc<WorkerState>,
    pub session: &'a mut Session,
    pub settings: &'a ir::HttpSettings,
    pub raw: &'a [u8],
    pub head: &'a RequestHead,
    pub response: &'a mut ResponseHead,
    pub to_upstream: &'a mut Buffer,
    pub from_upstream: &'a mut Buffer,
    pub to_client: &'a mut Buffer,
    pub facts: &'a Facts<'a>,
    pub client: &'a Client,
    pub received: Received,
    pub request_id: &'a [u8],
    pub upload: &'a mut Upload,
    pub web: &'a mut Option<Box<Web>>,
    pub record: &'a mut Record<'p>,
    pub close: bool,
    /// Value of `Alt-Svc`.
    pub alternative: Option<&'a str>,
}

/// How it ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forwarded {
    /// The response is out. Tells whether it said that the connection closes.
    Complete { close: bool },
    /// The connection was upgraded, used and is done with.
    Tunnelled,
}

impl<'p> Forward<'_, 'p> {
    /// Forwards. A fault with nothing answered yet is for the caller to answer.
    pub async fn run(&mut self, order: &mut Order<'p>) -> Result<Forwarded, Fault> {
        let mirrors = std::mem::take(&mut order.changes.mirrors);
        if !mirrors.is_empty() {
            if self.head.body == BodyLength::Empty {
                for cell in &mirrors {
                    mirror::send(self.worker, cell, self.mirror_head(order, Framing::Same, None));
                }
            } else {
                self.upload.copy = Some(BodyCopy::default());
            }
        }
        let outcome = self.try_endpoints(order).await;
        if let Some(body) = self.upload.copy.take().and_then(BodyCopy::complete)
            && self.upload.body.ended()
        {
            for cell in &mirrors {
                let framing = Framing::Length(body.len());
                mirror::send(self.worker, cell, self.mirror_head(order, framing, Some(&body)));
            }
        }
        outcome
    }

    async fn try_endpoints(&mut self, order: &mut Order<'p>) -> Result<Forwarded, Fault> {
        let request_end = self
            .whole_time(order)
            .map(|within| self.worker.clock.now() + within);
        let ends = self.session.ends;
        let mut retries = Retries::new(order.rule.retry.as_deref());
        let mut wanted = Wanted {
            ends: Some(&ends),
            identity: self.record.found.and_then(|found| found.identity),
            once: retries.decides(),
            first: order.kept.as_ref().and_then(|kept| kept.endpoint),
            fresh: false,
            avoid: SmallVec::new(),
            carries: Carries::Http,
        };
        self.upload.replay = retries.replay(self.head.body);
        self.record.cell = Some(order.cell);
        let mut rules = ResponseRules {
            to_head: self.facts.to_head,
            client: self.head.version,
            close: self.close,
            upgrade: self.head.upgrade,
            handshake: None,
            recoded: false,
            filters: order.filters,
            cors: order.changes.cors.take(),
            server: self.settings.server_header.as_deref(),
            alternative: self.alternative,
            session: None,
        };
        // Also what no endpoint could be connected to for: a share of nothing would be nothing.
        order.cell.sent(&self.worker.clock);
        let mut pause = false;
        let mut refusals = MOST_REFUSALS;
        loop {
            if std::mem::take(&mut pause) {
                // Boxed, as few rules have retries, and here, where nothing else has to be kept meanwhile.
                Box::pin(self.pause(order.cell, &mut retries, request_end)).await?;
            }
            let try_end = order
                .rule
                .timeouts()
                .backend_request
                .map(|within| self.worker.clock.now() + within);
            let mut connection = match checkout::begin(self.worker, order.cell, &mut wanted) {
                Ok(Checkout::Done(connection)) => connection,
                other => {
                    let connected = match other {
                        // Boxed: it is rare, and large.
                        Ok(Checkout::Ahead(ahead)) => {
                            Box::pin(self.connect(ahead, &mut wanted, request_end, try_end)).await
                        }
                        Ok(Checkout::Done(connection)) => Ok(connection),
                        Err(fault) => Err(fault),
                    };
                    match connected {
                        Ok(connection) => connection,
                        Err(fault) if retries.cover(fault) => {
                            pause = true;
                            continue;
                        }
                        Err(fault) => return Err(fault),
                    }
                }
            };
            if self.head.upgrade && connection.is_multiplexed() {
                Box::pin(connection.settled()).await;
            }
            self.record.connected(&connection, self.worker.clock.recent());
            if let Some(kept) = &order.kept {
                rules.session = self.session_field(kept, connection.endpoint());
            }
            let left = retries.left();
            let outcome = self
                .try_once(order, &mut connection, &mut rules, left, request_end, try_end)
                .await;
            self.record.tried(self.worker, &connection);
            match outcome {
                Ok(Ending::Complete { reusable }) => {
                    self.record.status = self.response.status;
                    if reusable {
                        connection.give_back(self.worker);
                    }
                    return Ok(Forwarded::Complete { close: rules.close });
                }
                Ok(Ending::Switched) => {
                    self.record.status = 101;
                    return self.tunnel(order, connection).await;
                }
                Err(fault)
                    if self.met_closed(fault, &connection) || self.was_refused(fault, &mut refusals) =>
                {
                    connection.metrics().retried(&self.worker.shard);
                    // The next try counts its time from here.
                    self.worker.clock.now();
                    wanted.fresh = true;
                }
                Err(fault) if !self.may_repeat(fault, &retries) => {
                    self.record.status = if self.record.figures.answered {
                        self.response.status
                    } else {
                        0
                    };
                    return Err(fault);
                }
                again @ (Ok(Ending::Again { .. }) | Err(_)) => {
                    wanted.tried(connection.endpoint());
                    if again == Ok(Ending::Again { reusable: true }) {
                        connection.give_back(self.worker);
                    }
                    pause = true;
                }
            }
            self.forget_try();
            rules.close = self.close;
        }
    }

    /// How long all of it may take, by the rule and, over gRPC, by the client.
    fn whole_time(&self, order: &Order<'_>) -> Option<Duration> {
        let ours = order.rule.timeouts().request;
        if !self.facts.grpc && self.facts.web.is_none() {
            return ours;
        }
        match (ours, grpc::timeout(&self.head.fields, self.raw)) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        }
    }

    /// What tells the client where it is kept, unless it knows.
    fn session_field<'s>(&self, kept: &Kept<'s>, endpoint: SocketAddr) -> Option<(&'s str, String)> {
        if kept.endpoint == Some(endpoint) {
            return None;
        }
        let secured = self.client.scheme == "https";
        kept.sessions.field(&kept.known, endpoint, secured)
    }

    /// Makes room for another try.
    fn forget_try(&mut self) {
        self.response.clear();
        self.from_upstream.clear();
        self.to_upstream.clear();
        self.record.figures.next_try();
    }

    async fn connect(
        &mut self,
        ahead: Ahead,
        wanted: &mut Wanted<'_>,
        request_end: Option<Instant>,
        try_end: Option<Instant>,
    ) -> Result<UpstreamConnection, Fault> {
        let connecting = pin!(ahead.connect(self.worker, wanted));
        let client = &mut self.session.downstream.stream;
        let connecting = unless_reset(client, connecting);
        let (end, fault) = match (request_end, try_end) {
            (None, None) => return connecting.await,
            (Some(request), Some(attempt)) if attempt < request => (attempt, Fault::TryTimeout),
            (Some(request), _) => (request, Fault::RequestTimeout),
            (None, Some(attempt)) => (attempt, Fault::TryTimeout),
        };
        timeout_at(end, connecting).await.unwrap_or(Err(fault))
    }

    async fn try_once(
        &mut self,
        order: &Order<'_>,
        connection: &mut UpstreamConnection,
        rules: &mut ResponseRules<'_>,
        retry: Option<&ir::Retry>,
        request_end: Option<Instant>,
        try_end: Option<Instant>,
    ) -> Result<Ending, Fault> {
        self.upload.state = Sending::Going;
        let host = order.changes.host.or(connection.settings().host.as_deref());
        self.write_head(None, order, host, Framing::Same, self.head.upgrade);
        if connection.is_multiplexed() {
            self.open_stream(connection, rules)?;
        }
        if let Some(replay) = &self.upload.replay {
            self.to_upstream.extend(replay.bytes());
        }
        let (upstream, settings) = connection.parts();
        let limits = Deadlines {
            upstream: settings,
            client: &self.settings.timeouts,
            request: request_end,
            attempt: try_end,
        };
        self.record.figures.sent = 0;
        let mut relay = Relay {
            worker: self.worker,
            control: &self.session.downstream.control,
            alarm: &mut self.session.alarm,
            client: &mut self.session.downstream.stream,
            upstream,
            input: &mut self.session.input,
            to_upstream: self.to_upstream,
            from_upstream: self.from_upstream,
            to_client: self.to_client,
            response: self.response,
            rules,
            upload: self.upload,
            retry,
            web: self.web.as_deref_mut(),
            limits,
            figures: &mut self.record.figures,
        };
        relay.run().await
    }

    /// Opens a stream for the request whose head is ready to be sent, and takes it out of there.
    fn open_stream(
        &mut self,
        connection: &mut UpstreamConnection,
        rules: &mut ResponseRules<'_>,
    ) -> Result<(), Fault> {
        let secured = connection.settings().tls.is_some();
        let Stream::Outbound(stream) = &mut connection.stream else {
            return Ok(());
        };
        self.upload.writer = BodyWriter::Stream;
        if rules.upgrade {
            if !stream.knows_extended_connect() {
                return Err(Fault::NoUpgrade);
            }
            if !self.head.version.has_streams() {
                rules.handshake = websocket::handshake(self.head, self.raw);
            }
        }
        let replays = self
            .upload
            .replay
            .as_ref()
            .is_some_and(|replay| !replay.bytes().is_empty());
        let over = self.upload.body.ended() && !rules.upgrade && !replays;
        let length = stream.start(self.to_upstream.filled(), secured, over)?;
        self.to_upstream.consume(length);
        Ok(())
    }

    /// A request that met a connection which had been closed for idleness is sent again if that does no harm: nothing
    /// of a response came, no byte of a body is gone, and doing it twice comes to the same, or it was never sent
    /// (RFC 9112 §9.3.1).
    fn met_closed(&self, fault: Fault, connection: &UpstreamConnection) -> bool {
        fault.retry() == Retry::IfReused
            && connection.reused()
            && !self.record.figures.answered
            && self.record.figures.first_byte.is_none()
            && self.upload.repeatable()
            && (self.facts.is_idempotent() || self.record.figures.sent == 0)
    }

    /// The endpoint says that it did nothing about the request. Whatever it is, it can be sent again.
    fn was_refused(&self, fault: Fault, refusals: &mut u32) -> bool {
        let again = fault.retry() == Retry::Untouched
            && *refusals > 0
            && !self.record.figures.answered
            && self.upload.repeatable();
        *refusals = refusals.saturating_sub(1);
        again
    }

    /// A failure that the rule wants tried again, with nothing answered yet and nothing of the request lost.
    fn may_repeat(&self, fault: Fault, retries: &Retries<'_>) -> bool {
        retries.cover(fault) && !self.record.figures.answered && self.upload.repeatable()
    }

    async fn tunnel(
        &mut self,
        order: &Order<'_>,
        mut connection: UpstreamConnection,
    ) -> Result<Forwarded, Fault> {
        let protocol = self.head.protocols.of_bytes(self.raw);
        let leave = || self.worker.leaves_at();
        let times = tunnel::Times {
            idle: order
                .rule
                .timeouts()
                .tunnel_idle
                .unwrap_or(connection.settings().tunnel_idle_timeout),
            clock: &self.worker.clock,
            leave: if protocol.eq_ignore_ascii_case(b"websocket") {
                Some(&leave)
            } else {
                None
            },
        };
        let Session {
            downstream,
            alarm,
            input,
            ..
        } = &mut *self.session;
        let (outcome, passed) = tunnel::run(
            &mut downstream.stream,
            &mut connection.stream,
            std::mem::take(input),
            std::mem::take(self.from_upstream),
            times,
            alarm,
        )
        .await;
        self.record.figures.bytes_in += passed.up;
        self.record.figures.bytes_out += passed.down;
        match outcome {
            tunnel::Outcome::Closed => Ok(Forwarded::Tunnelled),
            tunnel::Outcome::Idle => Err(Fault::TunnelIdle),
            tunnel::Outcome::Broken => Err(Fault::ClientGone),
        }
    }
}

/// How often a request is sent again that endpoints gave back untouched.
const MOST_REFUSALS: u32 = 3;
