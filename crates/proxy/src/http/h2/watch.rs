//! What a connection's wire tells the task that runs the connection: the codec stands between the two.

use crate::time::Instant;
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, OwnedFd};
use tokio::net::TcpStream;

/// Written by the wire, read by the connection's task.
#[derive(Debug, Default)]
pub struct Watch {
    heard: Cell<bool>,
    blocked_since: Cell<Option<Instant>>,
    flooded: Cell<bool>,
    kept: RefCell<Option<OwnedFd>>,
}

impl Watch {
    /// Whether anything came since the last time this was asked.
    pub fn take_heard(&self) -> bool {
        self.heard.take()
    }

    /// Since when the socket takes nothing of what we have for it.
    pub fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since.get()
    }

    /// Whether too much came that was of no use. Then nothing more is read.
    pub fn flooded(&self) -> bool {
        self.flooded.get()
    }

    /// The socket, after its sending side was shut. A socket that is closed while bytes wait in it resets the
    /// connection, and the last word would be lost.
    pub fn take_socket(&self) -> Option<OwnedFd> {
        self.kept.borrow_mut().take()
    }

    #[inline]
    pub(super) fn hear(&self) {
        self.heard.set(true);
    }

    pub(super) fn set_flooded(&self) {
        self.flooded.set(true);
    }

    #[inline]
    pub(super) fn set_blocked(&self, blocked: bool) {
        if blocked {
            if self.blocked_since.get().is_none() {
                self.blocked_since.set(Some(Instant::now()));
            }
        } else {
            self.blocked_since.set(None);
        }
    }

    pub(super) fn keep(&self, tcp: &TcpStream) {
        // Without a file left it closes in the usual way.
        *self.kept.borrow_mut() = tcp.as_fd().try_clone_to_owned().ok();
    }
}
