//! Copies of requests (HTTPRequestMirrorFilter): sent beside the exchange, the answers read and dropped.
//!
//! A copy never delays its original. A body is kept while it passes and the copy goes out once it is complete; a body
//! larger than [`LARGEST_BODY`] is not copied at all: half a request would be a lie, and keeping all of it would let
//! clients fill our memory.

use crate::fault::Fault;
use crate::http::buffer::{Buffer, Fill};
use crate::http::h1::response::LARGEST_HEAD;
use crate::http::h1::{BodyReader, BodyWriter, ResponseHead, parse_response};
use crate::http::h2::Failure;
use crate::stream::Stream;
use crate::time::timeout;
use crate::upstream::{UpstreamCell, UpstreamConnection, Wanted, checkout};
use crate::worker::WorkerState;
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

/// A body that is kept while it passes.
#[derive(Debug, Default)]
pub(super) struct BodyCopy {
    bytes: Vec<u8>,
    too_large: bool,
}

impl BodyCopy {
    /// Keeps content.
    pub fn take(&mut self, content: &[u8]) {
        if self.too_large || self.bytes.len() + content.len() > LARGEST_BODY {
            self.too_large = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(content);
        }
    }

    /// The body, if all of it could be kept.
    pub fn complete(self) -> Option<Vec<u8>> {
        (!self.too_large).then_some(self.bytes)
    }
}

/// Sends a copy in a task of its own. With too many under way already it is dropped.
pub(super) fn send(worker: &Rc<WorkerState>, cell: &Arc<UpstreamCell>, message: Buffer) {
    let Some(place) = Place::take() else {
        message.give_back();
        tracing::debug!(upstream = %cell.id, "mirror dropped: too many under way");
        return;
    };
    let (worker, cell) = (Rc::clone(worker), Arc::clone(cell));
    tokio::task::spawn_local(async move {
        let _place = place;
        let outcome = timeout(LONGEST, run(&worker, &cell, message)).await;
        if let Err(fault) = outcome.unwrap_or(Err(Fault::RequestTimeout)) {
            tracing::debug!(upstream = %cell.id, %fault, "mirror failed");
        }
    });
}

async fn run(worker: &Rc<WorkerState>, cell: &Arc<UpstreamCell>, mut message: Buffer) -> Result<(), Fault> {
    let to_head = message.filled().starts_with(b"HEAD ");
    let mut connection = checkout(worker, cell, &mut Wanted::default()).await?;
    if let Stream::Outbound(stream) = &mut connection.stream {
        let over =
            memchr::memmem::find(message.filled(), b"\r\n\r\n").is_none_or(|end| end + 4 == message.len());
        let length = stream.start(message.filled(), false, over)?;
        message.consume(length);
    }
    poll_fn(|cx| connection.stream.poll_finish(cx, &mut message, &mut 0))
        .await
        .map_err(|_| Fault::UpstreamClosed)?;
    message.give_back();
    let mut input = Buffer::default();
    let reusable = read_away(&mut connection, &mut input, to_head).await;
    let clean = input.is_empty();
    input.give_back();
    if reusable? && clean {
        connection.give_back(worker);
    }
    Ok(())
}

/// Reads the whole response. Tells whether the connection can be used again.
async fn read_away(
    connection: &mut UpstreamConnection,
    input: &mut Buffer,
    to_head: bool,
) -> Result<bool, Fault> {
    let mut head = ResponseHead::default();
    let mut body = None;
    let mut nothing = Buffer::default();
    if let Stream::Outbound(stream) = &mut connection.stream {
        loop {
            head.clear();
            input.clear();
            let reading = poll_fn(|cx| stream.poll_head(cx, input, &mut head));
            reading.await.map_err(Failure::fault)?;
            if !head.is_interim() {
                break;
            }
        }
        input.clear();
        body = Some(BodyReader::UntilClose);
    }
    poll_fn(|cx| {
        loop {
            let room = match &mut body {
                None => {
                    if let Some(end) = parse_response(input.filled(), &mut head)? {
                        input.consume(end);
                        if head.is_interim() {
                            head.clear();
                        } else {
                            body = Some(BodyReader::new(head.body(to_head)));
                        }
                        continue;
                    }
                    LARGEST_HEAD
                }
                Some(body) => {
                    body.transfer(BodyWriter::Discard, input, &mut nothing, 1, |_| {})
                        .map_err(|_| Fault::BadResponseBody)?;
                    if body.ended() {
                        return Poll::Ready(Ok(head.persistent() && head.status != 101));
                    }
                    super::relay::ROOM
                }
            };
            match ready!(input.poll_fill(cx, &mut connection.stream, room)) {
                Ok(Fill::Some(_)) => {}
                Ok(Fill::Closed) if matches!(body, Some(BodyReader::UntilClose)) => {
                    return Poll::Ready(Ok(false));
                }
                Ok(Fill::Closed | Fill::Full) | Err(_) => return Poll::Ready(Err(Fault::UpstreamClosed)),
            }
        }
    })
    .await
}

/// Counts a copy under way while it lives.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        UNDER_WAY.with(|count| {
            (count.get() < MOST_UNDER_WAY).then(|| {
                count.set(count.get() + 1);
                Self
            })
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        UNDER_WAY.with(|count| count.set(count.get() - 1));
    }
}

/// Largest body that is copied (Envoy's default buffer is 1 MiB).
pub(super) const LARGEST_BODY: usize = 256 * 1024;
/// Copies under way per worker: a slow mirror must not collect requests without end.
const MOST_UNDER_WAY: usize = 512;
/// How long a copy may take.
const LONGEST: Duration = Duration::from_secs(30);

thread_local! {
    static UNDER_WAY: Cell<usize> = const { Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_copied_whole_or_not_at_all() {
        let mut copy = BodyCopy::default();
        copy.take(&[1; 1000]);
        assert_eq!(copy.complete().map(|body| body.len()), Some(1000));
        let mut copy = BodyCopy::default();
        copy.take(&vec![1; LARGEST_BODY]);
        copy.take(&[1]);
        assert_eq!(copy.complete(), None);
    }
}
