//! A gateway inside a test: real files in, real sockets out, everything on loopback.
//!
//! ```text
//! let gw = Gateway::from_yaml(yaml).await;
//! gw.get("http://a.example/x").await.status(200).backend("shop");
//! ```
//!
//! Nothing is mocked: files are watched, translated and published as `narthex run` does it, and requests go through
//! the data plane to local backends. Each Service without endpoints gets an echo backend that tells its name. Ports
//! such as 80 and 443 in the objects are moved to free ones on loopback; the client knows which.
//!
//! What a test expects and does not find is a panic with a sentence, and every wait has a deadline ([`DEADLINE`]).

mod authority;
mod backend;
mod client;
mod connection;
mod gateway;
pub mod http2;
pub mod http3;
mod load;
mod metrics;
pub mod objects;
pub mod random;
pub mod scripted;
mod tls_backend;
mod websocket;
mod wiring;

pub use authority::{Authority, Issued};
pub use client::{Call, Response};
pub use connection::Connection;
pub use gateway::{Gateway, GatewayBuilder};
pub use load::{Expect, Load, Outcome};
pub use metrics::Scrape;
pub use tls_backend::{TlsBackend, mark};
pub use websocket::WebSocket;

use std::time::Duration;

/// How long a test waits for anything before it fails. Generous, because the machine may be busy; no test takes
/// this long unless something is broken.
pub const DEADLINE: Duration = Duration::from_secs(20);
