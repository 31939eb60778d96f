//! What a relay counts.

use crate::time::Instant;

/// What passed, for logs and metrics.
#[derive(Debug, Default)]
pub(in crate::exchange) struct Figures {
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub body_out: u64,
    /// Bytes sent to the upstream in this try.
    pub sent: u64,
    pub upstream_status: u16,
    /// Interim responses of the upstream so far.
    pub interim: u32,
    pub first_byte: Option<Instant>,
    /// The final response's head was put into the client's buffer: no other answer can be given any more.
    pub answered: bool,
    /// The client knows the end of the body by the end of the connection.
    pub until_close: bool,
}

impl Figures {
    /// Forgets what was said about one try only.
    pub fn next_try(&mut self) {
        self.upstream_status = 0;
        self.first_byte = None;
    }
}
