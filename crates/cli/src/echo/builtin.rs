//! The backends of `--echo`: one loopback listener per Service that has no endpoints of its own.

use super::{Identity, serve};
use control::EchoAddresses;
use std::cell::RefCell;
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
    listening: RefCell<HashMap<(String, String), SocketAddr>>,
}

impl Builtin {
    /// Backends whose connections are served on this runtime.
    pub fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            listening: RefCell::default(),
        }
    }
}

impl EchoAddresses for Builtin {
    fn address(&self, namespace: &str, service: &str, _port: u16) -> io::Result<SocketAddr> {
        let key = (namespace.to_owned(), service.to_owned());
        let mut listening = self.listening.borrow_mut();
        if let Some(address) = listening.get(&key) {
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
        listening.insert(key, address);
        Ok(address)
    }
}

/// Stands in for [`Builtin`] where nothing runs (`check`, `explain`): the answers are the same, the address is not.
pub struct Imagined;

impl Imagined {
    /// Where such a backend would be, if it were.
    pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9000);
}

impl EchoAddresses for Imagined {
    fn address(&self, _: &str, _: &str, _: u16) -> io::Result<SocketAddr> {
        Ok(Self::ADDRESS)
    }
}
