//! The other ends of HTTP/2: a client, a backend that a test scripts, and bare frames for what no client would send.

mod backend;
mod client;
mod frames;

pub use backend::{Http2Backend, Received};
pub use client::{Answer, Asked, Http2};
pub use frames::{Frame, Frames, fields};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::HeaderMap;
use std::future::poll_fn;

/// All content of a stream, and its trailer fields.
pub async fn read(stream: &mut RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut content = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        content.extend_from_slice(&piece);
        // The stream may be over by now.
        let _ = stream.flow_control().release_capacity(piece.len());
    }
    Ok((content, stream.trailers().await?))
}

/// Sends content as the windows allow. `last`: nothing follows.
pub async fn send(stream: &mut SendStream<Bytes>, content: &[u8], last: bool) -> Result<(), h2::Error> {
    let mut left = Bytes::copy_from_slice(content);
    while !left.is_empty() {
        stream.reserve_capacity(left.len());
        while stream.capacity() == 0 {
            match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(room) => room?,
                None => return Err(h2::Reason::STREAM_CLOSED.into()),
            };
        }
        let piece = left.split_to(stream.capacity().min(left.len()));
        stream.send_data(piece, last && left.is_empty())?;
    }
    if last && content.is_empty() {
        stream.send_data(Bytes::new(), true)?;
    }
    Ok(())
}
