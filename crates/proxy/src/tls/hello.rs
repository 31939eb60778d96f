//! Reads the name that a client asks for out of its first TLS message (RFC 8446 §4.1.2, RFC 6066 §3), to pass the bytes
//! on untouched. Sans-I/O, and in one pass: what comes in pieces of one byte costs no more than what comes at once.
//!
//! The message may be spread over any number of records and segments. Everything else in it (post-quantum key shares,
//! GREASE, an encrypted inner hello) is stepped over. With ECH the outer name counts: it is all that can be read.

/// A ClientHello coming in.
#[derive(Debug, Default)]
pub struct HelloReader {
    record: Record,
    /// The handshake message so far, its header included.
    message: Vec<u8>,
    /// Bytes looked at so far.
    seen: usize,
}

/// What is known after some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// More has to come.
    Partial,
    /// The whole message was there.
    Complete(Hello),
    /// This is no ClientHello, or one that nobody can mean.
    Malformed(&'static str),
}

/// What a ClientHello says, as far as anybody here wants to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// The name asked for, lower-case, without a dot at its end. `None`: the client named none.
    pub sni: Option<Box<str>>,
}

/// Where the reader stands.
#[derive(Debug, Clone, Copy)]
enum Record {
    /// In a record's header, of which so much is there.
    Header { bytes: [u8; 5], count: usize },
    /// In a record's content, of which so much is to come.
    Content(usize),
}

impl Default for Record {
    fn default() -> Self {
        Self::Header {
            bytes: [0; 5],
            count: 0,
        }
    }
}

impl HelloReader {
    /// Takes in the bytes that came next. Not to be called again once it is complete or malformed.
    pub fn read(&mut self, mut bytes: &[u8]) -> Progress {
        while !bytes.is_empty() {
            if self.seen >= MOST_BYTES {
                return Progress::Malformed("a ClientHello of more than 64 KiB");
            }
            let step = match &mut self.record {
                Record::Header { bytes: header, count } => {
                    header[*count] = bytes[0];
                    *count += 1;
                    if let Err(reason) = check_header(&header[..*count]) {
                        return Progress::Malformed(reason);
                    }
                    if *count == header.len() {
                        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
                        self.record = Record::Content(length);
                    }
                    1
                }
                Record::Content(left) => {
                    let step = bytes.len().min(*left).min(MOST_BYTES - self.seen);
                    self.message.extend_from_slice(&bytes[..step]);
                    *left -= step;
                    if *left == 0 {
                        self.record = Record::default();
                    }
                    match self.message() {
                        Progress::Partial => step,
                        known => return known,
                    }
                }
            };
            self.seen += step;
            bytes = &bytes[step..];
        }
        Progress::Partial
    }

    /// Looks at the message as far as it is there.
    fn message(&self) -> Progress {
        match *self.message {
            [kind, ..] if kind != CLIENT_HELLO => Progress::Malformed("the first message is no ClientHello"),
            [_, a, b, c, ref body @ ..] => {
                let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                if length > MOST_BYTES {
                    return Progress::Malformed("a ClientHello of more than 64 KiB");
                }
                match body.get(..length) {
                    None => Progress::Partial,
                    Some(body) => match hello(body) {
                        Some(Ok(hello)) => Progress::Complete(hello),
                        Some(Err(reason)) => Progress::Malformed(reason),
                        None => Progress::Malformed("a ClientHello that ends within a field"),
                    },
                }
            }
            _ => Progress::Partial,
        }
    }
}

/// As soon as a byte is wrong, not when all of them are there: who speaks something else may wait for us.
fn check_header(header: &[u8]) -> Result<(), &'static str> {
    match *header {
        [kind, ..] if kind != HANDSHAKE => Err("not TLS"),
        [_, major, ..] if major != 3 => Err("not TLS 1.0 or later"),
        [_, _, _, high, low] => match u16::from_be_bytes([high, low]) {
            // RFC 8446 §5.1: no empty fragments of handshake messages.
            0 => Err("an empty record"),
            length if length > MOST_IN_RECORD => Err("a record of more than 16 KiB"),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The body of a ClientHello. `None`: it ends too early.
fn hello(body: &[u8]) -> Option<Result<Hello, &'static str>> {
    let mut body = Bytes(body);
    body.take(2 + 32)?; // legacy_version, random
    body.short()?; // legacy_session_id
    body.long()?; // cipher_suites
    body.short()?; // legacy_compression_methods
    let mut hello = Hello::default();
    if body.0.is_empty() {
        // TLS 1.2 without extensions.
        return Some(Ok(hello));
    }
    let mut extensions = Bytes(body.long()?);
    let mut named = false;
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let content = extensions.long()?;
        if kind != SERVER_NAME {
            continue;
        }
        if std::mem::replace(&mut named, true) {
            // RFC 8446 §4.2: no extension twice. Whoever stands behind us might look at the other one.
            return Some(Err("two server names"));
        }
        match server_name(content)? {
            Ok(name) => hello.sni = Some(name),
            Err(reason) => return Some(Err(reason)),
        }
    }
    if !body.0.is_empty() {
        return Some(Err("bytes behind the extensions"));
    }
    Some(Ok(hello))
}

/// RFC 6066 §3: a list of which only host names were ever defined, and one at most.
fn server_name(content: &[u8]) -> Option<Result<Box<str>, &'static str>> {
    let mut content = Bytes(content);
    let mut list = Bytes(content.long()?);
    let kind = list.take(1)?[0];
    let name = list.long()?;
    if kind != HOST_NAME || !list.0.is_empty() || !content.0.is_empty() {
        return Some(Err("a server name of an unknown kind, or several"));
    }
    let name = name.strip_suffix(b".").unwrap_or(name);
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.iter().all(good) {
        return Some(Err("a server name that is no host name"));
    }
    match std::str::from_utf8(name) {
        Ok(name) => Some(Ok(name.to_ascii_lowercase().into())),
        Err(_) => Some(Err("a server name that is no host name")),
    }
}

/// Bytes not yet read. Every method is `None` if there are too few.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<usize> {
        let bytes = self.take(2)?;
        Some(usize::from(bytes[0]) << 8 | usize::from(bytes[1]))
    }

    /// A vector with a length of one byte.
    fn short(&mut self) -> Option<&'b [u8]> {
        let length = usize::from(self.take(1)?[0]);
        self.take(length)
    }

    /// A vector with a length of two bytes.
    fn long(&mut self) -> Option<&'b [u8]> {
        let length = self.number()?;
        self.take(length)
    }
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: usize = 0;
const HOST_NAME: u8 = 0;
/// RFC 8446 §5.1.
const MOST_IN_RECORD: u16 = 1 << 14;
/// RFC 1035 §2.3.4, as text.
const LONGEST_NAME: usize = 253;
/// Browsers send 2 KiB with a post-quantum key share; rustls and OpenSSL take messages of 64 KiB and 128 KiB at most.
const MOST_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::aws_lc_rs;
    use std::sync::Arc;

    /// What rustls sends to `name`, with a post-quantum key share.
    fn from_rustls(name: &str) -> Vec<u8> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    fn vector(length: usize, content: &[u8]) -> Vec<u8> {
        let size = content.len().to_be_bytes();
        let mut bytes = size[size.len() - length..].to_vec();
        bytes.extend_from_slice(content);
        bytes
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend(vector(2, content));
        bytes
    }

    fn name(text: &[u8]) -> Vec<u8> {
        let mut entry = vec![HOST_NAME];
        entry.extend(vector(2, text));
        extension(0, &vector(2, &entry))
    }

    /// The message alone.
    fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend(vector(1, &[]));
        body.extend(vector(2, &[0x13, 0x01]));
        body.extend(vector(1, &[0]));
        body.extend(vector(2, &extensions.concat()));
        let mut message = vec![CLIENT_HELLO];
        message.extend(vector(3, &body));
        message
    }

    fn records(message: &[u8], size: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in message.chunks(size) {
            bytes.extend([HANDSHAKE, 3, 1]);
            bytes.extend(vector(2, part));
        }
        bytes
    }

    fn read(bytes: &[u8], step: usize) -> Progress {
        let mut reader = HelloReader::default();
        let mut last = Progress::Partial;
        for part in bytes.chunks(step) {
            last = reader.read(part);
            if last != Progress::Partial {
                break;
            }
        }
        last
    }

    fn named(name: &str) -> Progress {
        Progress::Complete(Hello {
            sni: Some(name.into()),
        })
    }

    #[test]
    fn the_name_is_found_however_the_bytes_come() {
        let hello = from_rustls("Shop.Example.com");
        assert!(hello.len() > 1200, "a post-quantum key share is in it");
        for step in [1, 2, 5, 7, 100, hello.len()] {
            assert_eq!(read(&hello, step), named("shop.example.com"), "{step}");
        }
        assert_eq!(read(&hello[..hello.len() - 1], 50), Progress::Partial);
    }

    #[test]
    fn a_message_may_be_spread_over_records_of_one_byte() {
        let message = message(&[name(b"a.example")]);
        for size in [1, 3, 16, 1 << 14] {
            for step in [1, 6, 1000] {
                assert_eq!(read(&records(&message, size), step), named("a.example"));
            }
        }
    }

    #[test]
    fn grease_and_an_encrypted_hello_are_stepped_over() {
        let extensions = [
            extension(0x0a0a, &[]),
            extension(0xfe0d, &[0; 300]),
            name(b"outer.example."),
            extension(51, &[9; 12_000]),
        ];
        assert_eq!(
            read(&records(&message(&extensions), 1 << 14), 1460),
            named("outer.example")
        );
    }

    #[test]
    fn without_a_name_there_is_none() {
        let none = Progress::Complete(Hello::default());
        assert_eq!(read(&records(&message(&[]), 100), 9), none);
        let mut short = vec![CLIENT_HELLO];
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        short.extend(vector(3, &body));
        assert_eq!(read(&records(&short, 100), 100), none);
        // rustls sends none for an address.
        assert_eq!(read(&from_rustls("192.0.2.1"), 99), none);
    }

    #[test]
    fn what_is_no_hello_is_known_at_its_first_wrong_byte() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x80\x2e\x01",
            b"\x16\x02",
            b"\x16\x03\x01\0\0",
        ] {
            assert!(matches!(read(bytes, 1), Progress::Malformed(_)), "{bytes:?}");
        }
        assert!(matches!(
            read(b"\x16\x03\x01\x00\x01\x02", 1),
            Progress::Malformed(_)
        ));
        assert!(matches!(read(b"\x16\x03\x01\x40\x01", 5), Progress::Malformed(_)));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let mut double = name(b"a.example");
        double.splice(4..6, 24_u16.to_be_bytes());
        for extensions in [
            vec![name(b"a.example"), name(b"b.example")],
            vec![name(b"a.example\0.b.example")],
            vec![name(b"")],
            vec![name(b".")],
            vec![name(&[b'a'; 254])],
            vec![extension(0, b"\0\x05\x01\0\x02ab")],
            vec![extension(0, b"\0\x01")],
            vec![double],
        ] {
            let read = read(&records(&message(&extensions), 1 << 14), 1000);
            assert!(matches!(read, Progress::Malformed(_)), "{read:?}");
        }
    }

    #[test]
    fn there_is_an_end_to_what_is_read() {
        let huge = message(&[extension(21, &vec![0; 65_000]), extension(22, &[0; 500])]);
        let mut reader = HelloReader::default();
        let mut took = 0;
        for part in records(&huge, 1 << 14).chunks(1000) {
            took += part.len();
            if reader.read(part) != Progress::Partial {
                break;
            }
        }
        assert!(took <= MOST_BYTES + 1000 && reader.message.len() <= MOST_BYTES);
        // Records of one byte may not make it longer than that either.
        let spread = records(&message(&[extension(21, &vec![0; 20_000])]), 1);
        assert!(matches!(read(&spread, 1000), Progress::Malformed(_)));
    }
}
