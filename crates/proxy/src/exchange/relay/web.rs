//! The response of a call of gRPC on its way to a client of gRPC-Web.

use super::{Course, ROOM, Relay};
use crate::fault::Fault;
use crate::http::buffer::{Buffer, Fill};
use crate::http::grpc_web::Web;
use crate::http::h1::BodyWriter;
use crate::http::sections::Trailer;
use std::task::{Context, Poll};

impl Relay<'_, '_> {
    /// Whether the response's content is written anew.
    #[inline]
    pub(super) fn translates(&self) -> bool {
        self.web.as_ref().is_some_and(|web| web.writes())
    }

    /// As `poll_body_out`, for such a response.
    pub(super) fn poll_web_out(&mut self, cx: &mut Context<'_>, course: &mut Course) -> Result<bool, Fault> {
        let Some(web) = self.web.as_deref_mut() else {
            return Ok(false);
        };
        let mut moved = false;
        while self.to_client.len() < ROOM {
            let mut content = Buffer::take();
            let free = ROOM - self.to_client.len();
            let count = course
                .body
                .transfer(BodyWriter::Stream, self.from_upstream, &mut content, free, |_| {})
                .map_err(|_| Fault::BadResponseBody)?;
            web.write(content.filled(), self.to_client);
            content.give_back();
            self.figures.body_out += count;
            moved |= count > 0;
            if course.body.ended() {
                let lines = course.body.take_trailer();
                let trailer = lines.map(|lines| Trailer::of_lines(lines.filled()));
                web.end(trailer.as_ref(), self.to_client);
                return Ok(true);
            }
            if !self.from_upstream.is_empty() {
                continue;
            }
            match self.from_upstream.poll_fill(cx, self.upstream, ROOM) {
                Poll::Ready(Ok(Fill::Some(_))) => moved = true,
                Poll::Ready(Ok(Fill::Full)) | Poll::Pending => break,
                Poll::Ready(Ok(Fill::Closed)) => {
                    let trailer = self.upstream.take_trailer();
                    course
                        .body
                        .closed(BodyWriter::Stream, self.to_client)
                        .map_err(|_| Fault::BadResponseBody)?;
                    web.end(trailer.as_ref(), self.to_client);
                    return Ok(true);
                }
                Poll::Ready(Err(_)) => return Err(Fault::BadResponseBody),
            }
        }
        Ok(moved)
    }

    /// The part of a request in base64 that has to be read by [`Web::take`].
    pub(super) fn decoder(web: Option<&mut Web>) -> Option<&mut Web> {
        web.filter(|web| web.decodes())
    }
}
