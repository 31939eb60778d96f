//! The proxies under test: how each is configured and started to do the same work.

use crate::process::{Process, Scratch, free_address, installed, narthex};
use std::net::SocketAddr;
use std::time::Duration;

/// Host that every configuration routes.
pub const HOST: &str = "bench.example";

/// A proxy that can be measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// This project.
    Narthex,
    /// Debian's nginx.
    Nginx,
    /// Debian's HAProxy.
    HAProxy,
}

/// A proxy that runs.
pub struct Running {
    /// The process, or valgrind running it.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Peer {
    /// All, ours first.
    pub const ALL: [Self; 3] = [Self::Narthex, Self::Nginx, Self::HAProxy];

    /// Name to print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Narthex => "narthex",
            Self::Nginx => "nginx",
            Self::HAProxy => "haproxy",
        }
    }

    /// Whether it is on this machine.
    pub fn available(self) -> bool {
        self == Self::Narthex || installed(self.name())
    }

    /// Starts it in front of `origin`, on CPU 0, perhaps under another program (`prefix`).
    pub fn start(self, origin: SocketAddr, scratch: &Scratch, prefix: &[String]) -> Result<Running, String> {
        let address = free_address()?;
        let fill = |template: &str| {
            template
                .replace("@LISTEN_IP@", &address.ip().to_string())
                .replace("@LISTEN_PORT@", &address.port().to_string())
                .replace("@ORIGIN_IP@", &origin.ip().to_string())
                .replace("@ORIGIN_PORT@", &origin.port().to_string())
                .replace("@LISTEN@", &address.to_string())
                .replace("@ORIGIN@", &origin.to_string())
                .replace("@DIR@", &scratch.path().display().to_string())
        };
        let file = |name: &str, template: &str| {
            scratch
                .write(name, &fill(template))
                .map(|path| path.display().to_string())
        };
        let mut command = prefix.to_vec();
        match self {
            Self::Narthex => {
                let config = file("narthex.yaml", include_str!("../peers/narthex.yaml"))?;
                command.extend([
                    narthex()?,
                    "run".into(),
                    config,
                    "--workers".into(),
                    "1".into(),
                    "--admin-address".into(),
                    "off".into(),
                ]);
            }
            Self::Nginx => {
                let config = file("nginx.conf", include_str!("../peers/nginx.conf"))?;
                command.extend([
                    "nginx".into(),
                    "-p".into(),
                    scratch.path().display().to_string(),
                    "-c".into(),
                    config,
                ]);
            }
            Self::HAProxy => {
                let config = file("haproxy.cfg", include_str!("../peers/haproxy.cfg"))?;
                command.extend(["haproxy".into(), "-db".into(), "-f".into(), config]);
            }
        }
        let log = scratch.path().join(format!("{}.log", self.name()));
        let mut process = Process::start(Some(0), &command, &log)?;
        process
            .wait_for(address, Duration::from_secs(30))
            .map_err(|problem| {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                format!("{}: {problem}\n{log}", self.name())
            })?;
        Ok(Running { process, address })
    }
}

/// Starts the origin on CPU 1, with the load.
pub fn start_origin(scratch: &Scratch) -> Result<Running, String> {
    let address = free_address()?;
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let command = [here.display().to_string(), "origin".into(), address.to_string()];
    let mut process = Process::start(Some(1), &command, &scratch.path().join("origin.log"))?;
    process.wait_for(address, Duration::from_secs(5))?;
    Ok(Running { process, address })
}
