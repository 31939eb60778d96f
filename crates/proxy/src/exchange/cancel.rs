//! Work for a client that may want it no more.

use crate::fault::Fault;
use crate::stream::Stream;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Does something for a client, as long as it wants it: where streams are begun and cancelled without end, none may be
/// worked on for longer than it lasts. On a connection of HTTP/1.1, its end shows later.
pub(super) async fn unless_reset<T>(
    client: &mut Stream,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let Stream::Inbound(client) = client else {
        return work.await;
    };
    let mut work = pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Pending => client.poll_reset(cx).map(|()| Err(Fault::ClientGone)),
        done @ Poll::Ready(_) => done,
    })
    .await
}
