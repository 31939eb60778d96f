//! The backends of `--echo`: one loopback listener per Service that has no endpoints of its own.

use super::{Identity, serve};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// Listeners made when a Service first needs one, kept for the life of the process: a Service that comes back
/// finds its old address.
pub struct Builtin {
    runtime: Handle,
    listening: HashMap<(String, String), SocketAddr>,
}

impl Builtin {
    /// Backends whose connections are served on this runtime.
    pub fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            listening: HashMap::new(),
        }
    }

    /// Where the backend of a Service listens.
    pub fn address(&mut self, namespace: &str, service: &str) -> io::Result<SocketAddr> {
        let key = (namespace.to_owned(), service.to_owned());
        if let Some(address) = self.listening.get(&key) {
            return Ok(*address);
        }
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let identity = Arc::new(Identity {
            namespace: key.0.clone(),
            service: key.1.clone(),
        });
        let _inside = self.runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        self.runtime.spawn(serve(listener, identity));
        self.listening.insert(key, address);
        Ok(address)
    }
}

/// Stands in for [`Builtin`] where nothing runs (`check`, `explain`): the answers are the same, the address is not.
pub struct Imagined;

impl Imagined {
    /// Where such a backend would be, if it were.
    pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9000);
}
