//! The data plane: accepts connections, finds the rule for each request, forwards it and relays the answer.
//!
//! It is fed with snapshots ([`ir::Snapshot`]) through [`DataPlane::publish`] and knows no Kubernetes type. Each
//! worker is one thread with its own event loop, listening sockets and upstream pools; what workers share is
//! the [`Plan`] (read only) and a few atomics. The flow of one request is `exchange.rs`.

pub mod balance;
pub mod clock;
pub mod connection;
pub mod connections;
mod data_plane;
pub mod drain;
pub mod exchange;
pub mod fault;
pub mod filter;
pub mod forwarded;
mod handoff;
pub mod http;
pub mod l4;
pub mod listener;
pub mod plan;
pub mod quic;
pub mod respond;
mod sessions;
pub mod stream;
pub mod sys;
pub mod time;
pub mod tls;
pub mod upstream;
pub mod worker;

pub use data_plane::{Applied, BindFailure, DataPlane, Options};
pub use drain::DrainOutcome;
pub use fault::{Fault, Retry, Side};
pub use plan::Plan;
pub use tls::BrokenCertificate;
pub use upstream::{EndpointFigures, UpstreamState};
