//! Which socket a client's connection reaches, and which certificate it is shown.

use super::request::Request;
use ir::{Bind, Certificate, Snapshot, Transport};
use std::net::IpAddr;

/// The socket that a request reaches.
pub struct Chosen {
    /// Index into the snapshot's binds.
    pub index: usize,
    /// The port that the client connects to.
    pub port: u16,
    /// Something to know about the choice.
    pub note: Option<String>,
}

/// The socket for a request's URL. A URL without port, for whose default port nothing listens, is taken to mean the
/// one port that speaks its scheme: people leave out ports that they have forwarded.
pub fn choose(snapshot: &Snapshot, request: &Request) -> Result<Chosen, String> {
    let wanted = if request.tls {
        Transport::Https
    } else {
        Transport::Http
    };
    let default = if request.tls { 443 } else { 80 };
    let port = request.port.unwrap_or(default);
    let on_port = |port: u16| {
        let mut candidates: Vec<usize> = (0..snapshot.binds.len())
            .filter(|&index| snapshot.binds[index].port() == port)
            .collect();
        // Gateways with a Service each have the same ports at addresses that are not known here.
        candidates.sort_by_key(|&index| {
            let bind = &snapshot.binds[index];
            (!is_addressed(bind, request), !has_host(bind, request))
        });
        candidates
    };
    if let Some(&index) = on_port(port).first() {
        let bind = &snapshot.binds[index];
        if bind.transport != wanted {
            let speaks = match bind.transport {
                Transport::Http => "plain HTTP",
                Transport::Https => "HTTPS",
                Transport::Tcp => return Err(format!("port {port} speaks TCP; ask for tcp://:{port}")),
            };
            return Err(format!(
                "port {port} speaks {speaks}; ask for {}",
                other_scheme(request)
            ));
        }
        return Ok(Chosen {
            index,
            port,
            note: note_on_address(snapshot, &on_port(port), index),
        });
    }
    let mut ports: Vec<u16> = snapshot
        .binds
        .iter()
        .filter(|bind| bind.transport == wanted)
        .map(|bind| bind.port())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    match (request.port, ports.as_slice()) {
        (None, [only]) => Ok(Chosen {
            index: on_port(*only)[0],
            port: *only,
            note: Some(format!(
                "the URL names no port; {only} is the only one that speaks {}",
                request.scheme()
            )),
        }),
        (_, []) => Err(format!("nothing listens for {}", request.scheme())),
        (_, several) => {
            let list: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(format!(
                "nothing listens on port {port}; {} is on port {}",
                request.scheme(),
                list.join(" and ")
            ))
        }
    }
}

/// What the client sends as SNI: the host of the URL, unless it is an address (RFC 6066 §3).
pub fn sni(request: &Request) -> Option<String> {
    if address(request).is_some() {
        return None;
    }
    Some(request.authority.trim_end_matches('.').to_ascii_lowercase())
}

/// The certificate that a client with this SNI is shown: of the most specific name of any listener, else the
/// socket's default.
pub fn certificate<'s>(snapshot: &'s Snapshot, bind: &Bind, sni: Option<&str>) -> Option<&'s Certificate> {
    let hosts = bind.listeners.iter().flat_map(|listener| &listener.tls);
    let best = sni.and_then(|sni| {
        hosts
            .filter(|tls| tls.hostname.matches(sni) && !tls.certificates.is_empty())
            .min_by(|a, b| a.hostname.specificity(&b.hostname))
    });
    let id = match best {
        Some(tls) => tls.certificates.first(),
        None => bind.default_certificates.first(),
    };
    snapshot.certificates.get(id?).map(|certificate| &**certificate)
}

/// Whether one of a certificate's names is for a host (RFC 6125 §6.4.3: a star stands for one label).
pub fn covers(certificate: &Certificate, host: &str) -> bool {
    certificate
        .names
        .iter()
        .any(|name| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => name == host,
        })
}

fn is_addressed(bind: &Bind, request: &Request) -> bool {
    match (bind.address.ip, address(request)) {
        (Some(ip), Some(asked)) => ip == asked,
        (Some(_), None) => false,
        (None, _) => true,
    }
}

/// Whether some route of the socket is for the host of the request.
fn has_host(bind: &Bind, request: &Request) -> bool {
    let host = request.authority.trim_end_matches('.').to_ascii_lowercase();
    let listeners = bind.listeners.iter();
    let fitting = listeners.filter(|listener| listener.hostname.matches(&host));
    let mut routes = fitting.flat_map(|listener| listener.routes.iter());
    routes.any(|route| route.hostnames.iter().any(|name| name.matches(&host)))
}

fn address(request: &Request) -> Option<IpAddr> {
    let host = request.authority.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok()
}

fn note_on_address(snapshot: &Snapshot, candidates: &[usize], index: usize) -> Option<String> {
    (candidates.len() > 1).then(|| {
        format!(
            "{} sockets have this port; the answer is for {}",
            candidates.len(),
            snapshot.binds[index].address
        )
    })
}

fn other_scheme(request: &Request) -> &'static str {
    if request.tls { "http://" } else { "https://" }
}
