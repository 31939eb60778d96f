//! All listeners of one address: chooses who is asked, and whose answer counts.

use crate::conditions::Request;
use crate::hosts::Hosts;
use crate::{Compile, Explanation, Found, Head, Table, Unusable, explain};
use ir::{Bind, Layer, Listener};
use std::sync::Arc;

/// The listeners of one [`Bind`], compiled.
pub struct Socket<R> {
    listeners: Vec<(Arc<Listener>, Arc<Table<R>>)>,
    /// Gateway listeners by hostname.
    gateway: Hosts<usize>,
    /// The Ingress listener.
    ingress: Option<usize>,
}

/// The answer to a request, and the listener that gave it.
#[derive(Debug)]
pub struct Answer<'t, R> {
    /// Index into [`Bind::listeners`].
    pub listener: usize,
    /// The rule.
    pub found: Found<'t, R>,
}

impl<R> Clone for Answer<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Answer<'_, R> {}

impl<R: Clone> Socket<R> {
    /// Compiles the listeners of a bind; what `previous` compiled from the same routes is kept.
    pub fn build(bind: &Bind, previous: Option<&Self>, compile: &mut Compile<'_, R>) -> Self {
        let mut socket = Self {
            listeners: Vec::with_capacity(bind.listeners.len()),
            gateway: Hosts::new(),
            ingress: None,
        };
        for (index, listener) in bind.listeners.iter().enumerate() {
            let before = previous.and_then(|previous| previous.table_of(listener));
            let table = match before {
                Some((same, table)) if Arc::ptr_eq(same, listener) => Arc::clone(table),
                before => Arc::new(Table::build(listener, before.map(|(_, table)| &**table), compile)),
            };
            socket.listeners.push((Arc::clone(listener), table));
            match listener.layer {
                Layer::Gateway => socket.gateway.insert(&listener.hostname, index),
                Layer::Ingress => {
                    socket.ingress.get_or_insert(index);
                }
            }
        }
        socket
    }

    fn table_of(&self, listener: &Listener) -> Option<&(Arc<Listener>, Arc<Table<R>>)> {
        self.listeners
            .iter()
            .find(|(candidate, _)| candidate.origin == listener.origin)
    }
}

impl<R> Socket<R> {
    /// The rule that answers a request. Allocates nothing.
    ///
    /// At most two listeners are asked: the most specific Gateway listener for the host, and the Ingress listener.
    /// The answer with the more specific host, then path, counts; on a tie the Gateway's.
    pub fn find(&self, head: &Head<'_>) -> Option<Answer<'_, R>> {
        let request = Request::new(head);
        let ask = |listener: usize| {
            let found = self.listeners[listener].1.find_request(&request)?;
            Some(Answer { listener, found })
        };
        let gateway = self.listener_for(head.host).and_then(ask);
        let Some(ingress) = self.ingress_for(head.host) else {
            return gateway;
        };
        let ingress = ask(ingress);
        match (gateway, ingress) {
            (Some(gateway), Some(ingress)) if ingress.found.rank() > gateway.found.rank() => Some(ingress),
            (None, ingress) => ingress,
            (gateway, _) => gateway,
        }
    }

    /// The most specific Gateway listener for a host (index into [`Bind::listeners`]).
    pub fn listener_for(&self, host: &str) -> Option<usize> {
        self.gateway.first(host).copied()
    }

    /// The Gateway listener that a handshake selects. Without SNI only a listener for every host can be selected.
    pub fn listener_of_sni(&self, sni: Option<&str>) -> Option<usize> {
        self.listener_for(sni.unwrap_or_default())
    }

    /// Whether a request on a connection with this SNI belongs to another Gateway listener than the connection
    /// (answer 421, RFC 9110 §15.5.20). Both names lower-case. A host that no Gateway listener covers is never
    /// misdirected: it is answered by an Ingress, or with 404.
    pub fn is_misdirected(&self, sni: Option<&str>, host: &str) -> bool {
        if sni == Some(host) {
            return false;
        }
        let listener = self.listener_for(host);
        listener.is_some() && listener != self.listener_of_sni(sni)
    }

    /// The same answer as [`Socket::find`], with the reasons.
    pub fn explain(&self, head: &Head<'_>) -> Explanation {
        explain::explain(self, head)
    }

    /// Matches that the router can't use.
    pub fn unusable(&self) -> impl Iterator<Item = &Unusable> {
        self.listeners.iter().flat_map(|(_, table)| table.unusable())
    }

    /// The listeners with their tables, in the bind's order.
    pub(crate) fn listeners(&self) -> &[(Arc<Listener>, Arc<Table<R>>)] {
        &self.listeners
    }

    pub(crate) fn gateway_listeners(&self, host: &str) -> Vec<usize> {
        self.gateway.covering(host).into_iter().copied().collect()
    }

    /// The Ingress listener, if it is for this host.
    pub(crate) fn ingress_for(&self, host: &str) -> Option<usize> {
        self.ingress
            .filter(|index| self.listeners[*index].0.hostname.matches(host))
    }
}
