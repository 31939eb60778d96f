//! A `curl` line that gets an answer, to be copied from the terminal.

use ir::{Action, Bind, BindAddress, HostPattern, PathMatch, Snapshot, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// For the first host on each kind of socket that is open.
pub fn lines(snapshot: &Snapshot, open: &[(BindAddress, SocketAddr)]) -> Vec<String> {
    [Transport::Http, Transport::Https]
        .into_iter()
        .filter_map(|transport| {
            let mut binds = snapshot.binds.iter().filter(|bind| bind.transport == transport);
            binds.find_map(|bind| line(snapshot, bind, open))
        })
        .collect()
}

fn line(snapshot: &Snapshot, bind: &Bind, open: &[(BindAddress, SocketAddr)]) -> Option<String> {
    let (_, local) = open.iter().find(|(address, _)| *address == bind.address)?;
    let targets = bind.listeners.iter().flat_map(|listener| {
        let hosts = listener.routes.iter().map(move |route| (listener, route));
        hosts.filter_map(|(listener, route)| {
            let host = route
                .hostnames
                .iter()
                .find(|host| listener.hostname.intersects(host))?;
            let host = more_specific(host, &listener.hostname);
            let path = route.rules.iter().find_map(plain_path)?;
            Some((host.clone(), path))
        })
    });
    // A name is a better example than a pattern.
    let (host, path) = targets.min_by(|(a, _), (b, _)| a.specificity(b))?;
    let ip = match local.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let port = local.port();
    let mut line = String::from("curl");
    if bind.proxy_protocol {
        line.push_str(" --haproxy-protocol");
    }
    let tls = bind.transport == Transport::Https;
    if tls {
        // Nobody's trust store knows the certificates of a trial, and often not those of the cluster.
        line.push_str(" -k");
    }
    let name = match &host {
        HostPattern::Any if tls => default_name(snapshot, bind),
        HostPattern::Any => None,
        HostPattern::Exact(name) => Some(name.to_string()),
        HostPattern::Wildcard { suffix, .. } => Some(format!("any{suffix}")),
    };
    let scheme = if tls { "https" } else { "http" };
    let address = if ip.is_ipv6() {
        format!("[{ip}]")
    } else {
        ip.to_string()
    };
    Some(match name {
        None => format!("{line} {scheme}://{address}:{port}{path}"),
        Some(name) => format!("{line} --resolve {name}:{port}:{address} {scheme}://{name}:{port}{path}"),
    })
}

/// A name that the default certificate is for, as far as there is one without a star.
fn default_name(snapshot: &Snapshot, bind: &Bind) -> Option<String> {
    let certificate = snapshot.certificates.get(bind.default_certificates.first()?)?;
    certificate.names.iter().find(|name| !name.contains('*')).cloned()
}

fn more_specific<'a>(a: &'a HostPattern, b: &'a HostPattern) -> &'a HostPattern {
    if a.specificity(b).is_gt() { b } else { a }
}

/// A path that a rule answers without further conditions, by forwarding.
fn plain_path(rule: &ir::Rule) -> Option<String> {
    if !matches!(rule.action, Action::Forward(_)) {
        return None;
    }
    rule.matches.iter().find_map(|condition| {
        let plain = condition.method.is_none() && condition.headers.is_empty() && condition.query.is_empty();
        match &condition.path {
            PathMatch::Exact(path) if plain => Some(path.clone()),
            PathMatch::Prefix(prefix) if plain && prefix.is_empty() => Some("/".into()),
            PathMatch::Prefix(prefix) if plain => Some(prefix.clone()),
            _ => None,
        }
    })
}
