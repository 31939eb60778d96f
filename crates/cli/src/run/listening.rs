//! Addresses that can't be listened on: why, and what to do about it.

use ir::{Bind, BindAddress, Layer, Snapshot};
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

/// Addresses of the snapshot that are not open.
pub fn missing(snapshot: &Snapshot, open: &[(BindAddress, SocketAddr)]) -> Vec<BindAddress> {
    let wanted = snapshot.binds.iter().map(|bind| bind.address);
    wanted
        .filter(|address| !open.iter().any(|(opened, _)| opened == address))
        .collect()
}

/// What went wrong, with what to do.
pub fn reason(snapshot: &Snapshot, address: BindAddress, udp: bool, error: &Error) -> String {
    let elsewhere = if udp {
        let bind = snapshot.udp.iter().find(|bind| bind.address == address);
        let own = bind.map(|bind| format!("change the port of {}", bind.listener.origin));
        own.or_else(|| Some("leave out --http3".into()))
    } else {
        let bind = snapshot.binds.iter().find(|bind| bind.address == address);
        bind.map(|bind| elsewhere(bind))
    };
    let elsewhere = elsewhere.unwrap_or_default();
    let list = if udp { "ss -lunp" } else { "ss -ltnp" };
    match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "{error}\n  hint: ports below 1024 need a permission. Either {elsewhere};\n  \
             or let every user have them: sudo sysctl net.ipv4.ip_unprivileged_port_start={};\n  \
             or let this program have them: sudo setcap cap_net_bind_service=+ep {}",
            address.port,
            program()
        ),
        ErrorKind::AddrInUse => {
            format!(
                "{error}\n  hint: another program listens there ({list} shows which). End it, or {elsewhere}"
            )
        }
        ErrorKind::AddrNotAvailable => format!("{error}\n  hint: the address is none of this machine's"),
        _ => error.to_string(),
    }
}

/// How to choose another port: a Gateway names its own, Ingress has a flag.
fn elsewhere(bind: &Bind) -> String {
    let flag = match bind.transport {
        ir::Transport::Http => "--http-port 8080",
        ir::Transport::Https | ir::Transport::Tcp => "--https-port 8443",
    };
    let ways = bind.listeners.iter().map(|listener| match listener.layer {
        Layer::Gateway => format!("change the port of {}", listener.origin),
        Layer::Ingress => format!("choose another port for Ingress: {flag}"),
    });
    let streams = bind.streams.iter();
    let streams = streams.map(|listener| format!("change the port of {}", listener.origin));
    ways.chain(streams).collect::<Vec<_>>().join(" and ")
}

fn program() -> String {
    std::env::current_exe().map_or_else(|_| "narthex".into(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::reason;
    use ir::{Bind, BindAddress, HostPattern, Layer, Listener, Origin, Snapshot, Transport};
    use std::io::{Error, ErrorKind};
    use std::sync::Arc;

    #[test]
    fn a_missing_permission_comes_with_three_ways_out() {
        let address = BindAddress { ip: None, port: 80 };
        let listener = |layer, origin| {
            Arc::new(Listener {
                clients: None,
                tls_policy: ir::TlsPolicy::default(),
                identity: None,
                origin,
                layer,
                hostname: HostPattern::Any,
                tls: Vec::new(),
                routes: ir::List::default(),
            })
        };
        let snapshot = Snapshot {
            binds: vec![Arc::new(Bind {
                address,
                public_port: None,
                transport: Transport::Http,
                proxy_protocol: false,
                listeners: vec![
                    listener(
                        Layer::Gateway,
                        Origin::new("Gateway", "shop", "front").section("http"),
                    ),
                    listener(Layer::Ingress, Origin::new("Narthex", "", "ingress")),
                ],
                default_certificates: Vec::new(),
                streams: Vec::new(),
            })],
            ..Snapshot::default()
        };
        let text = reason(
            &snapshot,
            address,
            false,
            &Error::from(ErrorKind::PermissionDenied),
        );
        for part in [
            "change the port of Gateway shop/front#http",
            "--http-port 8080",
            "ip_unprivileged_port_start=80",
            "setcap cap_net_bind_service=+ep /",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
