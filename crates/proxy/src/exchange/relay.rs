//! Carries a request to an upstream connection and the response back, both at once, with bounded buffers.
//!
//! Each direction takes bytes only while there is room to put them, so a slow reader on one side slows down the
//! writer on the other. Nothing is awaited that may be there already: sockets are tried first, a timer is looked at
//! only when both directions are stuck.

mod wait;

pub(super) use wait::Deadlines;

use super::answer::ResponseRules;
use crate::connection::Control;
use crate::fault::Fault;
use crate::http::alarm::Alarm;
use crate::http::buffer::{Buffer, Fill};
use crate::http::h1::response::LARGEST_HEAD;
use crate::http::h1::{BodyLength, BodyReader, BodyWriter, RequestHead, ResponseHead, parse_response};
use crate::stream::Stream;
use crate::worker::WorkerState;
use std::future::poll_fn;
use std::task::{Context, Poll};
use tokio::time::Instant;
use wait::Waits;

/// One try: a request on its way to one endpoint.
pub(super) struct Relay<'a, 'r> {
    pub worker: &'a WorkerState,
    pub control: &'a Control,
    pub alarm: &'a mut Alarm,
    pub client: &'a mut Stream,
    pub upstream: &'a mut Stream,
    /// Bytes from the client behind the request's head.
    pub input: &'a mut Buffer,
    /// Request on its way out. The head is in it at the start.
    pub to_upstream: &'a mut Buffer,
    pub from_upstream: &'a mut Buffer,
    pub to_client: &'a mut Buffer,
    pub response: &'a mut ResponseHead,
    pub rules: &'a mut ResponseRules<'r>,
    pub upload: &'a mut Upload,
    pub limits: Deadlines,
    pub figures: &'a mut Figures,
}

/// The request's body and how far it is.
#[derive(Debug, Default)]
pub(super) struct Upload {
    pub body: BodyReader,
    pub writer: BodyWriter,
    /// Content bytes that may still come; beyond: 413.
    pub allowance: u64,
    /// The client waits for `100 Continue`: until the upstream has said so, silence is not the client's fault.
    pub expects_continue: bool,
    /// Content kept for mirrors.
    pub copy: Option<super::mirror::BodyCopy>,
    /// Whether content bytes were taken from the client: then the request can't be sent again.
    pub consumed: bool,
    pub state: Sending,
}

impl Upload {
    /// The body that a request's head announces, nothing of it taken yet.
    pub fn of(head: &RequestHead, limits: &ir::Limits) -> Self {
        Self {
            body: BodyReader::new(head.body),
            writer: if head.body == BodyLength::Chunked {
                BodyWriter::Chunked
            } else {
                BodyWriter::Plain
            },
            allowance: limits.body.unwrap_or(u64::MAX),
            expects_continue: head.expects_continue,
            ..Self::default()
        }
    }
}

/// Where the request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sending {
    /// On its way.
    #[default]
    Going,
    /// All of it is sent.
    Sent,
    /// The upstream takes no more. It may have answered all the same.
    Refused,
}

/// What passed, for logs and metrics.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub body_out: u64,
    /// Bytes sent to the upstream in this try.
    pub sent: u64,
    pub upstream_status: u16,
    /// Interim responses of the upstream so far.
    pub interim: u32,
    pub first_byte: Option<Instant>,
    /// The final response's head was put into the client's buffer: no other answer can be given any more.
    pub answered: bool,
    /// The client knows the end of the body by the end of the connection.
    pub until_close: bool,
}

/// How a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The response is out. Tells whether the upstream connection can serve another request.
    Complete { reusable: bool },
    /// Both sides speak another protocol now.
    Switched,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    Body,
    Switching,
    Over,
}

impl Relay<'_, '_> {
    /// Runs until the response is out or something fails.
    pub async fn run(mut self) -> Result<Ending, Fault> {
        let mut phase = Phase::Head;
        let mut body = BodyReader::Ended;
        let mut writer = BodyWriter::Plain;
        let mut waits = Waits::default();
        poll_fn(|cx| {
            loop {
                let mut moved = self.poll_upload(cx, &mut waits)?;
                moved |= self.poll_response(cx, &mut phase, &mut body, &mut writer, &mut waits)?;
                if phase == Phase::Over && self.to_client.is_drained() {
                    return Poll::Ready(Ok(self.ending()));
                }
                if phase == Phase::Switching && self.to_client.is_drained() {
                    return Poll::Ready(Ok(Ending::Switched));
                }
                if !moved {
                    break;
                }
            }
            if phase == Phase::Head {
                self.watch_client(cx, &mut waits)?;
            }
            self.wait(cx, phase, &mut waits)
        })
        .await
    }

    fn ending(&self) -> Ending {
        Ending::Complete {
            // Whatever lies there unasked belongs to no request of ours.
            reusable: self.response.persistent()
                && self.upload.state == Sending::Sent
                && self.from_upstream.is_empty()
                && !self.rules.until_close(self.response),
        }
    }

    /// Takes the request's body from the client and sends the request. Tells whether something moved.
    #[inline]
    fn poll_upload(&mut self, cx: &mut Context<'_>, waits: &mut Waits) -> Result<bool, Fault> {
        let mut moved = false;
        while self.upload.state == Sending::Going {
            let mut more = false;
            if !self.upload.body.ended() {
                more = self.poll_body_in(cx)?;
                moved |= more;
            }
            let before = self.to_upstream.len();
            match self
                .to_upstream
                .poll_drain(cx, self.upstream, &mut self.figures.sent)
            {
                Poll::Ready(Ok(())) => {
                    moved |= before > 0;
                    if self.upload.body.ended() {
                        self.upload.state = Sending::Sent;
                        // The response has its whole time from the end of the request on.
                        waits.response_since = None;
                    } else if !more {
                        break;
                    }
                }
                Poll::Ready(Err(_)) => {
                    self.to_upstream.clear();
                    self.upload.state = Sending::Refused;
                    return Ok(true);
                }
                Poll::Pending => {
                    moved |= self.to_upstream.len() < before;
                    break;
                }
            }
        }
        if moved {
            waits.upload_since = None;
        }
        Ok(moved)
    }

    /// Reads from the client until nothing more is there or the upstream's buffer is full.
    fn poll_body_in(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        let mut moved = false;
        loop {
            let upload = &mut *self.upload;
            let copy = &mut upload.copy;
            let content = upload
                .body
                .transfer(upload.writer, self.input, self.to_upstream, ROOM, |content| {
                    if let Some(copy) = copy {
                        copy.take(content);
                    }
                })
                .map_err(|_| Fault::BadRequestBody)?;
            if content > 0 {
                upload.consumed = true;
                self.figures.bytes_in += content;
                upload.expects_continue = false;
                moved = true;
                upload.allowance = upload.allowance.checked_sub(content).ok_or(Fault::BodyTooLarge)?;
            }
            if upload.body.ended() || self.to_upstream.len() >= ROOM {
                return Ok(moved);
            }
            match self.input.poll_fill(cx, self.client, ROOM) {
                Poll::Ready(Ok(Fill::Some(_))) => moved = true,
                Poll::Ready(Ok(Fill::Full)) | Poll::Pending => return Ok(moved),
                Poll::Ready(Ok(Fill::Closed) | Err(_)) => return Err(Fault::ClientGone),
            }
        }
    }

    /// Takes the response from the upstream and sends it to the client. Tells whether something moved.
    #[inline]
    fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        phase: &mut Phase,
        body: &mut BodyReader,
        writer: &mut BodyWriter,
        waits: &mut Waits,
    ) -> Result<bool, Fault> {
        let mut moved = false;
        loop {
            let more = match *phase {
                Phase::Head => self.poll_head(cx, phase, body, writer)?,
                Phase::Body => self.poll_body_out(cx, body, *writer)?,
                Phase::Switching | Phase::Over => false,
            };
            if *phase == Phase::Body && body.ended() {
                *phase = Phase::Over;
            }
            // More of the head or of the body may be there already: one write for all of it.
            if more && *phase != Phase::Over && self.to_client.len() < ROOM {
                moved = true;
                continue;
            }
            let before = self.to_client.len();
            let drained = self
                .to_client
                .poll_drain(cx, self.client, &mut self.figures.bytes_out)
                .map_err(|_| Fault::ClientGone)?;
            moved |= more || self.to_client.len() < before;
            if !more || drained.is_pending() || matches!(*phase, Phase::Over | Phase::Switching) {
                break;
            }
        }
        if moved {
            waits.response_since = None;
        }
        Ok(moved)
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        phase: &mut Phase,
        body: &mut BodyReader,
        writer: &mut BodyWriter,
    ) -> Result<bool, Fault> {
        // Interim responses wait for a client that doesn't read, as the body does.
        if self.to_client.len() >= ROOM {
            return Ok(false);
        }
        if !self.from_upstream.is_empty()
            && let Some(end) = parse_response(self.from_upstream.filled(), self.response)?
        {
            self.figures
                .first_byte
                .get_or_insert_with(|| self.worker.clock.now());
            self.take_head(end, phase, body, writer)?;
            return Ok(true);
        }
        match self.from_upstream.poll_fill(cx, self.upstream, LARGEST_HEAD) {
            Poll::Ready(Ok(Fill::Some(_))) => Ok(true),
            Poll::Ready(Ok(Fill::Full)) => Err(Fault::ResponseHeadTooLarge),
            Poll::Ready(Ok(Fill::Closed) | Err(_)) if self.from_upstream.is_empty() => {
                Err(Fault::UpstreamClosed)
            }
            Poll::Ready(Ok(Fill::Closed) | Err(_)) => Err(Fault::BadResponse),
            Poll::Pending => Ok(false),
        }
    }

    fn take_head(
        &mut self,
        end: usize,
        phase: &mut Phase,
        body: &mut BodyReader,
        writer: &mut BodyWriter,
    ) -> Result<(), Fault> {
        let raw = &self.from_upstream.filled()[..end];
        if self.response.is_interim() {
            self.figures.interim += 1;
            if self.figures.interim > MOST_INTERIM {
                return Err(Fault::BadResponse);
            }
            if self.response.status == 100 {
                self.upload.expects_continue = false;
            }
            self.rules.write_interim(self.response, raw, self.to_client);
            self.response.clear();
            self.from_upstream.consume(end);
            return Ok(());
        }
        self.figures.upstream_status = self.response.status;
        if self.response.status == 101 {
            if !self.rules.may_switch(self.response) {
                return Err(Fault::BadResponse);
            }
            self.rules.write_switch(self.response, raw, self.to_client);
            *phase = Phase::Switching;
        } else {
            // A drain may have begun since the request came.
            self.rules.close |= self.worker.draining() || self.control.closing();
            // The client holds its body back for a `100` that will not come: the connection can't be used on.
            if self.upload.expects_continue && self.upload.state == Sending::Going {
                self.rules.close = true;
            }
            *writer = self.rules.write_final(self.response, raw, self.to_client);
            *body = BodyReader::new(self.response.body(self.rules.to_head));
            self.figures.until_close = *writer == BodyWriter::Plain
                && matches!(body, BodyReader::UntilClose | BodyReader::Chunked(_));
            *phase = Phase::Body;
        }
        self.figures.answered = true;
        self.from_upstream.consume(end);
        Ok(())
    }

    fn poll_body_out(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut BodyReader,
        writer: BodyWriter,
    ) -> Result<bool, Fault> {
        let content = body
            .transfer(writer, self.from_upstream, self.to_client, ROOM, |_| {})
            .map_err(|_| Fault::BadResponseBody)?;
        self.figures.body_out += content;
        if body.ended() || self.to_client.len() >= ROOM {
            return Ok(content > 0 || body.ended());
        }
        let direct = body.direct(writer);
        let read = if direct > 0 && self.from_upstream.is_empty() {
            let limit = direct
                .saturating_add(self.to_client.len() as u64)
                .min(ROOM as u64);
            let read = self.to_client.poll_fill(cx, self.upstream, limit as usize);
            if let Poll::Ready(Ok(Fill::Some(count))) = read {
                body.direct_done(count);
                self.figures.body_out += count as u64;
            }
            read
        } else {
            self.from_upstream.poll_fill(cx, self.upstream, ROOM)
        };
        match read {
            Poll::Ready(Ok(Fill::Some(_))) => Ok(true),
            Poll::Ready(Ok(Fill::Full)) | Poll::Pending => Ok(content > 0),
            Poll::Ready(Ok(Fill::Closed)) => {
                body.closed(writer, self.to_client)
                    .map_err(|_| Fault::BadResponseBody)?;
                Ok(true)
            }
            Poll::Ready(Err(_)) => Err(Fault::BadResponseBody),
        }
    }

    /// While nothing comes back: notices a client that is gone, and takes in what it sends ahead (pipelining).
    fn watch_client(&mut self, cx: &mut Context<'_>, waits: &mut Waits) -> Result<(), Fault> {
        if self.upload.state == Sending::Going || waits.client_closed.is_some() {
            return Ok(());
        }
        while self.input.len() < SENT_AHEAD && self.client.poll_read_ready(cx).is_ready() {
            match self.input.poll_fill(cx, self.client, SENT_AHEAD) {
                Poll::Ready(Ok(Fill::Some(_))) => {}
                Poll::Ready(Ok(Fill::Closed)) => {
                    waits.client_closed = Some(self.worker.clock.now());
                    break;
                }
                Poll::Ready(Err(_)) => return Err(Fault::ClientGone),
                Poll::Ready(Ok(Fill::Full)) | Poll::Pending => break,
            }
        }
        Ok(())
    }
}

/// Bytes held per direction. Enough to keep a fast network busy (Envoy holds 1 MiB, HAProxy 16 KiB, nginx 64 KiB).
pub(super) const ROOM: usize = 64 * 1024;
/// Interim responses to one request. RFC 9110 §15.2 sets no limit; one that reports its progress for hours stays
/// below this, one that never comes to its answer doesn't.
const MOST_INTERIM: u32 = 1000;
/// Bytes of further requests taken in while one is being served.
const SENT_AHEAD: usize = 16 * 1024;
