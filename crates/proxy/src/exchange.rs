//! One request and its response: the table of contents of the data plane.

use crate::connection::Downstream;
use crate::worker::WorkerState;
use std::rc::Rc;

/// Serves HTTP/1.1 on a connection until it closes.
#[expect(clippy::unused_async, reason = "serving waits")]
pub async fn serve(worker: Rc<WorkerState>, downstream: Downstream) {
    drop((worker, downstream));
}
