//! Waiting for a time. On a worker's thread with timers of its own, elsewhere (publishing, unit tests) with tokio's.
//!
//! tokio's timers cost every turn of the event loop two readings of the clock and a look through their wheel, and make the
//! kernel set a timer of its own for each `epoll_wait`: a tenth of the instructions of a plain request. A worker is looked
//! over a few times a second anyway and nearly all deadlines are far away, so here a turn costs nothing. The next time is
//! in the kernel, as a descriptor that becomes readable (`timerfd_create(2)`), and is set again only for something earlier.

use crate::sys::timer::TimerFd;
use pin_project_lite::pin_project;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
pub use tokio::time::Instant;

thread_local! {
    /// This thread's, if it is a worker's.
    static TIMERS: RefCell<Option<Rc<Timers>>> = const { RefCell::new(None) };
}

/// The timers of a thread.
struct Timers {
    /// By time, and by a number that tells apart those of one time.
    waiting: RefCell<BTreeMap<Key, Waker>>,
    numbers: Cell<u64>,
    /// What the descriptor is set to.
    set_to: Cell<Option<Instant>>,
    descriptor: AsyncFd<TimerFd>,
}

type Key = (Instant, u64);

/// Gives this thread timers. They run as long as the future is polled; call it once, inside of the thread's runtime.
pub fn keep() -> io::Result<impl Future<Output = ()>> {
    let timers = Rc::new(Timers {
        waiting: RefCell::default(),
        numbers: Cell::default(),
        set_to: Cell::default(),
        descriptor: TimerFd::watched()?,
    });
    TIMERS.set(Some(Rc::clone(&timers)));
    Ok(async move { timers.run().await })
}

/// This thread's timers. None: it has none, or is about to end.
fn timers() -> Option<Rc<Timers>> {
    TIMERS.try_with(|timers| timers.borrow().clone()).ok().flatten()
}

impl Timers {
    async fn run(&self) {
        loop {
            match self.descriptor.readable().await {
                Ok(mut readable) => {
                    // It says how often it went off, which is of no interest.
                    let _ = readable.try_io(|descriptor| descriptor.get_ref().take());
                    readable.clear_ready();
                }
                // The runtime is going down.
                Err(_) => return,
            }
            self.set_to.set(None);
            self.wake_due(Instant::now());
        }
    }

    /// Wakes those whose time has come, and sets the descriptor for the next.
    fn wake_due(&self, now: Instant) {
        loop {
            let due = match self.waiting.borrow_mut().first_entry() {
                Some(first) if first.key().0 <= now => first.remove(),
                Some(first) => {
                    let next = first.key().0;
                    return self.set(next);
                }
                None => return,
            };
            due.wake();
        }
    }

    fn add(&self, deadline: Instant, waker: &Waker) -> Key {
        let key = (deadline, self.numbers.get());
        self.numbers.set(key.1.wrapping_add(1));
        self.waiting.borrow_mut().insert(key, waker.clone());
        self.set(deadline);
        key
    }

    /// Sees to it that the descriptor tells by `deadline`.
    fn set(&self, deadline: Instant) {
        if self.set_to.get().is_none_or(|set_to| deadline < set_to) {
            let within = deadline.saturating_duration_since(Instant::now());
            self.set_to.set(Some(deadline));
            if let Err(error) = self.descriptor.get_ref().set(within) {
                tracing::error!(%error, "a timer could not be set: what waits may wait too long");
            }
        }
    }
}

/// Waits for a time.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        key: None,
        elsewhere: None,
    }
}

/// Waits for some time.
pub fn sleep(within: Duration) -> Sleep {
    sleep_until(after(within))
}

/// The future does its work until a time at the latest.
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout {
        future,
        sleep: sleep_until(deadline),
    }
}

/// The future does its work within some time.
pub fn timeout<F: Future>(within: Duration, future: F) -> Timeout<F> {
    timeout_at(after(within), future)
}

/// What is beyond the clock's range is as good as never.
fn after(within: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(within).unwrap_or_else(|| now + FOREVER)
}

/// Ready at a time. Belongs to the thread that polls it.
#[derive(Debug)]
pub struct Sleep {
    deadline: Instant,
    /// Among this thread's timers.
    key: Option<Key>,
    /// Where there are none.
    elsewhere: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Sleep {
    /// When it is ready.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether nobody will be woken by it any more, or not yet: it has to be polled for that.
    pub fn is_silent(&self) -> bool {
        match (&self.key, &self.elsewhere) {
            (Some(key), _) => !timers().is_some_and(|timers| timers.waiting.borrow().contains_key(key)),
            (None, Some(elsewhere)) => elsewhere.is_elapsed(),
            (None, None) => true,
        }
    }

    /// Sets it to another time. To be polled after that.
    pub fn reset(&mut self, deadline: Instant) {
        self.forget();
        self.deadline = deadline;
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.as_mut().reset(deadline);
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this thread is not a worker's, so its runtime has timers"
    )]
    fn poll_elsewhere(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let elsewhere = self
            .elsewhere
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        elsewhere.as_mut().poll(cx)
    }

    fn forget(&mut self) {
        if let Some(key) = self.key.take()
            && let Some(timers) = timers()
        {
            // Let go of when the map is free again: it might be all that is left of a task with timers.
            let waker = timers.waiting.borrow_mut().remove(&key);
            drop(waker);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timers) = timers() else {
            return self.poll_elsewhere(cx);
        };
        if let Some(key) = &self.key {
            let waker = match timers.waiting.borrow_mut().get_mut(key) {
                Some(waker) if waker.will_wake(cx.waker()) => return Poll::Pending,
                Some(waker) => Some(std::mem::replace(waker, cx.waker().clone())),
                None => None,
            };
            if waker.is_some() {
                return Poll::Pending;
            }
        }
        self.key = None;
        if self.deadline <= Instant::now() {
            return Poll::Ready(());
        }
        self.key = Some(timers.add(self.deadline, cx.waker()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Goes on and on, with a pause after each turn.
pub fn ticks(pause: Duration) -> Ticks {
    Ticks {
        sleep: sleep(pause),
        pause,
    }
}

/// See [`ticks`].
#[derive(Debug)]
pub struct Ticks {
    sleep: Sleep,
    pause: Duration,
}

impl Ticks {
    /// Waits for the next turn, and gives the time. Nothing is lost if it is given up.
    pub async fn tick(&mut self) -> Instant {
        (&mut self.sleep).await;
        let now = Instant::now();
        self.sleep.reset(now + self.pause);
        now
    }
}

pin_project! {
    /// What a future gives, or [`Elapsed`].
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(this.sleep).poll(cx).map(|()| Err(Elapsed))
    }
}

/// The time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// About thirty years.
const FOREVER: Duration = Duration::from_secs(1_000_000_000);

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn, ready};

    /// Runs on a thread like a worker's: its runtime has no timers.
    fn on_a_worker<F: Future<Output = ()>>(test: F) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap();
        runtime.block_on(async {
            tokio::task::spawn_local(keep().unwrap());
            test.await;
        });
        TIMERS.set(None);
    }

    fn waiting() -> usize {
        timers().unwrap().waiting.borrow().len()
    }

    const SOON: Duration = Duration::from_millis(20);
    const NEVER: Duration = Duration::from_secs(3600);

    #[test]
    fn a_time_is_waited_for_and_not_less() {
        on_a_worker(async {
            let start = Instant::now();
            let late = sleep(SOON * 3);
            // Set for something later already, it has to be set again.
            tokio::join!(late, sleep(SOON), async {
                sleep(SOON * 2).await;
                assert!(start.elapsed() >= SOON * 2);
            });
            assert!(start.elapsed() >= SOON * 3);
            sleep(Duration::ZERO).await;
            assert_eq!(waiting(), 0);
        });
    }

    #[test]
    fn what_takes_too_long_is_given_up_and_leaves_no_timer() {
        on_a_worker(async {
            assert_eq!(timeout(NEVER, ready(1)).await, Ok(1));
            assert_eq!(timeout(SOON, pending::<()>()).await, Err(Elapsed));
            assert_eq!(timeout_at(Instant::now(), pending::<()>()).await, Err(Elapsed));
            assert_eq!(timeout(Duration::MAX, ready(2)).await, Ok(2));
            assert_eq!(waiting(), 0);
            let mut given_up = Box::pin(timeout(NEVER, pending::<()>()));
            assert!(poll_fn(|cx| Poll::Ready(given_up.as_mut().poll(cx).is_pending())).await);
            assert_eq!(waiting(), 1);
            drop(given_up);
            assert_eq!(waiting(), 0);
        });
    }

    #[test]
    fn it_can_be_set_to_another_time_earlier_or_later() {
        on_a_worker(async {
            let start = Instant::now();
            let mut sleep = sleep(NEVER);
            assert!(sleep.is_silent());
            assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut sleep).poll(cx).is_pending())).await);
            assert!(!sleep.is_silent());
            sleep.reset(start + SOON);
            assert!(sleep.is_silent());
            (&mut sleep).await;
            assert!(start.elapsed() >= SOON);
            sleep.reset(start + SOON * 3);
            (&mut sleep).await;
            assert!(start.elapsed() >= SOON * 3);
            assert_eq!((waiting(), sleep.deadline()), (0, start + SOON * 3));
        });
    }

    #[tokio::test(start_paused = true)]
    async fn elsewhere_it_is_a_timer_of_tokio() {
        let start = Instant::now();
        assert_eq!(timeout(NEVER, pending::<()>()).await, Err(Elapsed));
        let mut sleep = sleep(NEVER);
        (&mut sleep).await;
        assert_eq!((start.elapsed(), sleep.is_silent()), (NEVER * 2, true));
    }
}
