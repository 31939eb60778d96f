//! `narthex snapshot` and `narthex status`: what translation gives, as it is.

use crate::configuration::Configuration;
use crate::exit::Exit;
use crate::flags::{Shown, ShownOutput};
use crate::output::{BAD, FAINT, GOOD, counted, print, print_json, print_yaml, styled};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// What `narthex snapshot` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "snapshot")]
pub struct SnapshotShown<'a> {
    /// `narthex.snapshot/v1`
    schema: &'static str,
    /// Sockets with their listeners, routes and rules; upstreams with their endpoints; certificates without
    /// their keys; settings of HTTP connections.
    #[schemars(with = "Value")]
    snapshot: &'a ir::Snapshot,
}

/// What `narthex status` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "status")]
pub struct StatusShown {
    /// `narthex.status/v1`
    schema: &'static str,
    /// One per object that gets a status, sorted by kind, namespace and name.
    objects: Vec<ObjectShown>,
}

/// The status of one object.
#[derive(Debug, Serialize, JsonSchema)]
struct ObjectShown {
    /// `Gateway`, `ListenerSet`, `Ingress`, `GatewayClass` or a kind of route.
    kind: String,
    /// Namespace; empty for a GatewayClass.
    namespace: String,
    /// Name.
    name: String,
    /// As the kind's API defines it.
    status: Value,
}

/// `narthex snapshot`
pub fn snapshot(flags: &Shown) -> Exit {
    let configuration = match Configuration::read(&flags.paths, &flags.settings) {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    let snapshot = &configuration.translation.snapshot;
    let shown = SnapshotShown {
        schema: "narthex.snapshot/v1",
        snapshot,
    };
    match flags.output.unwrap_or(ShownOutput::Yaml) {
        ShownOutput::Yaml => print_yaml(&shown),
        ShownOutput::Json => print_json(&shown),
        ShownOutput::Text => print(&sockets(snapshot)),
    }
    Exit::Success
}

/// `narthex status`
pub fn status(flags: &Shown) -> Exit {
    let configuration = match Configuration::read(&flags.paths, &flags.settings) {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    let objects = configuration
        .translation
        .statuses
        .iter()
        .map(|object| ObjectShown {
            kind: object.origin.kind.to_string(),
            namespace: object.origin.namespace.to_string(),
            name: object.origin.name.to_string(),
            status: serde_json::to_value(&object.status).expect("our own types are always JSON"),
        });
    let shown = StatusShown {
        schema: "narthex.status/v1",
        objects: objects.collect(),
    };
    match flags.output.unwrap_or(ShownOutput::Text) {
        ShownOutput::Yaml => print_yaml(&shown),
        ShownOutput::Json => print_json(&shown),
        ShownOutput::Text => print(&conditions(&shown)),
    }
    Exit::Success
}

fn sockets(snapshot: &ir::Snapshot) -> String {
    let mut text = format!(
        "{}, {}, {}\n",
        counted(snapshot.binds.len() + snapshot.udp.len(), "socket"),
        counted(snapshot.upstreams.len(), "upstream"),
        counted(snapshot.certificates.len(), "certificate")
    );
    for bind in &snapshot.binds {
        let scheme = match bind.transport {
            ir::Transport::Http => "http",
            ir::Transport::Https if bind.listeners.is_empty() => "tls",
            ir::Transport::Https => "https",
            ir::Transport::Tcp => "tcp",
        };
        add(&mut text, format_args!("{scheme}://{}", bind.address));
        if let Some(port) = bind.public_port {
            add(&mut text, format_args!(", port {port} for clients"));
        }
        if snapshot.serves_http3(bind) {
            text.push_str(", HTTP/3 too");
        }
        text.push('\n');
        for listener in &bind.listeners {
            let routes = counted(listener.routes.len(), "route");
            add(
                &mut text,
                format_args!("  {} for {}: {routes}\n", listener.origin, listener.hostname),
            );
        }
        for stream in &bind.streams {
            add(&mut text, format_args!("{}", stream_line(stream)));
        }
    }
    for bind in &snapshot.udp {
        let line = stream_line(&bind.listener);
        add(&mut text, format_args!("udp://{}\n{line}", bind.address));
    }
    for upstream in snapshot.upstreams.values() {
        let endpoints: Vec<_> = upstream.endpoints.iter().map(|e| e.address.to_string()).collect();
        let endpoints = if endpoints.is_empty() {
            "no endpoints".to_owned()
        } else {
            endpoints.join(", ")
        };
        add(&mut text, format_args!("{}: {endpoints}\n", upstream.id));
    }
    text
}

fn stream_line(listener: &ir::StreamListener) -> String {
    let routes = counted(listener.routes.len(), "route");
    format!("  {} for {}: {routes}\n", listener.origin, listener.hostname)
}

fn conditions(shown: &StatusShown) -> String {
    let mut lines = String::new();
    let mut bad = 0;
    for object in &shown.objects {
        let name = if object.namespace.is_empty() {
            object.name.clone()
        } else {
            format!("{}/{}", object.namespace, object.name)
        };
        let mut inner = String::new();
        let mut wrong = false;
        collect("", &object.status, &mut inner, &mut wrong);
        bad += usize::from(wrong);
        add(&mut lines, format_args!("{} {name}\n{inner}", object.kind));
    }
    let objects = counted(shown.objects.len(), "object");
    if bad == 0 {
        format!("{objects} with status, all well\n{lines}")
    } else {
        format!("{objects} with status, {bad} with something wrong\n{lines}")
    }
}

/// Prints every condition below a status, with the listener or parent that it is about.
fn collect(about: &str, value: &Value, lines: &mut String, wrong: &mut bool) {
    for condition in value["conditions"].as_array().into_iter().flatten() {
        let word = |field: &str| condition[field].as_str().unwrap_or_default();
        let well = is_well(word("type"), word("status"));
        *wrong |= !well;
        let mark = if well {
            styled(GOOD, "✓")
        } else {
            styled(BAD, "✗")
        };
        let reason = word("reason");
        add(
            lines,
            format_args!("  {mark} {about}{} {} ({reason})", word("type"), word("status")),
        );
        let message = word("message");
        if !well && !message.is_empty() {
            add(lines, format_args!(": {message}"));
        }
        lines.push('\n');
    }
    for listener in value["listeners"].as_array().into_iter().flatten() {
        let name = listener["name"].as_str().unwrap_or_default();
        collect(&format!("listener {name}: "), listener, lines, wrong);
    }
    for parent in value["parents"].as_array().into_iter().flatten() {
        let reference = &parent["parentRef"];
        let name = reference["name"].as_str().unwrap_or_default();
        let section = reference["sectionName"]
            .as_str()
            .map(|section| format!("#{section}"));
        let about = format!("on {name}{}: ", section.unwrap_or_default());
        collect(&about, parent, lines, wrong);
    }
    if let Some(addresses) = value.get("loadBalancer") {
        let addresses: Vec<&str> = addresses["ingress"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|address| address["ip"].as_str().or(address["hostname"].as_str()))
            .collect();
        let shown = if addresses.is_empty() {
            "no address; --status-address gives one".to_owned()
        } else {
            addresses.join(", ")
        };
        add(lines, format_args!("  {} {shown}\n", styled(FAINT, "·")));
    }
}

/// Conditions such as `Conflicted` tell of something wrong when they are true, all others when they are not.
fn is_well(kind: &str, status: &str) -> bool {
    let negative = matches!(kind, "Conflicted" | "PartiallyInvalid" | "OverlappingTLSConfig");
    (status == "True") != negative
}

fn add(text: &mut String, part: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(part);
}

#[cfg(test)]
mod tests {
    use super::is_well;

    #[test]
    fn conditions_that_tell_of_trouble_are_well_when_false() {
        assert!(is_well("Accepted", "True") && !is_well("Accepted", "Unknown"));
        assert!(is_well("Conflicted", "False") && !is_well("Conflicted", "True"));
    }
}
