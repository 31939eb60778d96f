//! Buffers that workers fill and one thread empties.
//!
//! Each worker has two slots. The thread locks one slot at a time, only to swap the full buffer for an empty one,
//! so a worker that finds one slot locked finds the other free and never waits.

use super::Output;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// What workers and the writer thread share.
#[derive(Debug)]
pub(super) struct Shared {
    workers: Box<[[Mutex<Buffer>; 2]]>,
    lines: Arc<Lines>,
    writer: OnceLock<Thread>,
    stop: AtomicBool,
    reopen: AtomicBool,
    flush: Flush,
}

/// Lines that were handed in and lines that were lost, for metrics.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    written: AtomicU64,
    dropped: AtomicU64,
}

impl Lines {
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    lines: u64,
}

/// Requests to write everything out, and how many of them were met.
#[derive(Debug, Default)]
struct Flush {
    asked: AtomicU64,
    done: Mutex<u64>,
    changed: Condvar,
}

impl Shared {
    pub(super) fn new(workers: usize, lines: Arc<Lines>) -> Self {
        Self {
            workers: (0..workers).map(|_| Default::default()).collect(),
            lines,
            writer: OnceLock::new(),
            stop: AtomicBool::new(false),
            reopen: AtomicBool::new(false),
            flush: Flush::default(),
        }
    }

    /// Lets `format` add one line to a worker's buffer, or counts a dropped line if there is no room.
    pub(super) fn add(&self, worker: usize, format: impl FnOnce(&mut Vec<u8>)) {
        for slot in &self.workers[worker] {
            let mut buffer = match slot.try_lock() {
                Ok(buffer) => buffer,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            if buffer.bytes.len() >= CAPACITY {
                break;
            }
            let was_empty = buffer.bytes.is_empty();
            format(&mut buffer.bytes);
            buffer.lines += 1;
            let is_half_full = buffer.bytes.len() >= CAPACITY / 2;
            drop(buffer);
            if was_empty || is_half_full {
                self.wake();
            }
            return;
        }
        self.lines.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Asks for all to be written out and waits at most this long. Tells whether it was done.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let ticket = self.flush.asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.wake();
        let done = self.flush.done.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .flush
            .changed
            .wait_timeout_while(done, limit, |done| *done < ticket);
        let (done, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *done >= ticket
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}

/// Starts the thread. Fails when the file can't be opened.
pub(super) fn start(shared: &Arc<Shared>, output: Output) -> io::Result<()> {
    let sink = Sink::open(output)?;
    let for_thread = Arc::clone(shared);
    let thread = thread::Builder::new()
        .name("access-log".into())
        .spawn(move || run(&for_thread, sink))?;
    // Set once, here.
    let _ = shared.writer.set(thread.thread().clone());
    Ok(())
}

fn run(shared: &Shared, mut sink: Sink) {
    let mut buffer = Buffer::default();
    loop {
        let stopping = shared.stop.load(Ordering::Acquire);
        let asked = shared.flush.asked.load(Ordering::Acquire);
        if shared.reopen.swap(false, Ordering::Relaxed) {
            sink.reopen();
        } else {
            sink.follow_rename();
        }
        for slot in shared.workers.iter().flatten() {
            std::mem::swap(
                &mut *slot.lock().unwrap_or_else(PoisonError::into_inner),
                &mut buffer,
            );
            if !buffer.bytes.is_empty() {
                let counter = match sink.write(&buffer.bytes) {
                    Ok(()) => &shared.lines.written,
                    Err(_) => &shared.lines.dropped,
                };
                counter.fetch_add(buffer.lines, Ordering::Relaxed);
                buffer.clear();
            }
        }
        *shared.flush.done.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        shared.flush.changed.notify_all();
        if stopping {
            return;
        }
        // A worker wakes us with the first line of a batch; then more get time to gather. A flush does not wait.
        thread::park_timeout(LOOK);
        let hurried =
            || shared.flush.asked.load(Ordering::Acquire) > asked || shared.stop.load(Ordering::Acquire);
        if !hurried() {
            thread::park_timeout(GATHER);
        }
    }
}

impl Buffer {
    fn clear(&mut self) {
        self.lines = 0;
        self.bytes.clear();
        // After a burst the memory goes back.
        self.bytes.shrink_to(CAPACITY);
    }
}

/// Where the thread writes to.
#[derive(Debug)]
struct Sink {
    output: Output,
    file: Option<File>,
    looked: Instant,
    warned: Option<Instant>,
}

impl Sink {
    fn open(output: Output) -> io::Result<Self> {
        let file = match &output {
            Output::Stdout => None,
            Output::File(path) => Some(append_to(path)?),
        };
        Ok(Self {
            output,
            file,
            looked: Instant::now(),
            warned: None,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
        };
        if let Err(error) = &result {
            self.warn(error);
        }
        result
    }

    /// Opens the file anew when its name no longer leads to it; looks once a second.
    fn follow_rename(&mut self) {
        let (Output::File(path), Some(file)) = (&self.output, &self.file) else {
            return;
        };
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        if fs::metadata(path).map(identity).ok() != file.metadata().map(identity).ok() {
            self.reopen();
        }
    }

    fn reopen(&mut self) {
        let Output::File(path) = &self.output else { return };
        match append_to(path) {
            Ok(file) => self.file = Some(file),
            // The old file stays in use: lines in the wrong place are better than none.
            Err(error) => self.warn(&error),
        }
    }

    /// Once a minute is enough.
    fn warn(&mut self, error: &io::Error) {
        if self
            .warned
            .is_none_or(|at| at.elapsed() > Duration::from_secs(60))
        {
            self.warned = Some(Instant::now());
            tracing::warn!("access log: {error}");
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Bytes after which a worker's slot takes no more lines: a thousand lines or so, 20 ms at 50,000 requests a second.
const CAPACITY: usize = 512 * 1024;
/// How long lines gather after the first, so that a system call writes many.
const GATHER: Duration = Duration::from_millis(20);
/// How often a renamed file is looked for.
const LOOK: Duration = Duration::from_secs(1);
