//! The two kinds of streams: a client's request to us, and ours to an endpoint.

use super::incoming::error;
use super::{Incoming, Outgoing};
use crate::fault::Fault;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response, StatusCode, response};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A stream on which a client asked.
#[derive(Debug)]
pub struct Inbound {
    /// The request's content.
    pub incoming: Incoming,
    /// The response's, once its head is out.
    pub outgoing: Option<Outgoing>,
    respond: SendResponse<Bytes>,
}

/// A stream on which an endpoint is asked.
#[derive(Debug)]
pub struct Outbound {
    /// The response's content, once its head is there.
    pub incoming: Option<Incoming>,
    /// The request's, once its head is out.
    pub outgoing: Option<Outgoing>,
    ask: SendRequest<Bytes>,
    response: Option<ResponseFuture>,
}

/// What an endpoint said.
#[derive(Debug)]
pub enum Came {
    /// An interim response.
    Interim(response::Parts),
    /// The response. Tells whether nothing follows.
    Final(response::Parts, bool),
}

impl Inbound {
    /// A request whose head was read.
    pub fn new(incoming: RecvStream, respond: SendResponse<Bytes>) -> Self {
        Self {
            incoming: Incoming::new(incoming),
            outgoing: None,
            respond,
        }
    }

    /// Sends an interim response. One that can't be sent is left out.
    pub fn send_interim(&mut self, status: u16, fields: HeaderMap) {
        if let Some(head) = head(status, fields) {
            // A client that is gone shows later.
            let _ = self.respond.send_informational(head);
        }
    }

    /// Sends the response's head. `over`: nothing follows.
    pub fn send_head(&mut self, status: u16, fields: HeaderMap, over: bool) -> io::Result<()> {
        let head = head(status, fields).ok_or(io::ErrorKind::InvalidInput)?;
        let stream = self.respond.send_response(head, over).map_err(error)?;
        self.outgoing = Some(Outgoing::new(stream, over));
        Ok(())
    }

    /// Whether nothing is left to be sent.
    pub fn is_over(&self) -> bool {
        self.outgoing.as_ref().is_some_and(Outgoing::is_over)
    }

    /// Ready once the client wants no answer any more.
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Reason> {
        match &mut self.outgoing {
            Some(outgoing) if outgoing.is_over() => Poll::Pending,
            Some(outgoing) => outgoing.poll_reset(cx),
            None => self
                .respond
                .poll_reset(cx)
                .map(|outcome| outcome.unwrap_or(Reason::CANCEL)),
        }
    }

    /// Breaks it off.
    pub fn reset(&mut self, reason: Reason) {
        match &mut self.outgoing {
            Some(outgoing) => outgoing.reset(reason),
            None => self.respond.send_reset(reason),
        }
    }
}

impl Outbound {
    /// A stream that is still to be opened on this connection.
    pub fn new(ask: SendRequest<Bytes>) -> Self {
        Self {
            incoming: None,
            outgoing: None,
            ask,
            response: None,
        }
    }

    /// Whether the other side can be asked to switch protocols (RFC 8441 §3).
    pub fn knows_extended_connect(&self) -> bool {
        self.ask.is_extended_connect_protocol_enabled()
    }

    /// Opens the stream with a request's head. `over`: nothing follows.
    pub fn start(&mut self, request: Request<()>, over: bool) -> Result<(), Fault> {
        let (response, stream) = self
            .ask
            .send_request(request, over)
            .map_err(|failure| Failure::of(&failure).fault())?;
        self.response = Some(response);
        self.outgoing = Some(Outgoing::new(stream, over));
        Ok(())
    }

    /// The next that the endpoint says.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Came, Failure>> {
        let Some(response) = &mut self.response else {
            return Poll::Ready(Err(Failure::Broken));
        };
        if let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
            return Poll::Ready(Ok(Came::Interim(interim.into_parts().0)));
        }
        let outcome = std::task::ready!(Pin::new(response).poll(cx));
        self.response = None;
        Poll::Ready(match outcome {
            Ok(response) => {
                let (parts, stream) = response.into_parts();
                let over = stream.is_end_stream();
                self.incoming = Some(Incoming::new(stream));
                Ok(Came::Final(parts, over))
            }
            Err(failure) => Err(Failure::of(&failure)),
        })
    }

    /// Whether both directions came to their end.
    pub fn is_over(&self) -> bool {
        self.outgoing.as_ref().is_some_and(Outgoing::is_over)
    }
}

/// How a stream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The endpoint did nothing about it (RFC 9113 §8.7): it can be sent again whatever it was.
    Untouched,
    /// What came broke the protocol.
    Malformed,
    /// Anything else.
    Broken,
}

impl Failure {
    fn of(error: &h2::Error) -> Self {
        match error.reason() {
            Some(Reason::REFUSED_STREAM) => Self::Untouched,
            // Our own stream can only meet the GOAWAY that leaves it out.
            Some(_) if error.is_go_away() && error.is_remote() => Self::Untouched,
            Some(_) if error.is_library() => Self::Malformed,
            _ => Self::Broken,
        }
    }

    /// As exchanges tell it.
    pub fn fault(self) -> Fault {
        match self {
            Self::Untouched => Fault::UpstreamRefused,
            Self::Malformed => Fault::BadResponse,
            Self::Broken => Fault::UpstreamClosed,
        }
    }
}

fn head(status: u16, fields: HeaderMap) -> Option<Response<()>> {
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::from_u16(status).ok()?;
    *head.headers_mut() = fields;
    Some(head)
}
