//! Request heads: parsed by `httparse`, then held against everything that servers are known to read differently.

use super::fields::elements;
use super::head::{BadHead, ConnectionOptions, Framing, HeadLimits, HeadScan, MOST_FIELDS};
use super::{BodyLength, Fields, Name, Span, Version};
use crate::Fault;
use std::mem::MaybeUninit;

/// A request head. All text is in the bytes it was read from, which the caller keeps.
#[derive(Debug, Default)]
pub struct RequestHead {
    /// Method.
    pub method: Span,
    /// Request target as received.
    pub target: Span,
    /// What the target is.
    pub form: Target,
    /// Path, as received; `/` is understood when a target in absolute form has none.
    pub path: Span,
    /// Query without its `?`, as received.
    pub query: Option<Span>,
    /// Host and port, from the target or from `Host`; empty only in HTTP/1.0.
    pub authority: Span,
    /// Version.
    pub version: Version,
    /// Header fields.
    pub fields: Fields,
    /// How the body is framed.
    pub body: BodyLength,
    /// What `Connection` says.
    pub connection: ConnectionOptions,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// The request asks to switch protocols and may be let to.
    pub upgrade: bool,
    /// What `Upgrade` offers, if `upgrade` holds.
    pub protocols: Span,
    /// The client can take trailers (`TE: trailers`).
    pub trailers: bool,
    /// A field name is a known one in disguise.
    pub disguised: bool,
    scan: HeadScan,
}

/// Forms of a request target (RFC 9112 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `*`, with OPTIONS only.
    Asterisk,
}

impl RequestHead {
    /// Forgets the request, keeps the memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self {
            fields,
            ..Self::default()
        };
    }

    /// Whether the client would go on using the connection.
    pub fn persistent(&self) -> bool {
        self.connection.persistent(self.version)
    }
}

/// Reads a request head from the start of `bytes`. Gives its length, or `None` when more bytes are needed: call again
/// with the same head and the same bytes and more. Start a new request with [`RequestHead::clear`].
pub fn parse_request(
    bytes: &[u8],
    limits: &ir::Limits,
    head: &mut RequestHead,
) -> Result<Option<usize>, Fault> {
    let bounds = HeadLimits {
        first_line: limits.request_line,
        fields: limits.header_bytes,
        count: limits.header_count,
    };
    // A TLS handshake or other noise is told apart at its first byte, not when a line end happens to come.
    if bytes.first().is_some_and(|&first| !is_token(first)) {
        return Err(Fault::BadRequest);
    }
    let end = match head.scan.find_end(bytes, &bounds) {
        Ok(Some(end)) => end,
        Ok(None) => return Ok(None),
        Err(BadHead::BareLineFeed) => return Err(Fault::BadRequest),
        Err(BadHead::LongFirstLine) => return Err(Fault::RequestLineTooLong),
        Err(BadHead::TooLarge) => return Err(Fault::HeadTooLarge),
    };
    read(&bytes[..end], head)?;
    Ok(Some(end))
}

fn read(raw: &[u8], head: &mut RequestHead) -> Result<(), Fault> {
    let mut headers = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(raw, &mut headers) {
        Ok(httparse::Status::Complete(length)) if length == raw.len() => {}
        Err(httparse::Error::Version) => return Err(version_fault(raw)),
        _ => return Err(Fault::BadRequest),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Fault::BadRequest);
    };
    head.version = if version == 0 {
        Version::Http10
    } else {
        Version::Http11
    };
    head.method = Span::of(method.as_bytes(), raw);
    if method == "CONNECT" {
        return Err(Fault::ConnectRefused);
    }
    let mut facts = Facts::default();
    for header in parsed.headers.iter() {
        facts.note(raw, head, header)?;
    }
    read_target(raw, method, target.as_bytes(), head)?;
    read_authority(raw, &facts, head)?;
    head.body = match facts.framing.settle(head.version) {
        Ok(body) => body.unwrap_or(BodyLength::Empty),
        Err(_) => return Err(Fault::BadRequest),
    };
    // RFC 9110 §10.1.1: a server ignores the expectation of an HTTP/1.0 client.
    head.expects_continue = facts.expects_continue && head.version == Version::Http11 && has_body(head);
    // RFC 9110 §7.8: only with the connection option, never in HTTP/1.0. A request with content is served
    // without switching: what follows it would have two readings. `h2c` is never let through, for inside of it
    // requests would pass that no rule has seen.
    head.upgrade = facts.upgrade
        && !facts.upgrade_refused
        && head.connection.upgrade
        && head.version == Version::Http11
        && !has_body(head);
    Ok(())
}

/// What the fields say, besides what goes into the head at once.
#[derive(Default)]
struct Facts {
    framing: Framing,
    host: Option<Span>,
    expects_continue: bool,
    upgrade: bool,
    upgrade_refused: bool,
}

impl Facts {
    #[inline]
    fn note(
        &mut self,
        raw: &[u8],
        head: &mut RequestHead,
        header: &httparse::Header<'_>,
    ) -> Result<(), Fault> {
        let name = header.name.as_bytes();
        match head.fields.push_parsed(raw, name, header.value) {
            Name::Other => head.disguised |= Name::is_disguised(name),
            known @ (Name::ContentLength | Name::TransferEncoding) => self.framing.note(known, header.value),
            Name::Host => {
                // RFC 9112 §3.2: more than one Host is answered with 400.
                if self.host.is_some() {
                    return Err(Fault::BadRequest);
                }
                self.host = Some(if header.value.is_empty() {
                    Span::default()
                } else {
                    Span::of(header.value, raw)
                });
            }
            Name::Connection => head.connection.note(header.value),
            Name::Expect => {
                if !header.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Fault::Expectation);
                }
                self.expects_continue = true;
            }
            Name::Te => {
                head.trailers |= elements(header.value).any(|te| te.eq_ignore_ascii_case(b"trailers"));
            }
            Name::Upgrade if header.value.is_empty() => {}
            Name::Upgrade => {
                // Two lines of it are one list too many for us to follow.
                self.upgrade_refused |= self.upgrade;
                self.upgrade = true;
                head.protocols = Span::of(header.value, raw);
                self.upgrade_refused |= elements(header.value)
                    .any(|protocol| protocol.len() >= 3 && protocol[..3].eq_ignore_ascii_case(b"h2c"));
            }
            _ => {}
        }
        Ok(())
    }
}

fn has_body(head: &RequestHead) -> bool {
    head.body != BodyLength::Empty
}

fn read_target(raw: &[u8], method: &str, target: &[u8], head: &mut RequestHead) -> Result<(), Fault> {
    // Printable ASCII only; a fragment never goes over the wire (RFC 9112 §3.2, RFC 3986 §2).
    if !target
        .iter()
        .all(|&byte| matches!(byte, 0x21..=0x7e) && byte != b'#')
    {
        return Err(Fault::BadRequest);
    }
    head.target = Span::of(target, raw);
    let path = match target {
        [b'/', ..] => {
            head.form = Target::Origin;
            target
        }
        b"*" if method == "OPTIONS" => {
            head.form = Target::Asterisk;
            target
        }
        _ => {
            head.form = Target::Absolute;
            let rest = strip_scheme(target).ok_or(Fault::BadRequest)?;
            let end = rest
                .iter()
                .position(|byte| matches!(byte, b'/' | b'?'))
                .unwrap_or(rest.len());
            head.authority = Span::of(&rest[..end], raw);
            &rest[end..]
        }
    };
    let (path, query) = match memchr::memchr(b'?', path) {
        Some(at) => (&path[..at], Some(&path[at + 1..])),
        None => (path, None),
    };
    head.path = Span::of(path, raw);
    head.query = query.map(|query| Span::of(query, raw));
    Ok(())
}

fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    for scheme in [&b"http://"[..], b"https://"] {
        if target.len() > scheme.len() && target[..scheme.len()].eq_ignore_ascii_case(scheme) {
            return Some(&target[scheme.len()..]);
        }
    }
    None
}

/// RFC 9112 §3.2: HTTP/1.1 needs exactly one valid Host. With a target in absolute form the target's authority
/// counts; a Host that says something else is refused, as the next server might go by it.
fn read_authority(raw: &[u8], facts: &Facts, head: &mut RequestHead) -> Result<(), Fault> {
    let host = match facts.host {
        Some(host) if is_authority(host.of_bytes(raw)) => Some(host),
        None if head.version == Version::Http10 => None,
        _ => return Err(Fault::BadRequest),
    };
    if head.form == Target::Absolute {
        let authority = head.authority.of_bytes(raw);
        if !is_authority(authority) {
            return Err(Fault::BadRequest);
        }
        if let Some(host) = host
            && !same_authority(authority, host.of_bytes(raw))
        {
            return Err(Fault::BadRequest);
        }
    } else {
        head.authority = host.unwrap_or_default();
    }
    Ok(())
}

/// Host with an optional port, no user (RFC 3986 §3.2.2). Whether the name makes sense is the router's question.
fn is_authority(text: &[u8]) -> bool {
    // Nearly all of them: letters, digits, dots, dashes.
    if !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
    {
        return true;
    }
    let (host, port) = split_port(text);
    let valid_host = match host {
        [b'[', inner @ .., b']'] => {
            !inner.is_empty()
                && inner
                    .iter()
                    .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
        }
        name => {
            !name.is_empty()
                && name.iter().all(|b| {
                    b.is_ascii_alphanumeric()
                        || matches!(
                            b,
                            b'-' | b'.'
                                | b'_'
                                | b'~'
                                | b'%'
                                | b'!'
                                | b'$'
                                | b'&'
                                | b'\''
                                | b'('
                                | b')'
                                | b'*'
                                | b'+'
                                | b';'
                                | b'='
                        )
                })
        }
    };
    valid_host
        && port.is_none_or(|port| {
            port.len() <= 5
                && port.iter().all(u8::is_ascii_digit)
                && port.iter().fold(0u32, |n, b| n * 10 + u32::from(b - b'0')) <= 65_535
        })
}

fn same_authority(a: &[u8], b: &[u8]) -> bool {
    let ((host_a, port_a), (host_b, port_b)) = (split_port(a), split_port(b));
    let port = |port: Option<&[u8]>| port.filter(|port| !port.is_empty()).map(<[u8]>::to_vec);
    host_a.eq_ignore_ascii_case(host_b) && port(port_a) == port(port_b)
}

fn split_port(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let name_end = memchr::memchr(b']', text).unwrap_or_default();
    match memchr::memrchr(b':', &text[name_end..]) {
        Some(colon) => (&text[..name_end + colon], Some(&text[name_end + colon + 1..])),
        None => (text, None),
    }
}

/// RFC 9110 §15.6.6: 505 for a version of HTTP that we don't speak; what isn't a version at all is a bad request.
fn version_fault(raw: &[u8]) -> Fault {
    let line = raw.split(|&byte| byte == b'\r').next().unwrap_or(raw);
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or(line);
    match version {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() && *major != b'1' && *major != b'0' =>
        {
            Fault::Version
        }
        _ => Fault::BadRequest,
    }
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests;
