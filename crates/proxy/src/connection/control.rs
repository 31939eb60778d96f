//! How a connection and its worker speak to each other: whether it is idle, whether it shall go, when it wants to look
//! at its deadlines and after its client.

use crate::http::alarm::NEAR;
use crate::time::Instant;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What became of waiting for the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Something can be read (bytes, the end or an error).
    Readable,
    /// The worker wants the connection gone: a drain, a removed bind, or room for others.
    Close,
    /// The deadline passed.
    TimedOut,
    /// Nothing came for a while: what was kept at hand for the next request may go. Only after [`Wait::Short`].
    Cold,
}

/// How a wait for the next request is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// With everything at hand, as the next request usually comes at once.
    Short,
    /// With as little as possible.
    Long,
}

/// Shared by a connection's task and its worker: whether it is idle, and whether it shall go.
#[derive(Debug, Default)]
pub struct Control {
    state: Cell<Occupation>,
    close: Cell<bool>,
    /// When a busy connection wants to look at its deadlines.
    alarm: Cell<Option<Instant>>,
    /// A busy connection wants to be woken at the next look over all of them.
    look: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Those of its streams, which have deadlines of their own.
    streams: RefCell<Vec<Rc<Control>>>,
}

/// What a connection is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Occupation {
    /// Serving, or not yet ready to.
    #[default]
    Busy,
    /// Waiting for a request.
    Idle {
        /// Since when: the longest idle one goes first when room is needed.
        since: Instant,
        /// Until when. Looked at a few times a second by the worker: no timer for each connection.
        until: Instant,
        /// How it waits.
        wait: Wait,
    },
    /// Was idle for long enough to let go of what exchanges need.
    Cold,
    /// Waited too long.
    TimedOut,
}

impl Control {
    /// Whether the connection shall close after the exchange at hand. `Connection: close` belongs on its response.
    pub fn closing(&self) -> bool {
        self.close.get()
    }

    /// Ready once the worker has something to say to an idle connection.
    pub(crate) fn poll_told(&self, cx: &mut Context<'_>) -> Poll<Idle> {
        let told = match self.state.get() {
            _ if self.close.get() => Some(Idle::Close),
            Occupation::TimedOut => Some(Idle::TimedOut),
            Occupation::Cold => Some(Idle::Cold),
            Occupation::Busy | Occupation::Idle { .. } => None,
        };
        if let Some(told) = told {
            return Poll::Ready(told);
        }
        self.remember(cx);
        Poll::Pending
    }

    /// Whether the task is woken by `at` already.
    pub(crate) fn wakes_by(&self, cx: &Context<'_>, at: Instant) -> bool {
        self.alarm.get().is_some_and(|set| set <= at)
            && matches!(&*self.waker.borrow(), Some(known) if known.will_wake(cx.waker()))
    }

    /// Wakes the task when `at` is near.
    pub(crate) fn wake_by(&self, cx: &Context<'_>, at: Instant) {
        self.alarm.set(Some(at));
        self.remember(cx);
    }

    /// Wakes the task when the worker looks over its connections the next time, within a quarter of a second.
    #[inline]
    pub(crate) fn look_soon(&self, cx: &Context<'_>) {
        self.look.set(true);
        self.remember(cx);
    }

    /// Whether that look is still to come.
    #[inline]
    pub(crate) fn looks_soon(&self) -> bool {
        self.look.get()
    }

    fn remember(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
    }

    pub(crate) fn set(&self, occupation: Occupation) {
        self.state.set(occupation);
    }

    /// Asks the connection to close: at once if idle, else after the exchange at hand. What is under way looks at its
    /// deadlines, as there may be new ones.
    pub fn close(&self) {
        self.close.set(true);
        // A copy: waking may run code that comes back here.
        let streams = self.streams.borrow().clone();
        for stream in streams {
            stream.wake();
        }
        self.wake();
    }

    /// Looks over another one whenever this one is looked over.
    pub(crate) fn adopt(&self, stream: &Rc<Self>) {
        self.streams.borrow_mut().push(Rc::clone(stream));
    }

    /// Ends the idle wait if its time is over, or the short part of it, and sounds the alarm of a busy connection.
    pub fn expire(&self, now: Instant) {
        // A copy: waking may run code that comes back here.
        let streams = self.streams.borrow().clone();
        for stream in streams {
            stream.expire(now);
        }
        match self.state.get() {
            Occupation::Idle { until, .. } if until <= now => self.set(Occupation::TimedOut),
            Occupation::Idle { since, wait, .. } if wait == Wait::Short && now - since >= WARM => {
                self.set(Occupation::Cold);
            }
            Occupation::Busy => {
                let near = self.alarm.get().is_some_and(|at| at - now <= NEAR);
                if near {
                    self.alarm.set(None);
                }
                if !self.look.replace(false) && !near {
                    return;
                }
            }
            _ => return,
        }
        self.wake();
    }

    /// What the connection is busy with.
    pub fn occupation(&self) -> Occupation {
        self.state.get()
    }

    fn wake(&self) {
        // Taken out first: waking may run code that comes back here.
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// How long a connection keeps what exchanges need: clients that send one request after the other are served without
/// setting up anything, and those that were left open cost little.
const WARM: Duration = Duration::from_millis(500);
