//! Turns an upstream's response head into the one that the client gets.

use crate::fault::Fault;
use crate::filter::{self, CompiledFilter, CorsGrant};
use crate::http::Inbound;
use crate::http::buffer::Buffer;
use crate::http::date;
use crate::http::h1::head::strip_hop_by_hop;
use crate::http::h1::{BodyLength, BodyWriter, Name, NameSet, ResponseHead, Version, write};
use crate::stream::Stream;
use crate::time::Instant;
use std::io;

/// What decides about the response, known from the request and its rule.
#[derive(Debug)]
pub(super) struct ResponseRules<'a> {
    /// The request's method was HEAD: no body follows, whatever the head says.
    pub to_head: bool,
    /// The client's version.
    pub client: Version,
    /// The connection closes after this response, and its head says so.
    pub close: bool,
    /// The client asked to switch protocols and the upstream was told so.
    pub upgrade: bool,
    /// What a WebSocket client of HTTP/1.1 is told when an upstream of HTTP/2 has switched: the protocol, and the answer
    /// to its key (RFC 6455 §4.2.2).
    pub handshake: Option<(Vec<u8>, String)>,
    /// The content is written anew, so its length is not known.
    pub recoded: bool,
    /// Filters of the rule, then those of the backend.
    pub filters: [&'a [CompiledFilter]; 2],
    /// What a CORS filter allows the page that asked.
    pub cors: Option<CorsGrant<'a>>,
    /// Value of `Server`, if ours replaces the upstream's.
    pub server: Option<&'a str>,
    /// Value of `Alt-Svc`, for responses that have none.
    pub alternative: Option<&'a str>,
    /// Name and value of the field that tells the client where it is kept.
    pub session: Option<(&'a str, String)>,
}

impl ResponseRules<'_> {
    /// Passes on an interim response (RFC 9110 §15.2: not to a client of HTTP/1.0).
    pub fn write_interim(&self, head: &mut ResponseHead, raw: &[u8], client: &mut Stream, out: &mut Buffer) {
        if self.client == Version::Http10 {
            return;
        }
        strip_hop_by_hop(&mut head.fields, raw, head.connection);
        if let Stream::Inbound(client) = client {
            return client.send_interim(head.status, &head.fields, raw);
        }
        write_start(head, raw, out);
        out.extend(b"\r\n");
    }

    /// Whether with this response the upstream switches protocols: to one that was offered (RFC 9110 §7.8), or, on a
    /// stream, by any success (RFC 8441 §5). An error: it must not.
    pub fn switches(&self, head: &ResponseHead) -> Result<bool, Fault> {
        let may = self.upgrade && head.connection.upgrade && head.fields.has(Name::Upgrade);
        match head.status {
            101 if head.version != Version::Http2 && may => Ok(true),
            101 => Err(Fault::BadResponse),
            200..300 => Ok(self.upgrade && head.version == Version::Http2),
            _ => Ok(false),
        }
    }

    /// Passes on a `101`, or what stands for it.
    pub fn write_switch(
        &self,
        head: &mut ResponseHead,
        raw: &[u8],
        client: &mut Stream,
        out: &mut Buffer,
    ) -> Result<(), Fault> {
        if let Stream::Inbound(client) = client {
            strip_hop_by_hop(&mut head.fields, raw, head.connection);
            head.fields.remove(raw, b"sec-websocket-accept");
            self.apply_filters(head, raw);
            return send_head(client, head, raw, 200, false);
        }
        if let Some((protocol, accept)) = &self.handshake {
            write::status_line(out, 101, b"");
            write::field(out, b"Upgrade", protocol);
            out.extend(b"Connection: Upgrade\r\n");
            write::field(out, b"Sec-WebSocket-Accept", accept.as_bytes());
            self.apply_filters(head, raw);
            head.fields.write(raw, out);
            out.extend(b"\r\n");
            return Ok(());
        }
        write::status_line(out, 101, head.reason.of_bytes(raw));
        for protocol in head.fields.all(raw, Name::Upgrade) {
            write::field(out, b"Upgrade", protocol);
        }
        out.extend(b"Connection: Upgrade\r\n");
        strip_hop_by_hop(&mut head.fields, raw, head.connection);
        self.apply_filters(head, raw);
        head.fields.write(raw, out);
        out.extend(b"\r\n");
        Ok(())
    }

    /// Whether the body ends with the upstream connection.
    pub fn until_close(&self, head: &ResponseHead) -> bool {
        head.body(self.to_head) == BodyLength::UntilClose
    }

    /// Passes on a final response head and says how its body is to be written. `now` is for a date.
    pub fn write_final(
        &mut self,
        head: &mut ResponseHead,
        raw: &[u8],
        client: &mut Stream,
        out: &mut Buffer,
        now: Instant,
    ) -> Result<BodyWriter, Fault> {
        let length = match head.body(self.to_head) {
            length @ BodyLength::Empty => length,
            _ if self.recoded => BodyLength::UntilClose,
            length => length,
        };
        let writer = match (length, self.client) {
            (_, Version::Http2 | Version::Http3) => BodyWriter::Stream,
            (BodyLength::Empty | BodyLength::Length(_) | BodyLength::Stream(Some(_)), _) => BodyWriter::Plain,
            (_, Version::Http11) => BodyWriter::Chunked,
            // HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
            (_, Version::Http10) => {
                self.close = true;
                BodyWriter::Plain
            }
        };
        strip_hop_by_hop(&mut head.fields, raw, head.connection);
        self.apply_filters(head, raw);
        if let Some(server) = self.server {
            head.fields.set(raw, b"Server", server.as_bytes());
        }
        if let Some(alternative) = self.alternative
            && head.fields.find_from(raw, b"alt-svc", 0).is_none()
        {
            head.fields.set(raw, b"Alt-Svc", alternative.as_bytes());
        }
        if let Stream::Inbound(client) = client {
            if !head.fields.has(Name::Date) {
                date::add_field(&mut head.fields, now);
            }
            let status = head.status;
            send_head(client, head, raw, status, length == BodyLength::Empty)?;
            return Ok(writer);
        }
        write_start(head, raw, out);
        // RFC 9110 §6.6.1: who passes on a response without a date adds one.
        if !head.fields.has(Name::Date) {
            date::write_field(out, now);
        }
        if writer == BodyWriter::Chunked {
            out.extend(b"Transfer-Encoding: chunked\r\n");
        }
        // A stream that ended with its head needs no length; a connection that goes on does.
        if head.version == Version::Http2
            && length == BodyLength::Empty
            && !self.to_head
            && !matches!(head.status, 204 | 304)
            && !head.fields.has(Name::ContentLength)
        {
            out.extend(b"Content-Length: 0\r\n");
        }
        let line = connection_line(self.close, self.client);
        if !line.is_empty() {
            out.extend(line);
        }
        out.extend(b"\r\n");
        Ok(writer)
    }

    fn apply_filters(&self, head: &mut ResponseHead, raw: &[u8]) {
        if let Some(grant) = &self.cors {
            filter::cors::allow(grant, &mut head.fields, raw);
        }
        // The backend's filters are nearer to it, so they see its response first.
        for filters in self.filters.iter().rev() {
            filter::edit_response(filters, &mut head.fields, raw);
        }
        if let Some((name, value)) = &self.session {
            // Beside cookies of the upstream's own; instead of its header, as there is one session.
            match *name {
                "Set-Cookie" => head.fields.push(name.as_bytes(), value.as_bytes()),
                name => head.fields.set(raw, name.as_bytes(), value.as_bytes()),
            }
        }
    }
}

/// Sends a head on a stream. `over`: nothing follows.
pub(super) fn send_head(
    client: &mut Inbound,
    head: &ResponseHead,
    raw: &[u8],
    status: u16,
    over: bool,
) -> Result<(), Fault> {
    client
        .send_head(status, &head.fields, raw, over)
        .map_err(|error| match error.kind() {
            // For this client.
            io::ErrorKind::FileTooLarge => Fault::ResponseHeadTooLarge,
            _ => Fault::ClientGone,
        })
}

/// The status line and the fields. Copied in one piece if nothing was taken out.
fn write_start(head: &ResponseHead, raw: &[u8], out: &mut Buffer) {
    if head.line.is_empty() {
        write::status_line(out, head.status, head.reason.of_bytes(raw));
    }
    head.fields.write_behind(head.line, raw, out, NameSet::default());
}

/// What is said about the connection's future (RFC 9112 §9.3): only what the version doesn't imply.
pub(crate) fn connection_line(close: bool, client: Version) -> &'static [u8] {
    match (close, client) {
        (true, Version::Http10 | Version::Http11) => b"Connection: close\r\n",
        (false, Version::Http10) => b"Connection: keep-alive\r\n",
        // Streams end, connections go on.
        (false, Version::Http11) | (_, Version::Http2 | Version::Http3) => b"",
    }
}
