//! What `run` says when it is ready: where it listens, for whom, and what to try first.

use super::{curl, listening};
use crate::explain::listener_name;
use crate::flags::Run;
use crate::output::{BAD, FAINT, GOOD, STRONG, counted, styled};
use control::Live;
use ir::{BindAddress, Diagnostic, HostPattern, Severity, Snapshot, Transport};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// The text, for standard output. `more` are findings about the whole, which the translation does not have.
pub fn text(
    flags: &Run,
    live: &Live,
    open: &[(BindAddress, SocketAddr)],
    open_udp: &[(BindAddress, SocketAddr)],
    open_http3: &[(BindAddress, SocketAddr)],
    admin: Option<SocketAddr>,
    more: &[Diagnostic],
) -> String {
    let snapshot = &live.snapshot;
    let mut text = String::new();
    let hosts = hosts(snapshot);
    let sockets = counted(open.len() + open_udp.len() + open_http3.len(), "socket");
    let served = counted(hosts.len(), "host");
    let version = env!("CARGO_PKG_VERSION");
    add(
        &mut text,
        format_args!("{} {version}: {served} on {sockets}\n", styled(GOOD, "narthex")),
    );
    for (address, local) in open {
        let Some(bind) = snapshot.binds.iter().find(|bind| bind.address == *address) else {
            continue;
        };
        let scheme = match bind.transport {
            Transport::Http => "http",
            Transport::Https if bind.listeners.is_empty() => "tls",
            Transport::Https => "https",
            Transport::Tcp => "tcp",
        };
        let http = bind.listeners.iter().map(|listener| listener_name(listener));
        let streams = bind.streams.iter().map(|listener| listener.origin.to_string());
        let listeners: Vec<String> = http.chain(streams).collect();
        let place = if address.port == 0 {
            local.to_string()
        } else {
            address.to_string()
        };
        row(
            &mut text,
            "listening",
            &format!("{scheme}://{place}  {}", styled(FAINT, listeners.join(", "))),
        );
    }
    for (address, local) in open_http3 {
        let place = if address.port == 0 {
            local.to_string()
        } else {
            address.to_string()
        };
        let whom = styled(FAINT, "HTTP/3");
        row(&mut text, "listening", &format!("udp://{place}  {whom}"));
    }
    for (address, local) in open_udp {
        let bind = snapshot.udp.iter().find(|bind| bind.address == *address);
        let origin = bind.map(|bind| bind.listener.origin.to_string());
        let place = if address.port == 0 {
            local.to_string()
        } else {
            address.to_string()
        };
        let whom = styled(FAINT, origin.unwrap_or_default());
        row(&mut text, "listening", &format!("udp://{place}  {whom}"));
    }
    for address in listening::missing(snapshot, open) {
        row(
            &mut text,
            "",
            &styled(BAD, format_args!("not on {address}, see the log")),
        );
    }
    if snapshot.binds.is_empty() && snapshot.udp.is_empty() {
        row(
            &mut text,
            "listening",
            "on nothing yet: no Gateway or Ingress for this controller was found",
        );
    }
    if let Some(admin) = admin {
        row(
            &mut text,
            "admin",
            &format!(
                "http://{admin}  {}",
                styled(FAINT, "/healthz /readyz /metrics /api/v1")
            ),
        );
    }
    for (position, host) in hosts.iter().take(SHOWN_HOSTS).enumerate() {
        row(&mut text, if position == 0 { "hosts" } else { "" }, host);
    }
    if hosts.len() > SHOWN_HOSTS {
        row(&mut text, "", &format!("and {} more", hosts.len() - SHOWN_HOSTS));
    }
    for (position, line) in curl::lines(snapshot, open).iter().enumerate() {
        row(
            &mut text,
            if position == 0 { "try" } else { "" },
            &styled(STRONG, line),
        );
    }
    row(&mut text, "findings", &findings(flags, live, more));
    text
}

/// How many findings `check` would show, and how to see them.
fn findings(flags: &Run, live: &Live, more: &[Diagnostic]) -> String {
    let all = || live.diagnostics.iter().chain(more);
    let parts: Vec<String> = [
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Note, "note"),
    ]
    .into_iter()
    .map(|(severity, noun)| (all().filter(|finding| finding.severity == severity).count(), noun))
    .filter(|(count, _)| *count > 0)
    .map(|(count, noun)| counted(count, noun))
    .collect();
    if parts.is_empty() {
        return "none".into();
    }
    let echo = if flags.settings.echo { " --echo" } else { "" };
    let paths: Vec<String> = flags
        .paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    format!(
        "{}, see narthex check{echo} {}",
        parts.join(", "),
        paths.join(" ")
    )
}

fn hosts(snapshot: &Snapshot) -> BTreeSet<String> {
    let listeners = snapshot.binds.iter().flat_map(|bind| &bind.listeners);
    let routes = listeners.flat_map(|listener| listener.routes.iter().map(move |route| (listener, route)));
    routes
        .flat_map(|(listener, route)| {
            let hosts = route
                .hostnames
                .iter()
                .filter(|host| listener.hostname.intersects(host));
            hosts.map(|host| match host {
                HostPattern::Any if listener.hostname == HostPattern::Any => "every host".to_owned(),
                HostPattern::Any => listener.hostname.to_string(),
                host => host.to_string(),
            })
        })
        .collect()
}

fn row(text: &mut String, label: &str, value: &str) {
    add(
        text,
        format_args!("  {} {value}\n", styled(FAINT, format_args!("{label:<10}"))),
    );
}

fn add(text: &mut String, part: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(part);
}

const SHOWN_HOSTS: usize = 10;
