//! A growable byte queue between a socket and a codec, and the worker's store of spare ones.
//!
//! A buffer starts small, grows on demand up to a limit that its user names, and goes back to the worker's store
//! when a connection falls idle, so that ten thousand idle connections hold none.

use crate::stream::Stream;
use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that were read or are to be written: `bytes[start..end]`. The part behind `end` is free.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    unflushed: bool,
}

impl Buffer {
    /// A spare buffer of this worker, or a new one without memory of its own yet.
    pub fn take() -> Self {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Puts the buffer into the worker's store. Large ones are freed instead: they were needed for a large
    /// message and most messages are small.
    pub fn give_back(mut self) {
        self.unflushed = false;
        if self.bytes.is_empty() || self.bytes.len() > KEEP_SIZE {
            return;
        }
        self.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEEP_COUNT {
                spare.push(self);
            }
        });
    }

    /// Drops everything. Little memory stays, much of it goes back.
    #[inline]
    pub fn rest(&mut self) {
        self.clear();
        self.unflushed = false;
        if self.bytes.len() > REST_SIZE {
            std::mem::take(self).give_back();
        }
    }

    /// Hands the memory back, if nothing is in it, and leaves an empty buffer.
    pub fn release(&mut self) {
        if self.is_drained() && !self.bytes.is_empty() {
            std::mem::take(self).give_back();
        }
    }

    /// What is in it.
    #[inline]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// How much is in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops everything.
    #[inline]
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Drops the first `count` bytes.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
        if self.start >= self.end {
            self.clear();
        }
    }

    /// Appends, growing as needed.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Appends, with letters made small.
    #[inline]
    pub fn extend_lower(&mut self, text: &[u8]) {
        self.extend(text);
        let at = self.end - text.len();
        self.bytes[at..self.end].make_ascii_lowercase();
    }

    /// Writes over bytes that are in it, from `at` on.
    pub fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let at = self.start + at;
        debug_assert!(at + bytes.len() <= self.end);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Appends one byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    /// Cuts off everything behind the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start + len);
    }

    /// Makes room for `more` bytes behind the filled ones.
    #[inline]
    pub fn reserve(&mut self, more: usize) {
        if self.bytes.len() - self.end < more {
            self.make_room(more);
        }
    }

    /// Moves everything behind the first `count` bytes to a buffer of its own; this one keeps the first `count`.
    #[must_use]
    pub fn split_tail(&mut self, count: usize) -> Self {
        let mut tail = Self::default();
        if self.len() > count {
            tail = Self::take();
            tail.extend(&self.filled()[count..]);
            self.truncate(count);
        }
        tail
    }

    /// Reads once into the free part. Grows so that there is room, but holds at most `limit` bytes; a full buffer
    /// reads nothing and gives `Ok(Full)`.
    pub fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        limit: usize,
    ) -> Poll<std::io::Result<Fill>> {
        self.fill_by(limit, |free| {
            let mut target = ReadBuf::new(free);
            ready!(Pin::new(stream).poll_read(cx, &mut target))?;
            Poll::Ready(Ok(target.filled().len()))
        })
    }

    /// The same where news has just come: see [`Stream::poll_read_news`].
    #[inline]
    pub fn poll_fill_news(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        limit: usize,
    ) -> Poll<std::io::Result<Fill>> {
        self.fill_by(limit, |free| stream.poll_read_news(cx, free))
    }

    #[inline]
    fn fill_by(
        &mut self,
        limit: usize,
        read: impl FnOnce(&mut [u8]) -> Poll<std::io::Result<usize>>,
    ) -> Poll<std::io::Result<Fill>> {
        if self.bytes.is_empty() {
            self.borrow_memory();
        }
        let room = limit.saturating_sub(self.len());
        if room == 0 {
            return Poll::Ready(Ok(Fill::Full));
        }
        self.reserve(room.min(LEAST_READ));
        let free = &mut self.bytes[self.end..];
        let size = free.len().min(room);
        let Poll::Ready(outcome) = read(&mut free[..size]) else {
            // If there is nothing to hold, the memory goes back while the connection waits.
            self.release();
            return Poll::Pending;
        };
        let count = outcome?;
        self.end += count;
        Poll::Ready(Ok(match count {
            0 => Fill::Closed,
            count => {
                if count == size && self.bytes.len() < limit && self.end == self.bytes.len() {
                    // The read used all there was: the sender has more than we offer at once.
                    self.want_more(limit);
                }
                Fill::Some(count)
            }
        }))
    }

    /// Writes everything and adds to `written` what went out; `Ready` when nothing is left, neither here nor in
    /// the stream (TLS holds records back while the socket is full).
    pub fn poll_drain<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        written: &mut u64,
    ) -> Poll<std::io::Result<()>> {
        while !self.is_empty() {
            self.unflushed = true;
            let count = ready!(Pin::new(&mut *stream).poll_write(cx, self.filled()))?;
            if count == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.consume(count);
            *written += count as u64;
        }
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether everything that was put in has left for the network.
    #[inline]
    pub fn is_drained(&self) -> bool {
        self.is_empty() && !self.unflushed
    }

    /// Takes the memory of a spare, if there is one.
    #[inline]
    fn borrow_memory(&mut self) {
        if let Some(spare) = SPARE.with_borrow_mut(Vec::pop) {
            self.bytes = spare.bytes;
        }
    }

    fn make_room(&mut self, more: usize) {
        if self.bytes.is_empty() {
            self.borrow_memory();
            if self.bytes.len() >= more {
                return;
            }
        }
        let len = self.len();
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = len;
        }
        let needed = len + more;
        if self.bytes.len() < needed {
            let size = needed.next_power_of_two().max(START_SIZE);
            self.bytes.resize(size, 0);
        }
    }

    #[cold]
    fn want_more(&mut self, limit: usize) {
        let size = (self.bytes.len() * 2).min(limit.next_power_of_two());
        if size > self.bytes.len() {
            self.bytes.resize(size, 0);
        }
    }
}

/// What one read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// So many bytes.
    Some(usize),
    /// The other side will send no more.
    Closed,
    /// There is no room: take something out first.
    Full,
}

/// Enough for nearly every head, one page.
const START_SIZE: usize = 4096;
/// A read is not worth its system call for less room than this.
const LEAST_READ: usize = 2048;
/// What a buffer that is at rest may hold: two pages.
const REST_SIZE: usize = 2 * START_SIZE;
/// Buffers larger than this are freed rather than kept.
const KEEP_SIZE: usize = 64 * 1024;
/// Spare buffers kept per worker.
const KEEP_COUNT: usize = 256;

thread_local! {
    static SPARE: RefCell<Vec<Buffer>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_and_room_is_reused() {
        let mut buffer = Buffer::default();
        buffer.extend(b"hello ");
        buffer.extend(b"world");
        buffer.consume(6);
        assert_eq!(buffer.filled(), b"world");
        buffer.extend(&[b'x'; START_SIZE - 5]);
        assert_eq!(buffer.len(), START_SIZE);
        assert_eq!(buffer.bytes.len(), START_SIZE);
    }

    #[test]
    fn the_tail_moves_to_a_buffer_of_its_own() {
        let mut buffer = Buffer::default();
        buffer.extend(b"headbody");
        let tail = buffer.split_tail(4);
        assert_eq!((buffer.filled(), tail.filled()), (&b"head"[..], &b"body"[..]));
    }

    #[tokio::test]
    async fn a_full_buffer_reads_nothing_and_never_holds_more_than_its_limit() {
        let source = vec![7u8; 100_000];
        let mut stream = &source[..];
        let mut buffer = Buffer::default();
        loop {
            let fill = std::future::poll_fn(|cx| buffer.poll_fill(cx, &mut stream, 20_000))
                .await
                .expect("memory");
            if fill == Fill::Full {
                break;
            }
        }
        assert_eq!(buffer.len(), 20_000);
    }
}
