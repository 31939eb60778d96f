//! Carries a request to an upstream connection and the response back, both at once, with bounded buffers.
//!
//! Each direction takes bytes only while there is room to put them, so a slow reader on one side slows down the
//! writer on the other. Nothing is awaited that may be there already: sockets are tried first, a timer is looked at
//! only when both directions are stuck.

mod figures;
mod upload;
mod wait;
mod web;

pub(super) use figures::Figures;
pub(super) use upload::{Sending, Upload};
pub(super) use wait::{Deadlines, HALF_CLOSED};

use super::again;
use super::answer::ResponseRules;
use crate::connection::Control;
use crate::fault::Fault;
use crate::http::alarm::Alarm;
use crate::http::buffer::{Buffer, Fill};
use crate::http::conduit::Conduit;
use crate::http::grpc_web::Web;
use crate::http::h1::response::LARGEST_HEAD;
use crate::http::h1::{BodyReader, BodyWriter, ResponseHead, parse_response};
use crate::http::sections::Trailer;
use crate::stream::Stream;
use crate::worker::WorkerState;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
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
    /// Set if some answers are a reason to try again and a try is left.
    pub retry: Option<&'a ir::Retry>,
    /// Set if the client speaks gRPC-Web and the endpoint shall not have to.
    pub web: Option<&'a mut Web>,
    pub limits: Deadlines<'a>,
    pub figures: &'a mut Figures,
}

/// How a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The response is out. Tells whether the upstream connection can serve another request.
    Complete { reusable: bool },
    /// Both sides speak another protocol now.
    Switched,
    /// The response is one after which the request is to be sent again. Nothing of it was passed on. Tells whether the
    /// upstream connection can serve another request.
    Again { reusable: bool },
}

/// Where a relay is.
#[derive(Debug)]
struct Course {
    phase: Phase,
    /// The response's body as it comes, and as it goes.
    body: BodyReader,
    writer: BodyWriter,
    waits: Waits,
    /// Parts of large bodies that pass without being copied: the request's and the response's.
    up: Conduit,
    down: Conduit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    Body,
    Switching,
    Over,
    Again,
}

impl Relay<'_, '_> {
    /// Runs until the response is out or something fails.
    pub fn run(&mut self) -> impl Future<Output = Result<Ending, Fault>> {
        let mut course = Course {
            phase: Phase::Head,
            body: BodyReader::Ended,
            writer: BodyWriter::Plain,
            waits: Waits::default(),
            up: Conduit::default(),
            down: Conduit::default(),
        };
        poll_fn(move |cx| {
            loop {
                let sent = self.poll_upload(cx, &mut course)?;
                let came = self.poll_response(cx, &mut course)?;
                if course.phase == Phase::Over && self.is_drained(&course) {
                    return Poll::Ready(Ok(self.ending()));
                }
                if course.phase == Phase::Switching && self.is_drained(&course) {
                    return Poll::Ready(Ok(Ending::Switched));
                }
                if course.phase == Phase::Again {
                    return Poll::Ready(Ok(self.dismiss()));
                }
                // What was sent may have made room for more, unless it was all.
                if !came && (!sent || self.upload.state != Sending::Going) {
                    break;
                }
            }
            if let Stream::Inbound(client) = &mut *self.client {
                if client.poll_reset(cx).is_ready() {
                    return Poll::Ready(Err(Fault::ClientGone));
                }
            } else if course.phase == Phase::Head {
                // Most answers are there before anybody would have noticed that their client is gone.
                if !course.waits.later {
                    self.control.look_soon(cx);
                    if self.is_far_from_all(&course) {
                        course.waits.begin(self.worker.clock.recent());
                        return Poll::Pending;
                    }
                } else if !self.control.looks_soon() {
                    self.watch_client(cx, &mut course.waits)?;
                }
            }
            self.wait(cx, &mut course)
        })
    }

    /// Whether everything for the client has left.
    #[inline]
    fn is_drained(&self, course: &Course) -> bool {
        self.to_client.is_drained()
            && course.down.is_empty()
            && (course.phase != Phase::Over || self.client.is_finished())
    }

    fn ending(&self) -> Ending {
        Ending::Complete {
            reusable: self.reusable(),
        }
    }

    fn reusable(&self) -> bool {
        self.response.persistent()
            && self.upload.state == Sending::Sent
            // Whatever lies there unasked belongs to no request of ours.
            && self.from_upstream.is_empty()
            && !self.rules.until_close(self.response)
    }

    /// Drops a response's body as far as it came with its head. Nobody waits for the rest of it: then the connection
    /// closes.
    #[cold]
    fn dismiss(&mut self) -> Ending {
        let mut body = BodyReader::new(self.response.body(self.rules.to_head));
        let mut nothing = Buffer::default();
        let read = body.transfer(
            BodyWriter::Discard,
            self.from_upstream,
            &mut nothing,
            ROOM,
            |_| {},
        );
        Ending::Again {
            reusable: read.is_ok() && body.ended() && self.reusable(),
        }
    }

    /// Takes the response from the upstream and sends it to the client. Tells whether something moved.
    #[inline]
    fn poll_response(&mut self, cx: &mut Context<'_>, course: &mut Course) -> Result<bool, Fault> {
        let mut moved = false;
        loop {
            let more = match course.phase {
                Phase::Head => self.poll_head(cx, course)?,
                Phase::Body if self.translates() => self.poll_web_out(cx, course)?,
                Phase::Body => self.poll_body_out(cx, course)?,
                Phase::Switching | Phase::Over | Phase::Again => false,
            };
            if course.phase == Phase::Body && course.body.ended() {
                if let Some(lines) = course.body.take_trailer() {
                    self.client.set_trailer(Trailer::of_lines(lines.filled()));
                }
                course.phase = Phase::Over;
            }
            // More of the head or of the body may be there already: one write for all of it.
            if more && course.phase != Phase::Over && self.to_client.len() < ROOM && course.down.is_empty() {
                moved = true;
                continue;
            }
            let before = self.to_client.len() + course.down.len();
            let drained = self.poll_to_client(cx, course).map_err(|_| Fault::ClientGone)?;
            moved |= more || self.to_client.len() + course.down.len() < before;
            if !more || drained.is_pending() || matches!(course.phase, Phase::Over | Phase::Switching) {
                break;
            }
        }
        if moved {
            course.waits.response_since = None;
        }
        Ok(moved)
    }

    fn poll_to_client(&mut self, cx: &mut Context<'_>, course: &mut Course) -> Poll<io::Result<()>> {
        let written = &mut self.figures.bytes_out;
        if course.phase == Phase::Over && self.client.is_multiplexed() {
            return self.client.poll_finish(cx, self.to_client, written);
        }
        ready!(self.to_client.poll_drain(cx, self.client, written))?;
        match self.client.plain() {
            Some(client) if !course.down.is_empty() => course.down.poll_drain(cx, client, written),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, course: &mut Course) -> Result<bool, Fault> {
        // Interim responses wait for a client that doesn't read, as the body does.
        if self.to_client.len() >= ROOM {
            return Ok(false);
        }
        if self.upstream.is_multiplexed() {
            return self.poll_stream_head(cx, course);
        }
        let mut moved = false;
        // Once for each time that the task is woken.
        let mut news = self.figures.interim == 0;
        loop {
            if !self.from_upstream.is_empty()
                && let Some(end) = parse_response(self.from_upstream.filled(), self.response)?
            {
                self.figures
                    .first_byte
                    .get_or_insert_with(|| self.worker.clock.now());
                self.take_head(end, course)?;
                return Ok(true);
            }
            // The request has only just left: no buffer is needed for what is not there yet.
            if course.waits.response_since.is_none()
                && self.from_upstream.is_empty()
                && self.upstream.poll_read_ready(cx).is_pending()
            {
                return Ok(moved);
            }
            let fill = if std::mem::take(&mut news) {
                self.from_upstream.poll_fill_news(cx, self.upstream, LARGEST_HEAD)
            } else {
                self.from_upstream.poll_fill(cx, self.upstream, LARGEST_HEAD)
            };
            match fill {
                Poll::Ready(Ok(Fill::Some(_))) => moved = true,
                Poll::Ready(Ok(Fill::Full)) => return Err(Fault::ResponseHeadTooLarge),
                Poll::Ready(Ok(Fill::Closed) | Err(_)) if self.from_upstream.is_empty() => {
                    return Err(Fault::UpstreamClosed);
                }
                Poll::Ready(Ok(Fill::Closed) | Err(_)) => return Err(Fault::BadResponse),
                Poll::Pending => return Ok(moved),
            }
        }
    }

    /// The same on a stream.
    fn poll_stream_head(&mut self, cx: &mut Context<'_>, course: &mut Course) -> Result<bool, Fault> {
        let mut moved = false;
        while let (Phase::Head, Stream::Outbound(stream)) = (course.phase, &mut *self.upstream) {
            let end = match stream.poll_head(cx, self.from_upstream, self.response) {
                Poll::Ready(Ok(end)) => end,
                Poll::Ready(Err(failure)) => return Err(failure.fault()),
                Poll::Pending => break,
            };
            self.figures
                .first_byte
                .get_or_insert_with(|| self.worker.clock.now());
            self.take_head(end, course)?;
            moved = true;
        }
        Ok(moved)
    }

    fn take_head(&mut self, end: usize, course: &mut Course) -> Result<(), Fault> {
        let raw = &self.from_upstream.filled()[..end];
        if self.response.is_interim() {
            self.figures.interim += 1;
            if self.figures.interim > MOST_INTERIM {
                return Err(Fault::BadResponse);
            }
            if self.response.status == 100 {
                self.upload.expects_continue = false;
            }
            self.rules
                .write_interim(self.response, raw, self.client, self.to_client);
            self.response.clear();
            self.from_upstream.consume(end);
            return Ok(());
        }
        self.figures.upstream_status = self.response.status;
        if let Some(retry) = self.retry
            && again::wanted(retry, self.response, raw)
            && self.upload.repeatable()
        {
            self.from_upstream.consume(end);
            course.phase = Phase::Again;
            return Ok(());
        }
        if self.rules.switches(self.response)? {
            self.rules
                .write_switch(self.response, raw, self.client, self.to_client)?;
            course.phase = Phase::Switching;
        } else {
            // A drain may have begun since the request came.
            self.rules.close |= self.worker.draining() || self.control.closing();
            // The client holds its body back for a `100` that will not come: the connection can't be used on.
            if self.upload.expects_continue && self.upload.state == Sending::Going {
                self.rules.close = true;
            }
            if let Some(web) = &self.web {
                self.rules.recoded = web.begins(self.response, raw, self.rules.to_head);
            }
            course.writer = self.rules.write_final(
                self.response,
                raw,
                self.client,
                self.to_client,
                self.worker.clock.recent(),
            )?;
            if let Some(web) = self.web.as_mut().filter(|_| self.rules.recoded) {
                web.write_by(course.writer);
            }
            course.body = BodyReader::new(self.response.body(self.rules.to_head));
            self.figures.until_close = course.writer == BodyWriter::Plain
                && matches!(course.body, BodyReader::UntilClose | BodyReader::Chunked(_));
            course.phase = Phase::Body;
        }
        self.figures.answered = true;
        if self.client.is_multiplexed() {
            // How short the head became in there, nobody tells.
            self.figures.bytes_out += end as u64;
        }
        self.from_upstream.consume(end);
        Ok(())
    }

    fn poll_body_out(&mut self, cx: &mut Context<'_>, course: &mut Course) -> Result<bool, Fault> {
        let Course {
            body, writer, down, ..
        } = course;
        if !down.is_empty() {
            return Ok(false);
        }
        let content = body
            .transfer(*writer, self.from_upstream, self.to_client, ROOM, |_| {})
            .map_err(|_| Fault::BadResponseBody)?;
        self.figures.body_out += content;
        if body.ended() || self.to_client.len() >= ROOM {
            return Ok(content > 0 || body.ended());
        }
        let direct = if self.from_upstream.is_empty() {
            body.direct(*writer)
        } else {
            0
        };
        let mut passed = None;
        if down.suits(direct)
            && self.client.plain().is_some()
            && let Some(upstream) = self.upstream.plain()
        {
            // What was read before goes first.
            if !self.to_client.is_drained() {
                return Ok(content > 0);
            }
            passed = down.poll_fill(cx, upstream, direct);
        }
        let read = match passed {
            Some(read) => read,
            None if direct > 0 => {
                let limit = direct.saturating_add(self.to_client.len() as u64);
                self.to_client
                    .poll_fill(cx, self.upstream, limit.min(ROOM as u64) as usize)
            }
            None => self.from_upstream.poll_fill(cx, self.upstream, ROOM),
        };
        match read {
            Poll::Ready(Ok(Fill::Some(count))) => {
                if direct > 0 {
                    body.direct_done(count);
                    self.figures.body_out += count as u64;
                }
                Ok(true)
            }
            Poll::Ready(Ok(Fill::Full)) | Poll::Pending => Ok(content > 0),
            Poll::Ready(Ok(Fill::Closed)) => {
                let trailer = self.upstream.take_trailer();
                body.closed_with(*writer, self.to_client, |out| {
                    out.extend(trailer.as_ref().map_or(&[], Trailer::lines));
                })
                .map_err(|_| Fault::BadResponseBody)?;
                if let Some(trailer) = trailer {
                    self.client.set_trailer(trailer);
                }
                Ok(true)
            }
            Poll::Ready(Err(_)) => Err(Fault::BadResponseBody),
        }
    }

    /// While nothing comes back: notices a client that is gone, and takes in what it sends ahead (pipelining).
    fn watch_client(&mut self, cx: &mut Context<'_>, waits: &mut Waits) -> Result<(), Fault> {
        if self.upload.state == Sending::Going
            || waits.client_closed.is_some()
            || self.client.is_multiplexed()
        {
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
pub(super) const SENT_AHEAD: usize = 16 * 1024;
