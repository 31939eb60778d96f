//! The proxies under test: which there are, and how each is started to do the same work.

mod commands;
pub mod install;
mod packages;
mod ready;
mod template;

use crate::bench::Bench;
use crate::certificate::Certificate;
use crate::process::{Process, Scratch, Start, free_address, here, narthex};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Host that every configuration routes.
pub const HOST: &str = "bench.example";

/// This project.
pub const NARTHEX: &str = "narthex";
/// HAProxy 2.8.
pub const HAPROXY: &str = "haproxy";
/// HAProxy as the distribution has it.
pub const HAPROXY_SYSTEM: &str = "haproxy-system";
/// nginx as the distribution has it.
pub const NGINX: &str = "nginx";
/// Envoy.
pub const ENVOY: &str = "envoy";
/// Traefik.
pub const TRAEFIK: &str = "traefik";
/// Caddy.
pub const CADDY: &str = "caddy";
/// A TCP relay that understands nothing: the floor.
pub const RELAY: &str = "relay";

/// All, in the order of tables: ours first, the relay last.
pub const NAMES: &[&str] = &[
    NARTHEX,
    HAPROXY,
    HAPROXY_SYSTEM,
    NGINX,
    ENVOY,
    TRAEFIK,
    CADDY,
    RELAY,
];

/// A proxy that is on this machine.
#[derive(Clone, Debug)]
pub struct Peer {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// As it says itself.
    pub version: String,
}

/// How a proxy is to run.
#[derive(Clone)]
pub struct Setup<'a> {
    /// Workers, threads or processors.
    pub workers: usize,
    /// CPUs, as `taskset -c` takes them.
    pub cpus: &'a str,
    /// Program that runs it and its arguments, for example valgrind; may be empty.
    pub under: &'a [String],
    /// Text of the configuration instead of the committed one; places like `@LISTEN@` are filled in it too.
    pub config: Option<&'a str>,
    /// More flags at the end of its command line.
    pub flags: &'a [&'a str],
    /// To forward TCP, TLS by name and UDP instead of HTTP.
    pub streams: bool,
    /// To speak HTTP/2 with clients instead of HTTP/1.1.
    pub http2: bool,
    /// To speak HTTP/2 with clients and with the origin, for gRPC.
    pub grpc: bool,
    /// To speak HTTP/3 with clients too, at the address with TLS.
    pub http3: bool,
    /// The server behind, if it is not the origin of the bench.
    pub origin: Option<SocketAddr>,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            workers: 1,
            cpus: "0",
            under: &[],
            config: None,
            flags: &[],
            streams: false,
            http2: false,
            grpc: false,
            http3: false,
            origin: None,
        }
    }
}

/// A proxy, or the origin, that runs.
pub struct Running {
    /// The process, or valgrind running it.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens with TLS.
    pub tls: SocketAddr,
    /// Narthex's admin address, where its setup has `--admin-address @ADMIN@` among the flags.
    pub admin: SocketAddr,
}

impl Peer {
    /// Whether callgrind can run it: Go's runtime and Envoy cannot.
    pub fn runs_under_valgrind(&self) -> bool {
        [NARTHEX, HAPROXY, HAPROXY_SYSTEM, NGINX, RELAY].contains(&self.name)
    }

    /// Whether it understands HTTP.
    pub fn is_proxy(&self) -> bool {
        self.name != RELAY
    }

    /// Starts it in front of the origin of `bench`.
    pub fn start(&self, bench: &Bench, setup: &Setup<'_>) -> Result<Running, String> {
        let origin = setup.origin.unwrap_or_else(|| bench.origin());
        self.start_at(origin, &bench.scratch, &bench.certificate, setup)
    }

    /// Starts it in front of `origin` and waits until it accepts.
    pub fn start_at(
        &self,
        origin: SocketAddr,
        scratch: &Scratch,
        certificate: &Certificate,
        setup: &Setup<'_>,
    ) -> Result<Running, String> {
        let (address, tls, admin) = (free_address()?, free_address()?, free_address()?);
        // A folder of its own for each start: several of the same kind may run at once.
        let folder = scratch.path().join(format!("{}-{}", self.name, address.port()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let places = template::Places {
            listen: address,
            tls,
            admin,
            origin,
            workers: setup.workers,
            folder: &folder,
            certificate,
        };
        let mut command = setup.under.to_vec();
        command.extend(commands::command(self, setup, &places)?);
        let environment = vec![
            ("GOMAXPROCS", setup.workers.to_string()),
            ("HOME", folder.display().to_string()),
        ];
        let start = Start {
            cpus: Some(setup.cpus),
            environment,
            piped: false,
        };
        let log = folder.join("log");
        let mut process = Process::start(&start, &command, &log)?;
        // Under valgrind on a machine that is busy, reading a program and its symbols alone may take a minute.
        let limit = Duration::from_secs(if setup.under.is_empty() { 60 } else { 240 });
        process.wait_for(address, limit).map_err(|problem| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            format!("{}: {problem}\n{log}", self.name)
        })?;
        if setup.config.is_none() && setup.origin.is_none() {
            // Some accept before they have read their routes.
            ready::wait(address, setup.http2 || setup.grpc)
                .map_err(|problem| format!("{}: {problem}", self.name))?;
        }
        Ok(Running {
            process,
            address,
            tls,
            admin,
        })
    }
}

/// Narthex alone, for benchmarks that compare it with nobody.
pub fn alone(scratch: &Scratch, origin: SocketAddr, setup: &Setup<'_>) -> Result<Running, String> {
    let peer = Peer {
        name: NARTHEX,
        program: narthex()?.into(),
        version: String::new(),
    };
    peer.start_at(origin, scratch, &Certificate::new(scratch)?, setup)
}

/// Starts the origin on CPU 1, with the load.
pub fn start_origin(scratch: &Scratch) -> Result<Running, String> {
    let address = free_address()?;
    let command = [here()?, "origin".into(), address.to_string()];
    let start = Start {
        cpus: Some("1"),
        ..Start::default()
    };
    let mut process = Process::start(&start, &command, &scratch.path().join("origin.log"))?;
    process.wait_for(address, Duration::from_secs(5))?;
    Ok(Running {
        process,
        address,
        tls: address,
        admin: address,
    })
}
