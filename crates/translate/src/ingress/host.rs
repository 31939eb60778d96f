//! Hosts of Ingress rules and TLS entries, as strict as the API server is, so that files and clusters agree.

use ir::HostPattern;
use std::net::IpAddr;

/// A host as a pattern; no host stands for every host. The error finishes the sentence "HOST …".
pub(super) fn pattern(host: &str) -> Result<HostPattern, &'static str> {
    if host.is_empty() {
        return Ok(HostPattern::Any);
    }
    let name = match host.strip_prefix('*') {
        None => host,
        Some("") => return Err("stands for every host; leave host out for that"),
        Some(rest) => match rest.strip_prefix('.') {
            Some(name) => name,
            None => return Err("has a star that is not a whole label"),
        },
    };
    check_name(host, name)?;
    Ok(if name.len() == host.len() {
        HostPattern::Exact(host.into())
    } else {
        HostPattern::Wildcard {
            suffix: format!(".{name}").into(),
            one_label: true,
        }
    })
}

/// What to write instead of a host that [`pattern`] refuses.
pub(super) fn hint(host: &str) -> String {
    if host == "*" {
        return "Leave host out".into();
    }
    let after_scheme = host.split_once("://").map_or(host, |(_, rest)| rest);
    let name = after_scheme.split(['/', ':']).next().unwrap_or_default();
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if !name.is_empty() && pattern(&name).is_ok() {
        return format!("Write {name}");
    }
    "Write a DNS name such as shop.example.com, or *.example.com for all one label below".into()
}

/// The wildcard that covers an exact host: `*.example.com` for `shop.example.com`.
pub(super) fn wildcard_over(host: &str) -> Option<String> {
    if host.starts_with('*') {
        return None;
    }
    let (_, parent) = host.split_once('.')?;
    Some(format!("*.{parent}"))
}

/// RFC 1123, lower-case.
fn check_name(host: &str, name: &str) -> Result<(), &'static str> {
    if host.parse::<IpAddr>().is_ok() {
        return Err("is an IP address; a host must be a DNS name");
    }
    if name.contains('*') {
        return Err("has a star that is not its first label");
    }
    if name.contains("://") {
        return Err("is a URL; a host is a name alone");
    }
    if name.contains(':') {
        return Err("names a port; rules hold for every port");
    }
    if name.contains('/') {
        return Err("holds a path; put it into path");
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("has upper-case letters; hosts are written in lower case");
    }
    if name.len() > 253 {
        return Err("is longer than 253 characters");
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err("has an empty label");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("has a label that begins or ends with a hyphen");
        }
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !label.bytes().all(valid) {
            return Err("has characters other than letters, digits, hyphens and dots");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{hint, pattern, wildcard_over};

    #[test]
    fn hosts_are_what_the_api_server_takes() {
        for host in [
            "",
            "a",
            "shop.example.com",
            "*.example.com",
            "0-9.test",
            "1.2.3.4.test",
        ] {
            assert_eq!(
                pattern(host).map(|pattern| pattern.to_string()),
                Ok(if host.is_empty() { "*" } else { host }.to_owned())
            );
        }
        for host in [
            "*",
            "*x.test",
            "*.",
            "a.*.test",
            "A.test",
            "10.9.8.7",
            "::1",
            "a.test:80",
            "a.test.",
            ".a",
            "a..b",
            "-a.test",
            "a-.test",
            "a_b.test",
            "a.test/x",
            "ä.test",
            "*.*.test",
        ] {
            assert!(pattern(host).is_err(), "{host}");
        }
        assert!(pattern(&"a.".repeat(127)).is_err());
    }

    #[test]
    fn a_refused_host_comes_with_the_name_that_is_likely_meant() {
        for (host, meant) in [
            ("https://Shop.test:8443/x", "Write shop.test"),
            ("shop.test:80", "Write shop.test"),
            ("*.Shop.test.", "Write *.shop.test"),
            ("*", "Leave host out"),
        ] {
            assert!(pattern(host).is_err(), "{host}");
            assert_eq!(hint(host), meant);
        }
        assert!(hint("10.9.8.7").contains("DNS name"));
        assert_eq!(pattern("http://a.test"), Err("is a URL; a host is a name alone"));
    }

    #[test]
    fn only_a_name_with_a_parent_has_a_wildcard_over_it() {
        assert_eq!(wildcard_over("a.b.test").as_deref(), Some("*.b.test"));
        assert_eq!(wildcard_over("*.b.test"), None);
        assert_eq!(wildcard_over("localhost"), None);
        assert_eq!(wildcard_over(""), None);
    }
}
