//! Moves bytes from one plain connection to another inside the kernel, through a pipe (splice(2)): large bodies pass
//! without being copied, at less than half of what reading and writing them costs.
//!
//! A pipe is two files and some memory of the kernel, so a worker has few. A conduit has one only while bytes are on
//! their way; where there is none to be had, the caller copies.

use super::buffer::Fill;
use crate::sys::Pipe;
use std::cell::{Cell, RefCell};
use std::io;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// One direction between two connections.
#[derive(Debug, Default)]
pub struct Conduit {
    pipe: Option<Pipe>,
    /// Bytes in the pipe.
    held: usize,
    used: bool,
}

/// What a worker has.
#[derive(Debug, Default)]
struct Store {
    spare: RefCell<Vec<Pipe>>,
    lent: Cell<usize>,
    /// The system refused to move anything: it has no splice between sockets, or forbids it.
    useless: Cell<bool>,
}

impl Conduit {
    /// Whether nothing is on its way.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// How much is on its way.
    #[inline]
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether a part of a body of which so many bytes are to come is worth a pipe. The rest of one that has begun is.
    #[inline]
    pub fn suits(&self, left: u64) -> bool {
        left >= WORTH_IT && left != u64::MAX || self.used && left > 0
    }

    /// Takes in what is there, at most `most` bytes. The conduit must be empty. `None`: no pipe is to be had, the bytes
    /// have to be copied.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        most: u64,
    ) -> Option<Poll<io::Result<Fill>>> {
        debug_assert!(self.is_empty());
        if self.pipe.is_none() {
            self.pipe = lend();
        }
        let pipe = self.pipe.as_ref()?;
        let most = most.min(SIZE as u64) as usize;
        let outcome = loop {
            match from.poll_read_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Err(error),
                Poll::Pending => {
                    // Others may use it while this one waits.
                    self.clear();
                    return Some(Poll::Pending);
                }
            }
            match from.try_io(Interest::READABLE, || pipe.fill(from, most)) {
                // The pipe is empty, so it is the socket that has nothing.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => break outcome,
            }
        };
        Some(Poll::Ready(match outcome {
            Ok(0) => Ok(Fill::Closed),
            Ok(count) => {
                self.held = count;
                self.used = true;
                Ok(Fill::Some(count))
            }
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EINVAL | libc::ENOSYS | libc::EPERM)
                ) =>
            {
                STORE.with(|store| store.useless.set(true));
                return None;
            }
            Err(error) => Err(error),
        }))
    }

    /// Passes everything on and adds to `written` what went out; `Ready` when nothing is left.
    pub fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        to: &TcpStream,
        written: &mut u64,
    ) -> Poll<io::Result<()>> {
        while let Some(pipe) = &self.pipe
            && self.held > 0
        {
            ready!(to.poll_write_ready(cx))?;
            match to.try_io(Interest::WRITABLE, || pipe.drain(to, self.held)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.held -= count;
                    *written += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Drops what is on its way.
    pub fn clear(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            give_back(pipe, self.held == 0);
        }
        self.held = 0;
    }
}

impl Drop for Conduit {
    #[inline]
    fn drop(&mut self) {
        if self.pipe.is_some() {
            self.clear();
        }
    }
}

fn lend() -> Option<Pipe> {
    STORE.with(|store| {
        if store.useless.get() || store.lent.get() >= MOST {
            return None;
        }
        let spare = store.spare.borrow_mut().pop();
        // No files left: what is copied needs none.
        let pipe = spare.or_else(|| Pipe::new(SIZE).ok())?;
        store.lent.set(store.lent.get() + 1);
        Some(pipe)
    })
}

fn give_back(pipe: Pipe, empty: bool) {
    // At the end of the thread there is no store any more.
    let _ = STORE.try_with(|store| {
        store.lent.set(store.lent.get() - 1);
        let mut spare = store.spare.borrow_mut();
        if empty && spare.len() < SPARE {
            spare.push(pipe);
        }
    });
}

/// Shorter bodies are copied with less ado.
const WORTH_IT: u64 = 64 * 1024;
/// Bytes in a pipe: as many as make its calls cheap. What a slow reader makes the kernel hold is this much at most.
const SIZE: i32 = 256 * 1024;
/// Pipes in use at once, per worker: each is two files.
const MOST: usize = 64;
/// Pipes kept for the next body.
const SPARE: usize = 4;

thread_local! {
    static STORE: Store = Store::default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (one, other) = tokio::join!(
            TcpStream::connect(listener.local_addr().unwrap()),
            listener.accept()
        );
        (one.unwrap(), other.unwrap().0)
    }

    async fn fill(conduit: &mut Conduit, from: &TcpStream, most: u64) -> Option<Fill> {
        poll_fn(|cx| match conduit.poll_fill(cx, from, most) {
            Some(outcome) => outcome.map(|fill| Some(fill.unwrap())),
            None => Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn bytes_pass_in_order_and_the_end_is_told() {
        let ((mut source, from), (to, mut sink)) = (pair().await, pair().await);
        let content: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
        let sent = content.clone();
        let passes = async {
            let (mut conduit, mut written) = (Conduit::default(), 0);
            while let Some(Fill::Some(_)) = fill(&mut conduit, &from, u64::MAX).await {
                poll_fn(|cx| conduit.poll_drain(cx, &to, &mut written))
                    .await
                    .unwrap();
            }
            drop(to);
            written
        };
        let sends = async move {
            source.write_all(&sent).await.unwrap();
            drop(source);
        };
        let mut received = Vec::new();
        let (written, (), _) = tokio::join!(passes, sends, sink.read_to_end(&mut received));
        assert_eq!(written, content.len() as u64);
        assert!(received == content);
    }

    #[tokio::test]
    async fn a_conduit_that_waits_has_no_pipe_and_one_that_holds_bytes_keeps_its_own() {
        let (mut source, from) = pair().await;
        let mut conduit = Conduit::default();
        poll_fn(|cx| {
            assert!(conduit.poll_fill(cx, &from, 10).unwrap().is_pending());
            Poll::Ready(())
        })
        .await;
        assert!(conduit.pipe.is_none());
        source.write_all(b"hello").await.unwrap();
        assert_eq!(fill(&mut conduit, &from, 3).await, Some(Fill::Some(3)));
        assert_eq!((conduit.len(), STORE.with(|store| store.lent.get())), (3, 1));
        drop(conduit);
        // A pipe with somebody's bytes in it is of no use to others.
        assert_eq!(
            STORE.with(|store| (store.lent.get(), store.spare.borrow().len())),
            (0, 0)
        );
    }

    #[tokio::test]
    async fn there_is_a_limit_to_pipes_and_behind_it_bytes_are_copied() {
        let mut holders = Vec::new();
        for _ in 0..MOST {
            let (mut source, from) = pair().await;
            source.write_all(b"x").await.unwrap();
            let mut conduit = Conduit::default();
            assert_eq!(fill(&mut conduit, &from, 1).await, Some(Fill::Some(1)));
            holders.push(conduit);
        }
        let (_source, from) = pair().await;
        let mut one_more = Conduit::default();
        assert_eq!(fill(&mut one_more, &from, 1).await, None);
    }
}
