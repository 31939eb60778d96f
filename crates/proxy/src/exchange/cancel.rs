//! Work for a client that may want it no more.

use crate::fault::Fault;
use crate::stream::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// Does something for a client, as long as it wants it: where streams are begun and cancelled without end, none may be
/// worked on for longer than it lasts. On a connection of HTTP/1.1, its end shows later.
///
/// The work is pinned where the caller has it: it is large, and is not to be moved for this.
pub(super) fn unless_reset<'w, T>(
    client: &'w mut Stream,
    mut work: Pin<&'w mut impl Future<Output = Result<T, Fault>>>,
) -> impl Future<Output = Result<T, Fault>> {
    poll_fn(move |cx| match (work.as_mut().poll(cx), &mut *client) {
        (Poll::Pending, Stream::Inbound(client)) => client.poll_reset(cx).map(|()| Err(Fault::ClientGone)),
        (polled, _) => polled,
    })
}
