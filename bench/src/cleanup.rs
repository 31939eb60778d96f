//! Leaves nothing behind: on a signal, every process group that was started is killed and every folder of a run removed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::signal::unix::{SignalKind, signal};

/// Written by whoever starts or ends a process, read by the thread that waits for signals.
static LEFT: Mutex<Left> = Mutex::new(Left {
    groups: Vec::new(),
    folders: Vec::new(),
});

struct Left {
    /// Process groups; each has the id of its first process.
    groups: Vec<u32>,
    folders: Vec<PathBuf>,
}

/// Waits for SIGINT, SIGTERM and SIGHUP in a thread of its own; then cleans up and ends this process.
pub fn on_signals() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    std::thread::spawn(move || {
        let caught = runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt()).ok()?;
            let mut terminate = signal(SignalKind::terminate()).ok()?;
            let mut hang_up = signal(SignalKind::hangup()).ok()?;
            tokio::select! {
                _ = interrupt.recv() => Some(2),
                _ = terminate.recv() => Some(15),
                _ = hang_up.recv() => Some(1),
            }
        });
        let Some(number) = caught else { return };
        let mut left = lock();
        for group in left.groups.drain(..) {
            kill(group);
        }
        for folder in left.folders.drain(..) {
            // Left-over files in the folder for temporary files do no harm.
            let _ = std::fs::remove_dir_all(folder);
        }
        // Still holding the lock: nobody can start a process any more.
        std::process::exit(128 + number);
    });
    Ok(())
}

/// Notes a process group.
pub fn started(group: u32) {
    lock().groups.push(group);
}

/// Kills what is left of a process group and forgets it.
pub fn ended(group: u32) {
    lock().groups.retain(|known| *known != group);
    kill(group);
}

/// Notes a folder.
pub fn made(folder: &Path) {
    lock().folders.push(folder.to_owned());
}

fn lock() -> MutexGuard<'static, Left> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kill(group: u32) {
    // Fails when all of it has ended.
    let _ = Command::new("kill")
        .args(["-KILL", "--", &format!("-{group}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
