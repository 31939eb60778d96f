//! The streams of a connection.

use crate::fault::Fault;
use crate::http::buffer::Buffer;
use crate::http::sections::{ResponseText, Trailer};
use smallvec::SmallVec;
use std::io;
use std::task::{Context, Waker};

/// Places that stay for later when there are no streams.
const KEEP: usize = 16;

/// Streams by key, which is where they are as long as somebody holds them, and by number as long as they are open.
#[derive(Debug, Default)]
pub struct Table {
    places: Vec<Option<Box<Stream>>>,
    free: Vec<Key>,
    /// Numbers and keys of open streams, in the order of their numbers: that in which they are opened.
    open: Vec<(u32, Key)>,
}

/// Where a stream is.
pub type Key = u32;

/// A stream, as long as somebody holds it.
#[derive(Debug)]
pub struct Stream {
    pub id: u32,
    /// The task that works on it.
    waker: Option<Waker>,
    /// Content that came and was not read.
    pub content: Buffer,
    /// Nothing more comes.
    pub got_all: bool,
    /// Bytes that may still come.
    pub window: i64,
    /// Bytes that were read, and for which the window was not opened again.
    pub owed: u32,
    /// Content that is still to come, if its length was said.
    pub expected: Option<u64>,
    pub trailer: Option<Trailer>,
    /// Heads of responses that were not taken.
    pub answers: SmallVec<[Box<ResponseText>; 1]>,
    /// The final one came.
    pub answered: bool,
    /// What was asked for is a head alone.
    pub to_head: bool,
    /// The head is out.
    pub begun: bool,
    /// The end was told, or nothing more is wanted.
    pub sent_all: bool,
    /// Bytes that may still be sent.
    pub room: i64,
    /// What is to follow the content.
    pub last: Option<Trailer>,
    /// It stands in the queue of those that wait for room on the connection.
    pub queued: bool,
    /// It was its turn in that queue.
    pub called: bool,
    pub failed: Option<Failure>,
}

/// How a stream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The other side did nothing about it (RFC 9113 §8.7): it can be sent again whatever it was.
    Untouched,
    /// What came broke the protocol.
    Malformed,
    /// Anything else.
    Broken,
}

impl Table {
    /// Opens a stream. Its number is above all that came before.
    pub fn open(&mut self, stream: Stream) -> Key {
        let id = stream.id;
        let key = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as Key - 1
        });
        self.places[key as usize] = Some(Box::new(stream));
        self.open.push((id, key));
        key
    }

    /// A stream that somebody holds.
    #[inline]
    pub fn get(&mut self, key: Key) -> Option<&mut Stream> {
        self.places.get_mut(key as usize)?.as_deref_mut()
    }

    /// The open stream of that number.
    #[inline]
    pub fn find(&self, id: u32) -> Option<Key> {
        let at = self.open.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.open[at].1)
    }

    /// It is closed (RFC 9113 §5.1). False: it was before.
    pub fn close(&mut self, id: u32) -> bool {
        let Ok(at) = self.open.binary_search_by_key(&id, |(id, _)| *id) else {
            return false;
        };
        self.open.remove(at);
        if self.open.is_empty() && self.open.capacity() > KEEP {
            self.open = Vec::new();
        }
        true
    }

    /// Nobody holds it any more. If it is still open, it is for the caller to close.
    pub fn free(&mut self, key: Key) -> Option<Box<Stream>> {
        let stream = self.places.get_mut(key as usize)?.take()?;
        self.free.push(key);
        if self.places.len() == self.free.len() && self.places.len() > KEEP {
            // The last one: an idle connection shall hold little.
            self.places = Vec::new();
            self.free = Vec::new();
        }
        Some(stream)
    }

    /// How many are open.
    #[inline]
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Keys of open streams whose number is above `id`.
    pub fn above(&self, id: u32) -> Vec<Key> {
        let above = self.open.iter().filter(|(other, _)| *other > id);
        above.map(|(_, key)| *key).collect()
    }

    /// All streams that somebody holds.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.places.iter_mut().filter_map(|place| place.as_deref_mut())
    }
}

impl Stream {
    /// One on which nothing came or went.
    pub fn new(id: u32, window: u32, room: i64) -> Self {
        Self {
            id,
            waker: None,
            content: Buffer::default(),
            got_all: false,
            window: i64::from(window),
            owed: 0,
            expected: None,
            trailer: None,
            answers: SmallVec::new(),
            answered: false,
            to_head: false,
            begun: false,
            sent_all: false,
            room,
            last: None,
            queued: false,
            called: false,
            failed: None,
        }
    }

    /// Both directions came to their end.
    pub fn is_over(&self) -> bool {
        self.got_all && self.sent_all
    }

    /// Something about it changes: `cx` wants to know.
    #[inline]
    pub fn watch(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }

    /// Something about it changed.
    #[inline]
    pub fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// It failed. What came before the end stays where it did end.
    pub fn fail(&mut self, failure: Failure) {
        self.failed.get_or_insert(failure);
        self.wake();
    }
}

impl Failure {
    /// As exchanges tell it.
    pub fn fault(self) -> Fault {
        match self {
            Self::Untouched => Fault::UpstreamRefused,
            Self::Malformed => Fault::BadResponse,
            Self::Broken => Fault::UpstreamClosed,
        }
    }
}

/// As sockets would tell it.
impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Malformed => io::ErrorKind::InvalidData.into(),
            Failure::Untouched | Failure::Broken => io::ErrorKind::ConnectionReset.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_nobody_holds_stays_open_until_it_is_closed() {
        let mut table = Table::default();
        let ids = (1..100).step_by(2);
        let keys: Vec<_> = ids.clone().map(|id| table.open(Stream::new(id, 0, 0))).collect();
        for (id, key) in ids.zip(keys) {
            assert!(table.free(key).is_some() && table.free(key).is_none());
            // The last one gives the memory back, and is no exception.
            assert_eq!(table.find(id), Some(key));
            assert!(table.close(id) && !table.close(id));
        }
        assert_eq!((table.count(), table.places.capacity()), (0, 0));
    }
}
