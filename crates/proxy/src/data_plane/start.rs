//! How workers come up, and how many connections each may have.

use crate::time;
use crate::worker::{self, Command, Seed, WorkerState};
use std::io;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

/// Starts a thread that serves; an error if it can't.
pub(super) fn start_worker(seed: Seed, commands: mpsc::UnboundedReceiver<Command>) -> io::Result<()> {
    let (started, outcome) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name(format!("worker-{}", seed.index))
        .spawn(move || {
            let runtime = match Builder::new_current_thread()
                // Not its timers: `time` has its own.
                .enable_io()
                .build_local(LocalOptions::default())
            {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            let timers = match runtime.block_on(async { time::keep() }) {
                Ok(timers) => timers,
                Err(error) => return drop(started.send(Err(error))),
            };
            drop(started.send(Ok(())));
            let default_connections = seed.default_connections;
            runtime.block_on(async move {
                tokio::task::spawn_local(timers);
                worker::run(WorkerState::new(seed), default_connections, commands).await;
            });
            // Connections that are still open are tasks of the runtime and end with it.
            runtime.shutdown_background();
        })?;
    outcome
        .recv()
        .map_err(|_| io::Error::other("the worker's thread ended at once"))?
}

/// A worker's connections if the snapshot has no limit: each may need a second file for its upstream, and some are left
/// for everything else.
pub(super) fn default_connections(files: u64, workers: usize) -> usize {
    let left = files.saturating_sub(OTHER_FILES) / 2;
    usize::try_from(left)
        .unwrap_or(usize::MAX)
        .div_ceil(workers)
        .clamp(16, 1 << 20)
}

/// Files for the admin listener, watches, logs and listening sockets.
const OTHER_FILES: u64 = 256;
