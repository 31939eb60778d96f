//! The origin as a server of gRPC: one message comes, one goes, and the status behind it.

use super::BODY;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use std::io;
use tokio::net::TcpStream;

/// Answers calls on a connection until its client goes.
pub async fn connection(stream: TcpStream) -> io::Result<()> {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1000);
    let mut connection = builder
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(io::Error::other)?;
    // The length of a message stands in front of it, behind a byte that says that it is not compressed.
    let mut message = vec![0; 5];
    message[1..].copy_from_slice(&(BODY as u32 - 5).to_be_bytes());
    message.resize(BODY, b'x');
    let message = Bytes::from(message);
    while let Some(call) = connection.accept().await {
        let (request, respond) = call.map_err(io::Error::other)?;
        let message = message.clone();
        // A call that breaks off is not the origin's business.
        tokio::task::spawn_local(async move { drop(answer(request, respond, message).await) });
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    message: Bytes,
) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
    }
    let mut head = Response::new(());
    let kind = HeaderValue::from_static("application/grpc");
    head.headers_mut().insert("content-type", kind);
    let mut stream: SendStream<Bytes> = respond.send_response(head, false)?;
    stream.send_data(message, false)?;
    let mut trailer = HeaderMap::new();
    trailer.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailer)
}
