//! Turns an upstream's response head into the one that the client gets.

use crate::filter::{self, CompiledFilter, CorsGrant};
use crate::http::buffer::Buffer;
use crate::http::date;
use crate::http::h1::head::strip_hop_by_hop;
use crate::http::h1::{BodyLength, BodyWriter, Name, NameSet, ResponseHead, Version, write};
use tokio::time::Instant;

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
    /// Filters of the rule, then those of the backend.
    pub filters: [&'a [CompiledFilter]; 2],
    /// What a CORS filter allows the page that asked.
    pub cors: Option<CorsGrant<'a>>,
    /// Value of `Server`, if ours replaces the upstream's.
    pub server: Option<&'a str>,
}

impl ResponseRules<'_> {
    /// Passes on an interim response (RFC 9110 §15.2: not to a client of HTTP/1.0).
    pub fn write_interim(&self, head: &mut ResponseHead, raw: &[u8], out: &mut Buffer) {
        if self.client == Version::Http10 {
            return;
        }
        strip_hop_by_hop(&mut head.fields, raw, head.connection);
        write_start(head, raw, out);
        out.extend(b"\r\n");
    }

    /// Whether the upstream may switch protocols with this response (RFC 9110 §7.8: only to what was offered).
    pub fn may_switch(&self, head: &ResponseHead) -> bool {
        self.upgrade && head.connection.upgrade && head.fields.has(Name::Upgrade)
    }

    /// Passes on a `101`.
    pub fn write_switch(&self, head: &mut ResponseHead, raw: &[u8], out: &mut Buffer) {
        write::status_line(out, 101, head.reason.of_bytes(raw));
        for protocol in head.fields.all(raw, Name::Upgrade) {
            write::field(out, b"Upgrade", protocol);
        }
        out.extend(b"Connection: Upgrade\r\n");
        strip_hop_by_hop(&mut head.fields, raw, head.connection);
        self.apply_filters(head, raw);
        head.fields.write(raw, out);
        out.extend(b"\r\n");
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
        out: &mut Buffer,
        now: Instant,
    ) -> BodyWriter {
        let writer = match (head.body(self.to_head), self.client) {
            (BodyLength::Empty | BodyLength::Length(_), _) => BodyWriter::Plain,
            (BodyLength::Chunked | BodyLength::UntilClose, Version::Http11) => BodyWriter::Chunked,
            // HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
            (BodyLength::Chunked | BodyLength::UntilClose, Version::Http10) => {
                self.close = true;
                BodyWriter::Plain
            }
        };
        strip_hop_by_hop(&mut head.fields, raw, head.connection);
        self.apply_filters(head, raw);
        if let Some(server) = self.server {
            head.fields.set(raw, b"Server", server.as_bytes());
        }
        write_start(head, raw, out);
        // RFC 9110 §6.6.1: who passes on a response without a date adds one.
        if !head.fields.has(Name::Date) {
            date::write_field(out, now);
        }
        if writer == BodyWriter::Chunked {
            out.extend(b"Transfer-Encoding: chunked\r\n");
        }
        out.extend(connection_line(self.close, self.client));
        out.extend(b"\r\n");
        writer
    }

    fn apply_filters(&self, head: &mut ResponseHead, raw: &[u8]) {
        if let Some(grant) = &self.cors {
            filter::cors::allow(grant, &mut head.fields, raw);
        }
        // The backend's filters are nearer to it, so they see its response first.
        for filters in self.filters.iter().rev() {
            filter::edit_response(filters, &mut head.fields, raw);
        }
    }
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
        (true, _) => b"Connection: close\r\n",
        (false, Version::Http10) => b"Connection: keep-alive\r\n",
        (false, Version::Http11) => b"",
    }
}
