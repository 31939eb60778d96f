//! Snapshots for tests of the data plane, piece by piece and whole: each with defaults for what a test does not ask about.

use ir::{
    Action, Backend, Bind, BindAddress, Certificate, CertificateId, Endpoint, HostPattern, Layer, Listener,
    Match, Origin, PathMatch, PrivateKey, Route, Rule, Snapshot, StreamBackend, StreamListener, StreamRoute,
    StreamTarget, StreamTls, Target, TlsHost, Transport, UdpBind, Upstream, UpstreamId, UpstreamSettings,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub fn loopback(port: u16) -> BindAddress {
    BindAddress {
        ip: Some(Ipv4Addr::LOCALHOST.into()),
        port,
    }
}

pub fn origin_of(kind: &str, name: &str) -> Origin {
    Origin::new(kind, "test", name)
}

pub fn bind(port: u16, transport: Transport, listeners: Vec<Arc<Listener>>) -> Bind {
    Bind {
        address: loopback(port),
        public_port: None,
        transport,
        proxy_protocol: false,
        listeners,
        default_certificates: vec![],
        streams: Vec::new(),
    }
}

pub fn listener(hostname: HostPattern, tls: Vec<TlsHost>, routes: Vec<Arc<Route>>) -> Arc<Listener> {
    let origin = origin_of("Gateway", "gate").section(hostname.to_string());
    Arc::new(Listener {
        clients: None,
        tls_policy: ir::TlsPolicy::default(),
        identity: None,
        origin,
        layer: Layer::Gateway,
        hostname,
        tls,
        routes: routes.into_iter().collect(),
    })
}

pub fn rule(action: Action) -> Rule {
    let path = PathMatch::Prefix(String::new());
    Rule {
        origin: origin_of("HTTPRoute", "route").section("rules[0]"),
        index: 0,
        matches: [Match {
            path,
            method: None,
            headers: vec![],
            query: vec![],
        }]
        .into(),
        filters: [].into(),
        action,
        timeouts: None,
        retry: None,
        grpc: false,
    }
}

/// A route for a host that forwards everything to an upstream.
pub fn route(host: &str, upstream: &str) -> Arc<Route> {
    let target = Target::Upstream(UpstreamId(upstream.into()));
    let rule = rule(Action::Forward(vec![Backend {
        weight: 1,
        session: None,
        target,
        filters: [].into(),
    }]));
    Arc::new(Route {
        origin: origin_of("HTTPRoute", host),
        created: 0,
        hostnames: [pattern(host)].into(),
        rules: [rule].into(),
    })
}

/// A route for a host that answers everything with a status.
pub fn status_route(host: &str, status: u16) -> Arc<Route> {
    let rules = vec![rule(Action::Status(status))];
    Arc::new(Route {
        origin: origin_of("HTTPRoute", host),
        created: 0,
        hostnames: [pattern(host)].into(),
        rules: rules.into(),
    })
}

pub fn pattern(text: &str) -> HostPattern {
    match text.strip_prefix('*') {
        Some("") => HostPattern::Any,
        Some(suffix) => HostPattern::Wildcard {
            suffix: suffix.into(),
            one_label: false,
        },
        None => HostPattern::Exact(text.into()),
    }
}

pub fn upstream(name: &str, endpoints: &[SocketAddr]) -> Upstream {
    upstream_with(name, endpoints, UpstreamSettings::default())
}

pub fn upstream_with(name: &str, endpoints: &[SocketAddr], settings: UpstreamSettings) -> Upstream {
    let mut endpoints: Vec<_> = endpoints
        .iter()
        .map(|address| Endpoint {
            address: *address,
            weight: 1,
        })
        .collect();
    endpoints.sort();
    Upstream {
        id: UpstreamId(name.into()),
        origin: origin_of("Service", name),
        settings: Arc::new(settings),
        endpoints: endpoints.into(),
    }
}

pub fn snapshot(binds: Vec<Bind>, upstreams: Vec<Upstream>, certificates: Vec<Arc<Certificate>>) -> Snapshot {
    Snapshot {
        udp: Vec::new(),
        binds: binds.into_iter().map(Arc::new).collect(),
        upstreams: upstreams.into_iter().map(Arc::new).collect(),
        certificates: Arc::new(
            certificates
                .into_iter()
                .map(|certificate| (certificate.id.clone(), certificate))
                .collect(),
        ),
        http: Arc::default(),
        tickets: None,
    }
}

/// One plain bind that forwards every host to one upstream.
pub fn forwarding(upstream: Upstream) -> Snapshot {
    let route = route("*", &upstream.id.0);
    let bind = bind(
        0,
        Transport::Http,
        vec![listener(HostPattern::Any, vec![], vec![route])],
    );
    snapshot(vec![bind], vec![upstream], vec![])
}

/// A self-signed certificate; ECDSA, or RSA.
pub fn certificate(id: &str, names: &[&str], rsa: bool) -> Arc<Certificate> {
    let algorithm = if rsa {
        &rcgen::PKCS_RSA_SHA256
    } else {
        &rcgen::PKCS_ECDSA_P256_SHA256
    };
    let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
    let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
    let signed = rcgen::CertificateParams::new(names.clone())
        .expect("names")
        .self_signed(&key)
        .expect("signed");
    Arc::new(Certificate {
        id: CertificateId(id.into()),
        origin: origin_of("Secret", id),
        chain: vec![signed.der().to_vec()],
        key: PrivateKey(key.serialize_der()),
        names,
        staple: None,
        not_after: i64::MAX,
        fingerprint: id.into(),
    })
}

pub fn tls_host(hostname: &str, certificates: &[&Arc<Certificate>]) -> TlsHost {
    TlsHost {
        hostname: pattern(hostname),
        certificates: certificates.iter().map(|it| it.id.clone()).collect(),
    }
}

/// A route for streams: upstreams by weight; an empty name stands for a broken reference.
pub fn stream_route(name: &str, hostnames: &[&str], backends: &[(&str, u32)]) -> Arc<StreamRoute> {
    let backend = |(upstream, weight): &(&str, u32)| StreamBackend {
        weight: *weight,
        target: if upstream.is_empty() {
            StreamTarget::Broken {
                reason: "broken".into(),
            }
        } else {
            StreamTarget::Upstream(UpstreamId((*upstream).into()))
        },
    };
    Arc::new(StreamRoute {
        origin: origin_of("TCPRoute", name),
        rule: "rules[0]".into(),
        created: 0,
        proxy_protocol: None,
        hostnames: hostnames.iter().map(|text| pattern(text)).collect(),
        backends: backends.iter().map(backend).collect(),
    })
}

pub fn stream_listener(hostname: &str, tls: StreamTls, routes: Vec<Arc<StreamRoute>>) -> Arc<StreamListener> {
    Arc::new(StreamListener {
        clients: None,
        tls_policy: ir::TlsPolicy::default(),
        origin: origin_of("Gateway", "gate").section(format!("stream-{hostname}")),
        hostname: pattern(hostname),
        tls,
        routes: routes.into_iter().collect(),
    })
}

/// One TCP bind whose connections go to these backends.
pub fn relaying(backends: &[(&str, u32)], upstreams: Vec<Upstream>) -> Snapshot {
    let route = stream_route("r", &["*"], backends);
    let bind = Bind {
        streams: vec![stream_listener("*", StreamTls::None, vec![route])],
        ..bind(0, Transport::Tcp, vec![])
    };
    snapshot(vec![bind], upstreams, vec![])
}

/// One UDP bind whose flows go to these backends.
pub fn udp_relaying(backends: &[(&str, u32)], upstreams: Vec<Upstream>, idle: Duration) -> Snapshot {
    let route = stream_route("r", &["*"], backends);
    let bind = UdpBind {
        address: loopback(0),
        listener: stream_listener("*", StreamTls::None, vec![route]),
        idle_timeout: idle,
    };
    Snapshot {
        udp: vec![Arc::new(bind)],
        ..snapshot(vec![], upstreams, vec![])
    }
}
