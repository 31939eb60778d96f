//! Which rule answers a request: `(snapshot, request head) -> rule`, compiled, pure, with reasons on demand.
//!
//! Read in this order: [`head`] (what a request looks like from here), [`socket`] (the listeners of one address),
//! [`table`] (the routes of one listener), `docs/concepts/precedence.md` (who wins, in words), then [`explain`] and
//! [`shadow`], which use the same code to say why.

mod conditions;
pub mod explain;
pub mod head;
pub mod host;
mod host_rules;
mod hosts;
mod names;
mod pattern;
mod query;
pub mod rank;
pub mod shadow;
pub mod socket;
pub mod streams;
pub mod table;
mod tree;
mod value_index;

pub use explain::Explanation;
pub use head::{Head, Headers};
pub use ir::path;
pub use rank::Rank;
pub use shadow::{Shadowed, shadowed};
pub use socket::{Answer, Socket};
pub use streams::{StreamRoutes, Streams, TakenBy};
pub use table::{Compile, Found, Table, Unusable};
