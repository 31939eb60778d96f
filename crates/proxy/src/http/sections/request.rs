//! The head of a request, written down as text while its section is decoded.
//!
//! Nothing is parsed twice: names and values are known, so each line is noted as it is written. What breaks the rules of
//! sections makes the request malformed, which is told by resetting its stream; what breaks ours is answered.

use super::{FIELD_OVERHEAD, Kind, is_trimmed, push};
use crate::Fault;
use crate::http::buffer::Buffer;
use crate::http::h1::authority::{is_plain_host, same_authority};
use crate::http::h1::fields::is_token;
use crate::http::h1::{Name, RequestHead, Span, Target, Version};
use std::cell::Cell;

/// Writes a request's head into a buffer, which is empty, and notes in a head what is where.
#[derive(Debug)]
pub struct RequestReader<'a> {
    raw: &'a mut Buffer,
    head: &'a mut RequestHead,
    limits: &'a ir::Limits,
    /// What the lines may still come to.
    left: usize,
    /// Texts of pseudo-header fields, which may come in any order, and of crumbs of cookies.
    room: Vec<u8>,
    pseudo: Pseudo,
    crumbs: Vec<Span>,
    /// The request line is written: only fields may follow.
    lined: bool,
    named: bool,
    /// Another `Host` than the one that named it.
    hosts: bool,
    malformed: bool,
    fault: Option<Fault>,
}

/// Where in the room a value is.
#[derive(Debug, Default)]
struct Pseudo {
    method: Option<Span>,
    scheme: Option<Span>,
    authority: Option<Span>,
    path: Option<Span>,
    protocol: Option<Span>,
}

/// Why there is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// The message is malformed: its stream is reset (RFC 9113 §8.1.1, RFC 9114 §4.1.2).
    Malformed,
    /// It is answered.
    Fault {
        /// With this.
        fault: Fault,
        /// It was a POST.
        post: bool,
    },
}

impl<'a> RequestReader<'a> {
    /// Reads a request into an empty buffer and a cleared head.
    pub fn new(
        version: Version,
        limits: &'a ir::Limits,
        raw: &'a mut Buffer,
        head: &'a mut RequestHead,
    ) -> Self {
        debug_assert!(raw.is_empty());
        head.version = version;
        let mut room = ROOM.take();
        room.clear();
        Self {
            raw,
            head,
            limits,
            left: request_size(limits),
            room,
            pseudo: Pseudo::default(),
            crumbs: Vec::new(),
            lined: false,
            named: false,
            hosts: false,
            malformed: false,
            fault: None,
        }
    }

    /// Takes a line.
    #[inline]
    pub fn take(&mut self, kind: Kind, name: &[u8], value: &[u8]) {
        let Some(left) = self.left.checked_sub(name.len() + value.len() + FIELD_OVERHEAD) else {
            self.left = 0;
            return self.fail(Fault::HeadTooLarge);
        };
        self.left = left;
        let place = match kind {
            Kind::Field(known) => return self.field(known, name, value),
            Kind::Method => &mut self.pseudo.method,
            Kind::Scheme => &mut self.pseudo.scheme,
            Kind::Authority => &mut self.pseudo.authority,
            Kind::Path => &mut self.pseudo.path,
            Kind::Protocol => &mut self.pseudo.protocol,
            Kind::Status | Kind::Malformed => return self.malformed = true,
        };
        // RFC 9113 §8.3, RFC 9114 §4.3: before all others, and each once.
        if self.lined || place.is_some() {
            return self.malformed = true;
        }
        *place = Some(keep(&mut self.room, value));
    }

    fn field(&mut self, known: Name, name: &[u8], value: &[u8]) {
        if !self.lined {
            self.begin();
        }
        if !is_trimmed(value) {
            self.fail(Fault::BadRequest);
        }
        match known {
            Name::Host => self.host(value),
            // RFC 9113 §8.2.3: crumbs are put together.
            Name::Other if name == b"cookie" => self.crumbs.push(keep(&mut self.room, value)),
            known => {
                push(self.raw, &mut self.head.fields, known, name, value);
            }
        }
    }

    /// All pseudo-header fields are there: writes the request line, and the line of the host.
    fn begin(&mut self) {
        self.lined = true;
        let Pseudo {
            method,
            scheme,
            authority,
            path,
            protocol,
        } = self.pseudo;
        let room = std::mem::take(&mut self.room);
        let text = |span: Span| span.of_bytes(&room);
        let is_connect = method.is_some_and(|method| text(method) == b"CONNECT");
        // RFC 9113 §8.3.1, §8.5; RFC 8441 §4.
        let complete = method
            .is_some_and(|method| !method.is_empty() && text(method).iter().copied().all(is_token))
            && match (is_connect, protocol) {
                (true, None) => scheme.is_none() && path.is_none() && authority.is_some(),
                (true, Some(_)) => scheme.is_some() && path.is_some() && authority.is_some(),
                (false, None) => scheme.is_some() && path.is_some(),
                (false, Some(_)) => false,
            }
            && scheme.is_none_or(|scheme| is_scheme(text(scheme)))
            && path.is_none_or(|path| !path.is_empty());
        if !complete {
            self.malformed = true;
        } else if is_connect && protocol.is_none() {
            self.fail(Fault::ConnectRefused);
        } else if protocol.is_some_and(|protocol| !is_protocol(text(protocol))) {
            self.fail(Fault::BadRequest);
        } else {
            let method = method.map_or(&b""[..], text);
            let path = path.map_or(&b""[..], text);
            self.line(if protocol.is_some() { b"GET" } else { method }, path);
        }
        if let Some(authority) = authority
            && !self.malformed
        {
            self.name(text(authority));
        }
        self.room = room;
    }

    fn line(&mut self, method: &[u8], target: &[u8]) {
        if method.len() + target.len() > self.limits.request_line {
            return self.fail(Fault::RequestLineTooLong);
        }
        // As strict as a request line is read: printable ASCII without a fragment (RFC 3986 §2), from the root or the
        // asterisk of OPTIONS.
        let asterisk = target == b"*" && method == b"OPTIONS";
        let printable = target
            .iter()
            .all(|byte| matches!(byte, 0x21..=0x7e) && *byte != b'#');
        if !printable || target.first() != Some(&b'/') && !asterisk {
            return self.fail(Fault::BadRequest);
        }
        let (raw, head) = (&mut *self.raw, &mut *self.head);
        raw.extend(method);
        raw.extend(b" ");
        let start = raw.len();
        raw.extend(target);
        let end = raw.len();
        raw.extend(b" HTTP/1.1\r\n");
        let span = |from: usize, to: usize| Span {
            start: from as u32,
            end: to as u32,
        };
        head.method = span(0, method.len());
        head.target = span(start, end);
        match memchr::memchr(b'?', target) {
            Some(question) => {
                head.path = span(start, start + question);
                head.query = Some(span(start + question + 1, end));
            }
            None => head.path = head.target,
        }
        head.form = if asterisk {
            Target::Asterisk
        } else {
            head.line = span(0, raw.len());
            Target::Origin
        };
    }

    /// Writes who the request is for.
    fn name(&mut self, authority: &[u8]) {
        self.named = true;
        match is_plain_host(authority) {
            Some(plain) => self.head.plain_host = plain,
            None => return self.fail(Fault::BadRequest),
        }
        self.head.authority = push(self.raw, &mut self.head.fields, Name::Host, b"host", authority);
    }

    /// RFC 9113 §8.3.1: `:authority` says the host, or `Host` where it is missing; where both are there they must agree.
    fn host(&mut self, host: &[u8]) {
        if !self.named {
            return self.name(host);
        }
        let authority = self.pseudo.authority.map(|span| span.of_bytes(&self.room));
        // One of them: a second `Host` is refused.
        if authority.is_none_or(|authority| !same_authority(authority, host)) || self.hosts {
            return self.fail(Fault::BadRequest);
        }
        self.hosts = true;
    }

    /// How much content the head says there is. What says it badly is refused when reading is over.
    pub fn length(&self) -> Option<u64> {
        let value = self.head.fields.get(self.raw.filled(), Name::ContentLength)?;
        let length = crate::sys::ascii(value)?.parse().ok();
        length.filter(|_| self.pseudo.protocol.is_none())
    }

    /// Whether the request changes nothing (RFC 9110 §9.2.1).
    pub fn is_safe(&self) -> bool {
        let method = self.pseudo.method.map(|span| span.of_bytes(&self.room));
        matches!(method, Some(b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE"))
    }

    /// It is answered with this, unless there was another reason before.
    pub fn fail(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// All lines are taken. `ended`: no body follows. `key` is asked for what WebSocket wants beside an extended CONNECT,
    /// which becomes the upgrade that it stands for (RFC 6455 §4.1).
    pub fn finish(mut self, ended: bool, key: impl FnOnce() -> String) -> Result<(), Unread> {
        if !self.lined && !self.malformed && self.fault.is_none() {
            self.begin();
        }
        if self.malformed {
            return Err(Unread::Malformed);
        }
        if !self.named {
            self.fail(Fault::BadRequest);
        }
        self.cookie();
        let upgrade = self.pseudo.protocol.is_some();
        if upgrade {
            self.upgrade(key);
        }
        if self.head.fields.len() > self.limits.header_count {
            self.fail(Fault::HeadTooLarge);
        }
        let settled = match self.fault {
            Some(fault) => Err(fault),
            None => self.head.settle_stream(self.raw.filled(), ended, upgrade),
        };
        let post = self
            .pseudo
            .method
            .is_some_and(|span| span.of_bytes(&self.room) == b"POST");
        settled.map_err(|fault| Unread::Fault { fault, post })
    }

    fn cookie(&mut self) {
        if self.crumbs.is_empty() {
            return;
        }
        let mut all = Vec::new();
        for crumb in &self.crumbs {
            if !all.is_empty() {
                all.extend_from_slice(b"; ");
            }
            all.extend_from_slice(crumb.of_bytes(&self.room));
        }
        push(self.raw, &mut self.head.fields, Name::Other, b"cookie", &all);
    }

    fn upgrade(&mut self, key: impl FnOnce() -> String) {
        let protocol = self
            .pseudo
            .protocol
            .map_or(&b""[..], |span| span.of_bytes(&self.room));
        let (raw, fields) = (&mut *self.raw, &mut self.head.fields);
        push(raw, fields, Name::Upgrade, b"upgrade", protocol);
        // A client has no use for one, but may send it.
        if fields.find_from(raw.filled(), b"sec-websocket-key", 0).is_none() {
            push(raw, fields, Name::Other, b"sec-websocket-key", key().as_bytes());
        }
    }
}

impl Drop for RequestReader<'_> {
    fn drop(&mut self) {
        let room = std::mem::take(&mut self.room);
        if room.capacity() <= MOST_ROOM {
            ROOM.set(room);
        }
    }
}

/// What all lines of a request may come to: the pseudo-header fields are the request line.
pub fn request_size(limits: &ir::Limits) -> usize {
    limits.header_bytes + limits.request_line + FIELD_OVERHEAD * limits.header_count
}

fn keep(room: &mut Vec<u8>, value: &[u8]) -> Span {
    let start = room.len() as u32;
    room.extend_from_slice(value);
    Span {
        start,
        end: room.len() as u32,
    }
}

/// RFC 3986 §3.1.
fn is_scheme(text: &[u8]) -> bool {
    let more = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.first().is_some_and(u8::is_ascii_alphabetic) && text.iter().all(more)
}

/// One token of RFC 9110 §7.8, and not another HTTP: requests inside of it would have met no rule.
fn is_protocol(text: &[u8]) -> bool {
    let http = |name: &[u8]| text.len() >= name.len() && text[..name.len()].eq_ignore_ascii_case(name);
    !text.is_empty() && text.iter().copied().all(is_token) && !http(b"h2") && !http(b"http")
}

thread_local! {
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
/// Room that is kept for the next request.
const MOST_ROOM: usize = 16 * 1024;

#[cfg(test)]
mod tests;
