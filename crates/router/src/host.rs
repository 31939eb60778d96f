//! One spelling for every host, so that `Shop.Example.com.:8080` and `shop.example.com` are the same.

use std::fmt;

/// A host as it is matched, and the port beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'a> {
    /// Lower-case, without port and trailing dot; IPv6 literals keep their brackets; empty for an empty field.
    pub name: &'a str,
    /// The port, if one is given.
    pub port: Option<u16>,
}

/// Reads the value of `Host` or an authority (RFC 9110 §7.2: `uri-host [ ":" port ]`). `room` is used only if the
/// name has to be changed.
pub fn normalise<'a>(raw: &'a [u8], room: &'a mut String) -> Result<Host<'a>, HostError> {
    if raw.is_empty() {
        return Ok(Host { name: "", port: None });
    }
    let text = std::str::from_utf8(raw).map_err(|_| HostError::Character)?;
    if text.starts_with('[') && !text.contains(']') {
        return Err(HostError::Address);
    }
    let (name, port) = match split_port(text) {
        (name, None | Some("")) => (name, None),
        (name, Some(port)) => (name, Some(read_port(port)?)),
    };
    if name.starts_with('[') {
        name.strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .and_then(|inner| inner.parse::<std::net::Ipv6Addr>().ok())
            .ok_or(HostError::Address)?;
    } else if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    {
        return Err(HostError::Character);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > 253 {
        return Err(HostError::Long);
    }
    if name.is_empty() || name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err(HostError::Label);
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        room.clear();
        room.extend(name.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
        return Ok(Host { name: room, port });
    }
    Ok(Host { name, port })
}

/// Why a host is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// A character that can't stand in a host.
    Character,
    /// An empty label.
    Label,
    /// More than 253 characters.
    Long,
    /// Not an IPv6 address between brackets.
    Address,
    /// Not a port.
    Port,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Character => "the host holds a character that can't stand in a host",
            Self::Label => "the host has an empty label",
            Self::Long => "the host has more than 253 characters",
            Self::Address => "the host is not an IPv6 address between brackets",
            Self::Port => "the host's port is not a number between 0 and 65535",
        })
    }
}

impl std::error::Error for HostError {}

fn split_port(text: &str) -> (&str, Option<&str>) {
    let after = text.rfind(']').map_or(0, |bracket| bracket + 1);
    match text[after..].find(':') {
        Some(colon) => (&text[..after + colon], Some(&text[after + colon + 1..])),
        None => (text, None),
    }
}

fn read_port(text: &str) -> Result<u16, HostError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    text.parse().map_err(|_| HostError::Port)
}

#[cfg(test)]
mod tests {
    use super::{HostError, normalise};

    fn read(raw: &str) -> Result<(String, Option<u16>), HostError> {
        let mut room = String::new();
        normalise(raw.as_bytes(), &mut room).map(|host| (host.name.to_owned(), host.port))
    }

    #[test]
    fn case_port_and_trailing_dot_do_not_make_another_host() {
        for (raw, name, port) in [
            ("shop.example.com", "shop.example.com", None),
            ("Shop.EXAMPLE.com.:8080", "shop.example.com", Some(8080)),
            ("shop.example.com:", "shop.example.com", None),
            ("a_b.example", "a_b.example", None),
            ("10.0.0.1:80", "10.0.0.1", Some(80)),
            ("[::1]", "[::1]", None),
            ("[FE80::1]:443", "[fe80::1]", Some(443)),
            ("", "", None),
        ] {
            assert_eq!(read(raw), Ok((name.to_owned(), port)), "{raw}");
        }
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        for (raw, error) in [
            ("a b", HostError::Character),
            ("a/b", HostError::Character),
            ("user@a", HostError::Character),
            ("a,b", HostError::Character),
            ("a%41", HostError::Character),
            ("münchen.example", HostError::Character),
            (".", HostError::Label),
            ("a..b", HostError::Label),
            (".a", HostError::Label),
            ("a..", HostError::Label),
            (":80", HostError::Label),
            ("a:b", HostError::Port),
            ("a:+80", HostError::Port),
            ("a:99999", HostError::Port),
            ("a:80:81", HostError::Port),
            ("[::1", HostError::Address),
            ("[::1]x", HostError::Address),
            ("[127.0.0.1]", HostError::Address),
            ("::1", HostError::Port),
        ] {
            assert_eq!(read(raw), Err(error), "{raw}");
        }
        assert_eq!(read(&"a".repeat(254)), Err(HostError::Long));
    }
}
