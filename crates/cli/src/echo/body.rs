//! The bodies that an echo backend sends: a text, any number of bytes, or lines with pauses between them.

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// A response body.
pub enum Body {
    /// Everything at once.
    Whole(Bytes),
    /// So many more bytes, all of them `x`.
    Filled(u64),
    /// Lines, one per tick.
    Lines {
        /// Number of the next line, from 1.
        next: u32,
        /// Number of the last.
        last: u32,
        /// When.
        ticks: Interval,
    },
}

impl Body {
    /// Everything at once.
    pub fn whole(bytes: Vec<u8>) -> Self {
        Self::Whole(bytes.into())
    }

    /// That many bytes.
    pub fn filled(length: u64) -> Self {
        Self::Filled(length)
    }

    /// That many lines with a pause between them.
    pub fn lines(count: u32, pause: Duration) -> Self {
        let mut ticks = interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self::Lines {
            next: 1,
            last: count,
            ticks,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Filled(0) => return Poll::Ready(None),
            Self::Filled(left) => {
                let length = (*left).min(FILL.len() as u64);
                *left -= length;
                Bytes::from_static(&FILL[..length as usize])
            }
            Self::Lines { next, last, .. } if *next > *last => return Poll::Ready(None),
            Self::Lines { next, ticks, .. } => {
                ready!(ticks.poll_tick(cx));
                let line = format!("line {next}\n");
                *next += 1;
                line.into()
            }
        };
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Filled(left) => *left == 0,
            Self::Lines { next, last, .. } => next > last,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Filled(left) => SizeHint::with_exact(*left),
            Self::Lines { .. } => SizeHint::default(),
        }
    }
}

static FILL: [u8; 16 * 1024] = [b'x'; 16 * 1024];
