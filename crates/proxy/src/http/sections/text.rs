//! Heads on their way from the connection that reads them to the exchange that works on them.

use crate::http::buffer::Buffer;
use crate::http::h1::{RequestHead, ResponseHead};
use std::cell::RefCell;

/// A request's head. Its memory is lent by the worker.
#[derive(Debug, Default)]
pub struct RequestText {
    /// Its text.
    pub raw: Buffer,
    /// What is where in it.
    pub head: RequestHead,
}

/// A response's head. Its memory is lent by the worker.
#[derive(Debug, Default)]
pub struct ResponseText {
    /// Its text.
    pub raw: Buffer,
    /// What is where in it.
    pub head: ResponseHead,
}

impl RequestText {
    /// An empty one.
    pub fn take() -> Box<Self> {
        REQUESTS.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Puts it into the worker's store.
    pub fn give_back(mut self: Box<Self>) {
        self.raw.rest();
        self.head.clear();
        REQUESTS.with_borrow_mut(|spare| {
            if spare.len() < KEEP {
                spare.push(self);
            }
        });
    }
}

impl ResponseText {
    /// An empty one.
    pub fn take() -> Box<Self> {
        RESPONSES.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Puts it into the worker's store.
    pub fn give_back(mut self: Box<Self>) {
        self.raw.rest();
        self.head.clear();
        RESPONSES.with_borrow_mut(|spare| {
            if spare.len() < KEEP {
                spare.push(self);
            }
        });
    }
}

/// Spare ones kept per worker.
const KEEP: usize = 64;

thread_local! {
    #[allow(clippy::vec_box, reason = "lent and given back without being moved")]
    static REQUESTS: RefCell<Vec<Box<RequestText>>> = const { RefCell::new(Vec::new()) };
    #[allow(clippy::vec_box, reason = "lent and given back without being moved")]
    static RESPONSES: RefCell<Vec<Box<ResponseText>>> = const { RefCell::new(Vec::new()) };
}
