//! The request's body on its way from the client to the upstream.

use super::{Course, ROOM, Relay};
use crate::exchange::again::Replay;
use crate::exchange::mirror::BodyCopy;
use crate::fault::Fault;
use crate::http::buffer::Fill;
use crate::http::h1::{BodyLength, BodyReader, BodyWriter, RequestHead};
use crate::http::sections::Trailer;
use std::io;
use std::task::{Context, Poll, ready};

/// The request's body and how far it is.
#[derive(Debug, Default)]
pub(in crate::exchange) struct Upload {
    pub body: BodyReader,
    pub writer: BodyWriter,
    /// Content bytes that may still come; beyond: 413.
    pub allowance: u64,
    /// The client waits for `100 Continue`: until the upstream has said so, silence is not the client's fault.
    pub expects_continue: bool,
    /// Content kept for mirrors.
    pub copy: Option<BodyCopy>,
    /// What was put out, kept for another try. Only where the rule asks for retries, and while it is not too large.
    pub replay: Option<Box<Replay>>,
    /// Whether content bytes were taken from the client: then the request can't be sent again without `replay`.
    pub consumed: bool,
    pub state: Sending,
}

impl Upload {
    /// The body that a request's head announces, nothing of it taken yet.
    pub fn of(head: &RequestHead, limits: &ir::Limits) -> Self {
        Self {
            body: BodyReader::new(head.body),
            writer: match head.body {
                BodyLength::Chunked | BodyLength::Stream(None) => BodyWriter::Chunked,
                _ => BodyWriter::Plain,
            },
            allowance: limits.body.unwrap_or(u64::MAX),
            expects_continue: head.expects_continue,
            ..Self::default()
        }
    }

    /// Whether the request can be sent once more: nothing of its body is gone, not even its end, or all that is gone was
    /// kept.
    pub fn repeatable(&self) -> bool {
        let untouched = !self.consumed && (self.writer != BodyWriter::Chunked || !self.body.ended());
        untouched || self.replay.is_some()
    }
}

/// Where the request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::exchange) enum Sending {
    /// On its way.
    #[default]
    Going,
    /// All of it is sent.
    Sent,
    /// The upstream takes no more. It may have answered all the same.
    Refused,
}

impl Relay<'_, '_> {
    /// Takes the request's body from the client and sends the request. Tells whether something moved.
    #[inline]
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>, course: &mut Course) -> Result<bool, Fault> {
        let mut moved = false;
        while self.upload.state == Sending::Going {
            let mut more = false;
            if !self.upload.body.ended() {
                more = self.poll_body_in(cx, course)?;
                moved |= more;
            }
            let before = self.to_upstream.len() + course.up.len();
            match self.poll_to_upstream(cx, course) {
                Poll::Ready(Ok(())) => {
                    moved |= before > 0;
                    if self.upload.body.ended() {
                        self.upload.state = Sending::Sent;
                        // The response has its whole time from the end of the request on.
                        course.waits.response_since = None;
                    } else if !more {
                        break;
                    }
                }
                Poll::Ready(Err(_)) => {
                    self.to_upstream.clear();
                    course.up.clear();
                    self.upload.state = Sending::Refused;
                    return Ok(true);
                }
                Poll::Pending => {
                    moved |= self.to_upstream.len() + course.up.len() < before;
                    break;
                }
            }
        }
        if moved {
            course.waits.upload_since = None;
        }
        Ok(moved)
    }

    fn poll_to_upstream(&mut self, cx: &mut Context<'_>, course: &mut Course) -> Poll<io::Result<()>> {
        let sent = &mut self.figures.sent;
        if self.upstream.is_multiplexed() && self.upload.body.ended() && !self.rules.upgrade {
            return self.upstream.poll_finish(cx, self.to_upstream, sent);
        }
        ready!(self.to_upstream.poll_drain(cx, self.upstream, sent))?;
        match self.upstream.plain() {
            Some(upstream) if !course.up.is_empty() => course.up.poll_drain(cx, upstream, sent),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Reads from the client until nothing more is there or the upstream's buffer is full.
    fn poll_body_in(&mut self, cx: &mut Context<'_>, course: &mut Course) -> Result<bool, Fault> {
        if !course.up.is_empty() {
            return Ok(false);
        }
        let mut moved = false;
        loop {
            let upload = &mut *self.upload;
            let copy = &mut upload.copy;
            let before = self.to_upstream.len();
            let seen = |content: &[u8]| {
                if let Some(copy) = copy {
                    copy.take(content);
                }
            };
            let (body, writer) = (&mut upload.body, upload.writer);
            let content = match Self::decoder(self.web.as_deref_mut()) {
                Some(web) => web.take(body, writer, (self.input, self.to_upstream), ROOM, seen),
                None => body.transfer(writer, self.input, self.to_upstream, ROOM, seen),
            };
            let content = content.map_err(|_| Fault::BadRequestBody)?;
            if let Some(replay) = &mut upload.replay
                && !replay.keep(&self.to_upstream.filled()[before..])
            {
                upload.replay = None;
            }
            if content > 0 {
                self.took(content)?;
                moved = true;
            }
            if let Some(lines) = self.upload.body.take_trailer() {
                self.upstream.set_trailer(Trailer::of_lines(lines.filled()));
            }
            if self.upload.body.ended() || self.to_upstream.len() >= ROOM {
                return Ok(moved);
            }
            let left = self.upload.body.direct(self.upload.writer);
            if course.up.suits(left)
                && self.input.is_empty()
                && self.upload.copy.is_none()
                && self.upload.replay.is_none()
                && Self::decoder(self.web.as_deref_mut()).is_none()
                && self.upstream.plain().is_some()
                && let Some(client) = self.client.plain()
            {
                // What was read before goes first.
                if !self.to_upstream.is_drained() {
                    return Ok(moved);
                }
                match course.up.poll_fill(cx, client, left) {
                    Some(Poll::Ready(Ok(Fill::Some(count)))) => {
                        self.upload.body.direct_done(count);
                        self.took(count as u64)?;
                        return Ok(true);
                    }
                    Some(Poll::Ready(Ok(Fill::Full)) | Poll::Pending) => return Ok(moved),
                    Some(Poll::Ready(Ok(Fill::Closed) | Err(_))) => return Err(Fault::ClientGone),
                    None => {}
                }
            }
            match self.input.poll_fill(cx, self.client, ROOM) {
                Poll::Ready(Ok(Fill::Some(_))) => moved = true,
                Poll::Ready(Ok(Fill::Full)) | Poll::Pending => return Ok(moved),
                Poll::Ready(Ok(Fill::Closed)) if self.client.is_multiplexed() => {
                    self.end_stream()?;
                    return Ok(true);
                }
                Poll::Ready(Ok(Fill::Closed) | Err(_)) => return Err(Fault::ClientGone),
            }
        }
    }

    /// The client's stream ended, and with it the body.
    fn end_stream(&mut self) -> Result<(), Fault> {
        if let Some(web) = &self.web {
            web.finish().map_err(|_| Fault::BadRequestBody)?;
        }
        let (upload, before) = (&mut *self.upload, self.to_upstream.len());
        let trailer = self.client.take_trailer();
        // A body that ends with its stream can't end too early: the stream was told its length.
        let _ = upload.body.closed_with(upload.writer, self.to_upstream, |out| {
            out.extend(trailer.as_ref().map_or(&[], Trailer::lines));
        });
        if let Some(replay) = &mut upload.replay
            && (trailer.is_some() || !replay.keep(&self.to_upstream.filled()[before..]))
        {
            upload.replay = None;
            upload.consumed = true;
        }
        if let Some(trailer) = trailer {
            self.upstream.set_trailer(trailer);
        }
        Ok(())
    }

    /// So much of the content was taken from the client.
    fn took(&mut self, content: u64) -> Result<(), Fault> {
        let upload = &mut *self.upload;
        upload.consumed = true;
        upload.expects_continue = false;
        self.figures.bytes_in += content;
        upload.allowance = upload.allowance.checked_sub(content).ok_or(Fault::BodyTooLarge)?;
        Ok(())
    }
}
