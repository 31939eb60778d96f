//! The head of a request as it goes to an upstream.

use super::Forward;
use crate::exchange::decide::Order;
use crate::exchange::facts::Facts;
use crate::forwarded;
use crate::http::buffer::Buffer;
use crate::http::h1::{BodyLength, Name, NameSet, Span, write};

/// How the length of the forwarded body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::exchange) enum Framing {
    /// As the client did.
    Same,
    /// By its length, known by now.
    Length(usize),
}

impl Forward<'_, '_> {
    /// The head for a mirror, and the body behind it if there is one.
    pub(super) fn mirror_head(&mut self, order: &Order<'_>, framing: Framing, body: Option<&[u8]>) -> Buffer {
        let mut out = Buffer::take();
        self.write_head(Some(&mut out), order, order.changes.host, framing, false);
        if let Some(body) = body {
            out.extend(body);
        }
        out
    }

    /// Writes the request line out of its parts.
    fn write_line(facts: &Facts<'_>, out: &mut Buffer, order: &Order<'_>) {
        out.extend(facts.method.as_bytes());
        out.extend(b" ");
        out.extend(match &order.changes.path {
            Some(path) => path.as_bytes(),
            None => facts.path.forward.as_bytes(),
        });
        if let Some(query) = facts.query {
            out.extend(b"?");
            out.extend(query.as_bytes());
        }
        out.extend(b" HTTP/1.1\r\n");
    }

    /// Writes the head as the upstream gets it: into `other`, or to where it is sent from.
    pub(super) fn write_head(
        &mut self,
        other: Option<&mut Buffer>,
        order: &Order<'_>,
        host: Option<&str>,
        framing: Framing,
        upgrade: bool,
    ) {
        let (raw, head, facts) = (self.raw, self.head, self.facts);
        let out = match other {
            Some(other) => other,
            None => &mut *self.to_upstream,
        };
        // As it came, in one piece with the fields that come next, unless something in it changes.
        let mut before = head.line;
        if order.changes.path.is_some() || !std::ptr::eq(facts.path.forward.as_bytes(), facts.raw_path) {
            before = Span::default();
        }
        if before.is_empty() {
            Self::write_line(facts, out, order);
        }
        let own = head.fields.has(Name::Host);
        let replaced = host.is_some() && own;
        if (host.is_some() || !own) && !before.is_empty() {
            out.extend(before.of_bytes(raw));
            before = Span::default();
        }
        if let Some(host) = host {
            write::field(out, b"Host", host.as_bytes());
        } else if !own {
            // RFC 9112 §3.2: there must be one. From HTTP/1.0 there may be none: then it is where the client went.
            match facts.authority {
                [] => write::field(out, b"Host", self.session.ends.local.to_string().as_bytes()),
                authority => write::field(out, b"Host", authority),
            }
        }
        let left_out = match (replaced, framing) {
            (false, Framing::Same) => NameSet::default(),
            (true, Framing::Same) => NameSet::of(&[Name::Host]),
            (false, Framing::Length(_)) => NameSet::of(&[Name::ContentLength, Name::Expect]),
            (true, Framing::Length(_)) => NameSet::of(&[Name::Host, Name::ContentLength, Name::Expect]),
        };
        head.fields.write_behind(before, raw, out, left_out);
        match (framing, head.body) {
            (Framing::Length(length), _) => {
                out.extend(b"Content-Length: ");
                write::decimal(out, length as u64);
                out.extend(b"\r\n");
            }
            (Framing::Same, BodyLength::Chunked | BodyLength::Stream(None)) => {
                out.extend(b"Transfer-Encoding: chunked\r\n");
            }
            // RFC 9110 §8.6. A stream that ended with its head had no need of it.
            (Framing::Same, BodyLength::Empty)
                if head.version.has_streams()
                    && matches!(facts.method, "POST" | "PUT" | "PATCH")
                    && !head.fields.has(Name::ContentLength) =>
            {
                out.extend(b"Content-Length: 0\r\n");
            }
            // The client's own Content-Length is among the fields.
            _ => {}
        }
        if upgrade {
            write::field(out, b"Upgrade", head.protocols.of_bytes(raw));
            out.extend(b"Connection: Upgrade\r\n");
        } else if head.trailers {
            out.extend(b"TE: trailers\r\nConnection: TE\r\n");
        }
        forwarded::write(
            out,
            &mut self.session.lines,
            &self.session.ends,
            self.client,
            &self.received,
            self.settings.forwarded,
            facts.authority,
            self.request_id,
            &head.fields,
            order.edited,
        );
        if let Some(client) = self
            .session
            .downstream
            .tls
            .as_ref()
            .and_then(|tls| tls.admission.client())
        {
            write::field(out, b"X-Forwarded-Client-Cert", client.as_bytes());
        }
        out.extend(b"\r\n");
    }
}
