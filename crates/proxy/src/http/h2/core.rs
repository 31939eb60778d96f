//! A connection without its socket: what both sides said so far, the streams, and the frames that are to go out. Its files
//! are `receive` for frames that come and `send` for those that go; [`super::Connection`] moves their bytes.
//!
//! The task of the connection and those of its streams share it. They are all on one thread, and none keeps it borrowed
//! while it waits.

use super::Reason;
use super::frame::{self, setting};
use super::hpack::Decoder;
use super::table::{Failure, Key, Table};
use crate::http::buffer::Buffer;
use std::collections::VecDeque;
use std::task::{Context, Waker};

/// Everything about a connection.
#[derive(Debug)]
pub struct Core {
    pub role: Role,
    pub bounds: Bounds,
    pub table: Table,
    pub decoder: Decoder,
    /// Frames to be written.
    pub out: Buffer,
    /// The other side's settings.
    pub peer: Peer,
    /// Content that may still be sent, whatever the stream.
    pub room: i64,
    /// Streams that wait for room, first come first served.
    pub queue: VecDeque<Key>,
    /// Content that may still come.
    pub window: i64,
    /// Bytes that were taken, and for which the window was not opened again.
    pub owed: u32,
    /// The highest number of a stream that the other side opened.
    pub highest: u32,
    /// Numbers that it left out when it did so the last time.
    pub skipped: (u32, u32),
    /// The next number of a stream that we open.
    pub next: u32,
    /// Streams that we reset a short while ago, to which the other side may send more before it knows.
    pub cut: VecDeque<u32>,
    /// Streams that we had to reset for what came on them.
    pub mistakes: usize,
    /// A section of which not everything has come.
    pub part: Option<Box<Part>>,
    /// What we said about our going.
    pub leaving: Leaving,
    /// The other side said that it goes.
    pub going: bool,
    /// Our PING was answered.
    pub pong: bool,
    /// The connection is over.
    pub over: bool,
    /// Nobody wants it any more.
    pub unwanted: bool,
    /// A smaller table was asked for, so the next section says that none is used.
    pub resize: bool,
    task: Option<Waker>,
    /// Its task knows that there is something to do.
    woken: bool,
}

/// Which side we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Streams come from the other side.
    Server,
    /// We open them.
    Client,
}

/// What the other side may make us hold.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Streams that it may have open. A server's only.
    pub streams: u32,
    /// What a section may come to (RFC 9113 §6.5.2).
    pub section: u32,
    /// Content of a stream that waits for us.
    pub stream_window: u32,
    /// Content of all streams that waits for us.
    pub connection_window: u32,
    /// Content that waits for the socket.
    pub unsent: usize,
    /// Streams on which it may break the protocol.
    pub mistakes: usize,
}

/// The other side's settings, as far as they matter to us.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// They came.
    pub known: bool,
    pub window: u32,
    pub table: u32,
    /// Streams that we may have open.
    pub streams: u32,
    /// RFC 8441 §3.
    pub extended_connect: bool,
}

/// Where we are in going (RFC 9113 §6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    Staying,
    /// We said that we go, and asked for a sign that this is known.
    Announced,
    /// We said that nothing above this number is served.
    Decided(u32),
}

/// A section in pieces.
#[derive(Debug)]
pub struct Part {
    pub id: u32,
    pub ends_stream: bool,
    pub bytes: Vec<u8>,
    pub pieces: usize,
}

impl Core {
    /// A connection on which our settings are the first to go out.
    pub fn new(role: Role, bounds: Bounds) -> Self {
        let mut out = Buffer::take();
        let common = [
            (setting::INITIAL_WINDOW_SIZE, bounds.stream_window),
            (setting::MAX_HEADER_LIST_SIZE, bounds.section),
        ];
        match role {
            Role::Server => frame::settings(
                &mut out,
                &[
                    common[0],
                    common[1],
                    (setting::MAX_CONCURRENT_STREAMS, bounds.streams),
                    (setting::ENABLE_CONNECT_PROTOCOL, 1),
                ],
            ),
            Role::Client => {
                out.extend(super::PREFACE);
                let none = [(setting::ENABLE_PUSH, 0), (setting::MAX_CONCURRENT_STREAMS, 0)];
                frame::settings(&mut out, &[common[0], common[1], none[0], none[1]]);
            }
        }
        frame::window_update(
            &mut out,
            0,
            bounds.connection_window.saturating_sub(DEFAULT_WINDOW),
        );
        Self {
            role,
            bounds,
            table: Table::default(),
            decoder: Decoder::new(),
            out,
            peer: Peer {
                known: false,
                window: DEFAULT_WINDOW,
                table: DEFAULT_TABLE,
                streams: DEFAULT_STREAMS,
                extended_connect: false,
            },
            room: i64::from(DEFAULT_WINDOW),
            queue: VecDeque::new(),
            window: i64::from(bounds.connection_window),
            owed: 0,
            highest: 0,
            skipped: (0, 0),
            next: 1,
            cut: VecDeque::new(),
            mistakes: 0,
            part: None,
            leaving: Leaving::Staying,
            going: false,
            pong: false,
            over: false,
            unwanted: false,
            resize: false,
            task: None,
            woken: false,
        }
    }

    /// The connection's task is here, and `cx` is how to call it.
    pub fn attend(&mut self, cx: &Context<'_>) {
        self.woken = false;
        match &mut self.task {
            Some(task) => task.clone_from(cx.waker()),
            None => self.task = Some(cx.waker().clone()),
        }
    }

    /// There is something for the connection's task to do.
    #[inline]
    pub fn call(&mut self) {
        if !std::mem::replace(&mut self.woken, true)
            && let Some(task) = &self.task
        {
            task.wake_by_ref();
        }
    }

    /// Whether another stream can be opened by us.
    pub fn takes_streams(&self) -> bool {
        !self.over && !self.going && self.next < LAST_STREAM
    }

    /// Whether nothing more will happen.
    pub fn is_done(&self) -> bool {
        self.table.count() == 0
            && (self.going || self.unwanted || matches!(self.leaving, Leaving::Decided(_)))
    }

    /// The connection is over for all streams.
    pub fn end(&mut self, failure: Failure) {
        self.over = true;
        for stream in self.table.all() {
            // One that has all has nothing to miss.
            if !stream.is_over() {
                stream.fail(failure);
            }
        }
    }

    /// So many bytes of content were taken from a stream.
    pub fn taken(&mut self, key: Key, count: usize) {
        let count = count as u32;
        if let Some(stream) = self.table.get(key)
            && !stream.got_all
        {
            stream.owed += count;
            if stream.owed >= self.bounds.stream_window / 2 {
                let by = std::mem::take(&mut stream.owed);
                stream.window += i64::from(by);
                frame::window_update(&mut self.out, stream.id, by);
                self.call();
            }
        }
        self.returned(count);
    }

    /// So many bytes of what came take up no room any more.
    pub fn returned(&mut self, count: u32) {
        self.owed += count;
        if self.owed >= self.bounds.connection_window / 2 {
            let by = std::mem::take(&mut self.owed);
            self.window += i64::from(by);
            frame::window_update(&mut self.out, 0, by);
            self.call();
        }
    }

    /// Resets a stream of ours or theirs, and tells whoever works on it.
    pub fn cut(&mut self, id: u32, reason: Reason, failure: Failure) {
        frame::reset(&mut self.out, id, reason);
        if let Some(key) = self.table.find(id)
            && let Some(stream) = self.table.get(key)
        {
            stream.fail(failure);
        }
        self.table.close(id);
        self.remember(id);
        self.call();
    }

    /// We reset it, and more of it may be on its way.
    pub fn remember(&mut self, id: u32) {
        if self.cut.len() >= MOST_CUT {
            self.cut.pop_front();
        }
        self.cut.push_back(id);
    }

    /// Nobody holds a stream any more.
    pub fn release(&mut self, key: Key) {
        let Some(stream) = self.table.free(key) else {
            return;
        };
        let id = stream.id;
        if self.table.find(id) == Some(key) {
            // RFC 9113 §8.1: the answer is there without the rest of the request.
            let whole = stream.sent_all && self.role == Role::Server;
            self.cut(
                id,
                if whole { Reason::NO_ERROR } else { Reason::CANCEL },
                Failure::Broken,
            );
        }
        let unread = stream.content.len();
        stream.content.give_back();
        if unread > 0 {
            self.returned(unread as u32);
        }
        if stream.queued {
            self.queue.retain(|other| *other != key);
        }
        if stream.called {
            self.call_next();
        }
        if self.is_done() {
            self.call();
        }
    }

    /// There may be room for content: calls as many of those that wait as there is room for a frame.
    pub fn call_next(&mut self) {
        let unsent = self.bounds.unsent.saturating_sub(self.out.len());
        let room = self.room.min(signed(unsent));
        let mut frames = usize::try_from(room).unwrap_or(0).div_ceil(frame::MOST_PAYLOAD);
        while frames > 0
            && let Some(key) = self.queue.pop_front()
        {
            if let Some(stream) = self.table.get(key) {
                stream.queued = false;
                stream.called = true;
                stream.wake();
                frames -= 1;
            }
        }
    }

    /// Says that we go (RFC 9113 §6.8): what is on its way by then is still served.
    pub fn leave(&mut self) {
        if self.leaving == Leaving::Staying {
            self.leaving = Leaving::Announced;
            frame::goaway(&mut self.out, LAST_STREAM, Reason::NO_ERROR);
            frame::write(&mut self.out, frame::PING, 0, 0, &GOING);
            self.call();
        }
    }

    /// Asks for a sign of life.
    pub fn ping(&mut self) {
        self.pong = false;
        frame::write(&mut self.out, frame::PING, 0, 0, &ALIVE);
        self.call();
    }
}

/// A size as part of a window.
#[inline]
pub fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// RFC 9113 §6.5.2 and §6.9.2: what holds until settings come.
const DEFAULT_WINDOW: u32 = 65_535;
pub const DEFAULT_TABLE: u32 = 4096;
/// There is no limit then; this is what most servers say.
const DEFAULT_STREAMS: u32 = 100;
/// The largest number of a stream.
pub const LAST_STREAM: u32 = 0x7fff_ffff;
/// A window is never larger (RFC 9113 §6.9.1).
pub const LARGEST_WINDOW: i64 = 0x7fff_ffff;
/// Streams of which is kept that we reset them: twice as many as clients have open by default.
const MOST_CUT: usize = 256;
/// Payload of the PING that shows that our going is known.
pub const GOING: [u8; 8] = *b"leaving.";
/// Payload of the one that asks for a sign of life.
pub const ALIVE: [u8; 8] = *b"alive?..";
