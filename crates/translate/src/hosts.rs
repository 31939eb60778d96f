//! Host names as users write them.

use ir::HostPattern;
use std::fmt;
use std::net::IpAddr;

/// What a wildcard's star stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Star {
    /// One or more labels (Gateway API).
    Labels,
    /// Exactly one label (Ingress).
    OneLabel,
}

/// Reads `shop.example.com` or `*.example.com`; upper case is tolerated.
pub fn parse(text: &str, star: Star) -> Result<HostPattern, HostError> {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix('*') {
        None => check(&lower).map(|()| HostPattern::Exact(lower.into())),
        Some(suffix) => {
            let domain = suffix.strip_prefix('.').ok_or(HostError::Star)?;
            check(domain)?;
            Ok(HostPattern::Wildcard {
                suffix: suffix.into(),
                one_label: star == Star::OneLabel,
            })
        }
    }
}

/// Why a text is no host name. Finishes the sentence "the host name …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// Nothing there.
    Empty,
    /// An IP address.
    Address,
    /// `*` elsewhere than as the first label.
    Star,
    /// More than 253 characters, or a label of more than 63.
    Long,
    /// An empty label, as in `a..b` or `a.`.
    EmptyLabel,
    /// A character that host names don't have, or `-` at the edge of a label.
    Character,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::Address => "is an IP address",
            Self::Star => "has a star elsewhere than as its first label",
            Self::Long => "is longer than 253 characters, or has a label longer than 63",
            Self::EmptyLabel => "has an empty label",
            Self::Character => "has a character other than a-z, 0-9 and - inside labels",
        })
    }
}

/// RFC 1123 subdomain, not an address.
fn check(name: &str) -> Result<(), HostError> {
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if name.parse::<IpAddr>().is_ok() {
        return Err(HostError::Address);
    }
    if name.contains('*') {
        return Err(HostError::Star);
    }
    if name.len() > 253 {
        return Err(HostError::Long);
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(HostError::EmptyLabel);
        }
        if label.len() > 63 {
            return Err(HostError::Long);
        }
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !label.bytes().all(inside) || label.starts_with('-') || label.ends_with('-') {
            return Err(HostError::Character);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{HostError, Star, parse};

    #[test]
    fn names_and_wildcards_are_read_in_lower_case() {
        assert_eq!(
            parse("Shop.Example.com", Star::Labels).unwrap().to_string(),
            "shop.example.com"
        );
        assert_eq!(
            parse("*.example.com", Star::Labels).unwrap().to_string(),
            "*.example.com"
        );
    }

    #[test]
    fn what_is_no_host_name_is_refused_with_its_reason() {
        for (text, error) in [
            ("", HostError::Empty),
            ("10.0.0.1", HostError::Address),
            ("::1", HostError::Address),
            ("*", HostError::Star),
            ("*example.com", HostError::Star),
            ("a.*.com", HostError::Star),
            ("*.*.com", HostError::Star),
            ("a..com", HostError::EmptyLabel),
            ("a.com.", HostError::EmptyLabel),
            ("a_b.com", HostError::Character),
            ("-a.com", HostError::Character),
            ("a.com:80", HostError::Character),
            ("bücher.example", HostError::Character),
        ] {
            assert_eq!(parse(text, Star::Labels), Err(error), "{text}");
        }
        assert_eq!(parse(&"a".repeat(64), Star::Labels), Err(HostError::Long));
    }
}
