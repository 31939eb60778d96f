//! Connections to endpoints: which endpoint, a pooled connection to it or a new one, and giving it back.
//!
//! [`cell`] holds what workers share about an upstream, [`local`] what each worker has of its own (balancer, idle
//! connections), [`checkout`] gets a connection for an exchange, `shared` has those that several exchanges use at once.

mod budget;
pub mod cell;
pub mod checkout;
mod connection;
pub mod local;
mod shared;
#[cfg(test)]
mod tests;

pub use cell::{Cells, EndpointFigures, EndpointState, UpstreamCell, UpstreamState};
pub use checkout::{Carries, Wanted, checkout};
pub(crate) use connection::Lease;
pub use connection::UpstreamConnection;
pub use local::Upstreams;
