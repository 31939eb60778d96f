//! `Alt-Svc` (RFC 7838): tells clients of the older versions that the same can be had over HTTP/3.

use crate::connection::{Alpn, Downstream, SocketSlot};
use crate::plan::Plan;

/// What is announced on this connection to who asked at `authority`; mostly nothing.
#[inline]
pub(super) fn alternative(plan: &Plan, downstream: &Downstream, authority: &[u8]) -> Option<Box<str>> {
    // Only over TLS, so that nobody on the way says it in our name, and not to who is there already.
    let tls = downstream.tls.as_ref()?;
    if tls.alpn == Some(Alpn::Http3) {
        return None;
    }
    over_tls(plan, downstream.slot, authority)
}

fn over_tls(plan: &Plan, slot: SocketSlot, authority: &[u8]) -> Option<Box<str>> {
    let http3 = plan.http.http3.as_ref()?;
    plan.socket(slot)?.tls.as_ref()?.quic.as_ref()?;
    // Whatever maps ports in front of us, the client knows by which it came (RFC 9110 §4.2.2: 443 goes without saying).
    let port = http3.port.or_else(|| port(authority))?;
    Some(format!("h3=\":{port}\"; ma={}", http3.max_age.as_secs()).into())
}

fn port(authority: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(authority).ok()?;
    match text.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => port.parse().ok(),
        _ => Some(443),
    }
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn the_port_is_the_one_that_the_client_used() {
        for (authority, expected) in [
            ("a.example", Some(443)),
            ("a.example:8443", Some(8443)),
            ("[2001:db8::1]", Some(443)),
            ("[2001:db8::1]:444", Some(444)),
            ("a.example:x", None),
        ] {
            assert_eq!(port(authority.as_bytes()), expected, "{authority}");
        }
    }
}
