//! Request heads, held against everything that servers are known to read differently.

use super::authority::{Spelling, same_authority};
use super::fields::{elements, is_token};
use super::head::{ConnectionOptions, Framing};
use super::scan::{BadHead, HeadLimits, HeadScan};
use super::{BodyLength, Field, Fields, Name, NameSet, Span, Version, wide};
use crate::Fault;

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
    /// The authority is a host in its normal form beyond doubt: small letters, digits, dashes, single dots between them.
    pub plain_host: bool,
    /// The path is in its normal form beyond doubt: `wide::is_plain_path`.
    pub plain_path: bool,
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
    /// The first line with its CR LF, if it can go to an upstream as it is: in origin form, and of our own version.
    pub line: Span,
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

    /// Finds out what the fields of a head from HTTP/2 say, once they are written down in `raw`. `ended`: nothing follows
    /// the head. `upgrade`: it stands for an extended CONNECT, and what follows is another protocol.
    pub(crate) fn settle_stream(&mut self, raw: &[u8], ended: bool, upgrade: bool) -> Result<(), Fault> {
        let mut facts = Facts::default();
        facts.note_all(raw, &self.fields)?;
        self.disguised = facts.disguised;
        self.trailers = facts.trailers;
        let length = match facts.framing.settle(self.version) {
            Ok(Some(BodyLength::Length(length))) => Some(length),
            Ok(Some(BodyLength::Empty)) => Some(0),
            // RFC 9113 §8.2.2: there is no transfer coding.
            Ok(Some(_)) | Err(_) => return Err(Fault::BadRequest),
            Ok(None) => None,
        };
        if !ended && !upgrade {
            self.body = BodyLength::Stream(length);
            self.expects_continue = facts.expects_continue;
        }
        self.upgrade = upgrade && !facts.upgrade_refused;
        self.protocols = facts.protocols;
        Ok(())
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
    let end = match head.scan.find_end(bytes, &bounds, &mut head.fields) {
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
    let line = head.scan.first_line(raw);
    let length = line.iter().take_while(|&&byte| is_token(byte)).count();
    // RFC 9112 §3: one space between the parts, nothing else, not even more of it.
    let (Some(b' '), true) = (line.get(length), length > 0) else {
        return Err(Fault::BadRequest);
    };
    let rest = &line[length + 1..];
    let Some((target, version)) = rest
        .split_last_chunk()
        .and_then(|(target, version)| Some((target.strip_suffix(b" ")?, Version::of(*version)?)))
    else {
        return Err(version_fault(rest));
    };
    if target.is_empty() {
        return Err(Fault::BadRequest);
    }
    let method = &line[..length];
    head.version = version;
    head.method = Span::of(method, raw);
    if head.scan.malformed() {
        return Err(Fault::BadRequest);
    }
    if method == b"CONNECT" {
        return Err(Fault::ConnectRefused);
    }
    // RFC 9112 §3.2: more than one Host is answered with 400.
    if head.fields.is_doubled(Name::Host) {
        return Err(Fault::BadRequest);
    }
    let mut facts = Facts {
        host: head.fields.span_of(Name::Host),
        ..Facts::default()
    };
    facts.note_all(raw, &head.fields)?;
    head.connection = facts.connection;
    head.trailers = facts.trailers;
    head.disguised = facts.disguised;
    head.protocols = facts.protocols;
    read_target(raw, method, target, head)?;
    if version == Version::Http11 && head.form == Target::Origin {
        head.line = Span {
            start: 0,
            end: (line.len() + 2) as u32,
        };
    }
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

/// What the fields say.
#[derive(Default)]
struct Facts {
    framing: Framing,
    host: Option<Span>,
    connection: ConnectionOptions,
    expects_continue: bool,
    trailers: bool,
    disguised: bool,
    upgrade: bool,
    upgrade_refused: bool,
    protocols: Span,
}

/// Fields that say something about the message, and those whose names have to be looked at.
const NOTED: NameSet = NameSet::of(&[
    Name::Other,
    Name::Connection,
    Name::ContentLength,
    Name::Expect,
    Name::Te,
    Name::TransferEncoding,
    Name::Upgrade,
]);

impl Facts {
    #[inline]
    fn note_all(&mut self, raw: &[u8], fields: &Fields) -> Result<(), Fault> {
        if fields.may_have(NOTED) {
            for field in fields.iter() {
                self.note(raw, fields, field)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn note(&mut self, raw: &[u8], fields: &Fields, field: &Field) -> Result<(), Fault> {
        let value = fields.value(raw, field);
        match field.known {
            Name::Other => self.disguised |= Name::is_disguised(fields.name(raw, field)),
            known @ (Name::ContentLength | Name::TransferEncoding) => self.framing.note(known, value),
            Name::Connection => self.connection.note(value),
            Name::Expect => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Fault::Expectation);
                }
                self.expects_continue = true;
            }
            Name::Te => {
                self.trailers |= elements(value).any(|te| te.eq_ignore_ascii_case(b"trailers"));
            }
            Name::Upgrade if value.is_empty() => {}
            Name::Upgrade => {
                // Two lines of it are one list too many for us to follow.
                self.upgrade_refused |= self.upgrade;
                self.upgrade = true;
                self.protocols = Span::of(value, raw);
                self.upgrade_refused |= elements(value)
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

fn read_target(raw: &[u8], method: &[u8], target: &[u8], head: &mut RequestHead) -> Result<(), Fault> {
    head.target = Span::of(target, raw);
    head.plain_path = wide::is_plain_path(raw, head.target);
    // In such a path there is no question mark, nor anything that may not be in a target.
    let question = if head.plain_path {
        None
    } else {
        wide::question(raw, head.target).map_err(|_| Fault::BadRequest)?
    };
    let path = match target {
        [b'/', ..] => {
            head.form = Target::Origin;
            target
        }
        b"*" if method == b"OPTIONS" => {
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
    // In absolute form something was cut off in front of the path.
    let cut = target.len() - path.len();
    let (path, query) = match question {
        Some(at) => (&path[..at - cut], Some(&path[at - cut + 1..])),
        None => (path, None),
    };
    head.path = Span::of(path, raw);
    head.plain_path |= query.is_some() && wide::is_plain_path(raw, head.path);
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
    let (host, spelling) = match facts.host {
        Some(host) => (Some(host), Spelling::at(raw, host).ok_or(Fault::BadRequest)?),
        None if head.version == Version::Http10 => (None, Spelling::Other),
        None => return Err(Fault::BadRequest),
    };
    if head.form == Target::Absolute {
        let authority = head.authority.of_bytes(raw);
        let spelling = Spelling::at(raw, head.authority).ok_or(Fault::BadRequest)?;
        head.plain_host = spelling == Spelling::Plain;
        if let Some(host) = host
            && !same_authority(authority, host.of_bytes(raw))
        {
            return Err(Fault::BadRequest);
        }
    } else {
        head.plain_host = spelling == Spelling::Plain;
        head.authority = host.unwrap_or_default();
    }
    Ok(())
}

/// RFC 9110 §15.6.6: 505 for a version of HTTP that we don't speak; what isn't a version at all is a bad request. Given
/// is what follows the method.
fn version_fault(rest: &[u8]) -> Fault {
    let mut words = rest.splitn(2, |&byte| byte == b' ');
    let (target, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match version {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if !target.is_empty()
                && major.is_ascii_digit()
                && minor.is_ascii_digit()
                && *major != b'1'
                && *major != b'0' =>
        {
            Fault::Version
        }
        _ => Fault::BadRequest,
    }
}

#[cfg(test)]
mod tests;
