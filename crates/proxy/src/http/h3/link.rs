//! What the streams of a connection have in common: the connection, which a mistake on any of them may end, and what its
//! client may still cost.

use super::code::Code;
use crate::time::Instant;
use std::cell::Cell;
use std::time::Duration;

/// A connection as its streams see it.
#[derive(Debug)]
pub struct Link {
    connection: quinn::Connection,
    /// Bytes of a field section, with what RFC 9114 §4.2.2 adds.
    most_fields: usize,
    /// The same of what the client takes.
    client_takes: Cell<u64>,
    budget: Cell<u32>,
    filled: Cell<Instant>,
    failed: Cell<Option<Code>>,
}

impl Link {
    /// Of a new connection.
    pub fn new(connection: quinn::Connection, most_fields: usize) -> Self {
        Self {
            connection,
            most_fields,
            client_takes: Cell::new(u64::MAX),
            budget: Cell::new(BUDGET),
            filled: Cell::new(Instant::now()),
            failed: Cell::new(None),
        }
    }

    /// The connection.
    pub fn connection(&self) -> &quinn::Connection {
        &self.connection
    }

    /// What a field section may come to.
    pub fn most_fields(&self) -> usize {
        self.most_fields
    }

    /// The client takes no larger ones.
    pub fn take_fields(&self, most: u64) {
        self.client_takes.set(most);
    }

    /// Whether the client takes a section of this size.
    pub fn takes(&self, size: usize) -> bool {
        size as u64 <= self.client_takes.get()
    }

    /// The client broke the protocol: closes the connection (RFC 9114 §8).
    pub fn fail(&self, code: Code) {
        if self.failed.get().is_none() {
            self.failed.set(Some(code));
            self.connection.close(code.varint(), b"");
        }
    }

    /// Why we closed it, if it was for a mistake of the client.
    pub fn failed(&self) -> Option<Code> {
        self.failed.get()
    }

    /// Something came that is of no use (RFC 9114 §10.5). Too much of it in too short a time closes the connection.
    pub fn spend(&self, cost: u32) {
        if let Some(left) = self.budget.get().checked_sub(cost) {
            return self.budget.set(left);
        }
        let now = Instant::now();
        if now.saturating_duration_since(self.filled.get()) < PERIOD {
            return self.fail(Code::EXCESSIVE_LOAD);
        }
        self.filled.set(now);
        self.budget.set(BUDGET);
    }
}

/// As for HTTP/2: what is of no use, at once or over [`PERIOD`].
const BUDGET: u32 = 2000;
/// What is used up in a shorter time than that was a flood.
const PERIOD: Duration = Duration::from_secs(10);
/// What a request costs that its client takes back: 333 of them are a budget.
pub const CANCELLED: u32 = 6;
