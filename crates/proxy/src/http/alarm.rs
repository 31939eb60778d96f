//! One alarm per connection for all of its deadlines, armed only when something has to be waited for.
//!
//! Deadlines are mostly tens of seconds away and move with every byte, so setting a timer for each would cost more
//! than the bytes. An alarm that is set earlier than needed is left alone: it wakes the task, which sees that it has
//! time left and sets it anew. Far deadlines have no timer at all: the worker looks over its connections a few times a
//! second and wakes those whose time is near; what is left then is waited for with a timer.

use crate::connection::Control;
use crate::time::{Instant, Sleep, sleep_until};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

/// Wakes the task that owns it. All polls must come from the same task.
#[derive(Debug)]
pub struct Alarm {
    control: Rc<Control>,
    sleep: Option<Box<Sleep>>,
}

impl Alarm {
    /// The alarm of the connection that `control` belongs to.
    pub fn new(control: Rc<Control>) -> Self {
        Self { control, sleep: None }
    }

    /// Sees to it that the task is woken at `at`, or earlier.
    pub fn wake_by(&mut self, cx: &mut Context<'_>, at: Instant) {
        if self.control.wakes_by(cx, at) {
            return;
        }
        if self
            .sleep
            .as_ref()
            .is_some_and(|sleep| sleep.deadline() <= at && !sleep.is_silent())
        {
            return;
        }
        if at - Instant::now() > NEAR {
            self.control.wake_by(cx, at);
            return;
        }
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.reset(at);
                sleep
            }
            none => none.insert(Box::new(sleep_until(at))),
        };
        if Pin::new(&mut **sleep).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

/// From here on a deadline is kept with a timer. Some times the interval in which connections are looked over, so that
/// one that is late for once misses none.
pub const NEAR: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::task::Poll;

    #[tokio::test(start_paused = true)]
    async fn an_early_alarm_is_used_for_a_later_deadline() {
        let start = Instant::now();
        let mut alarm = Alarm::new(Rc::default());
        let mut deadline = start + Duration::from_millis(500);
        let mut wakes = 0;
        poll_fn(|cx| {
            wakes += 1;
            // The deadline moves once; the alarm that is set already is not touched by that.
            if wakes == 2 {
                deadline = start + Duration::from_millis(900);
            }
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            alarm.wake_by(cx, deadline);
            Poll::Pending
        })
        .await;
        assert_eq!((wakes, start.elapsed().as_millis()), (3, 900));
    }

    #[tokio::test(start_paused = true)]
    async fn a_far_deadline_is_met_to_the_millisecond_and_needs_no_timer_before_it_is_near() {
        let start = Instant::now();
        let control = Rc::<Control>::default();
        let mut alarm = Alarm::new(Rc::clone(&control));
        let deadline = start + Duration::from_millis(30_123);
        let wakes = Cell::new(0);
        let timer_set = Cell::new(None);
        let waits = poll_fn(|cx| {
            wakes.set(wakes.get() + 1);
            let now = Instant::now();
            if now >= deadline {
                return Poll::Ready(());
            }
            alarm.wake_by(cx, deadline);
            if alarm.sleep.is_some() {
                timer_set.set(timer_set.get().or(Some(now)));
            }
            Poll::Pending
        });
        let looks_over = async {
            loop {
                crate::time::sleep(Duration::from_millis(250)).await;
                control.expire(Instant::now());
            }
        };
        tokio::select! {
            () = waits => {}
            () = looks_over => {}
        }
        assert_eq!(start.elapsed().as_millis(), 30_123);
        // At the start, when the deadline was near, and at the deadline.
        assert!(timer_set.get().is_some_and(|at| deadline - at <= NEAR));
        assert!(wakes.get() >= 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_is_still_set_after_the_worker_woke_the_task_for_another_reason() {
        let start = Instant::now();
        let control = Rc::<Control>::default();
        let mut alarm = Alarm::new(Rc::clone(&control));
        let deadline = start + Duration::from_secs(10);
        let waits = poll_fn(|cx| {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            alarm.wake_by(cx, deadline);
            Poll::Pending
        });
        let looks_over = async {
            control.close();
            loop {
                crate::time::sleep(Duration::from_millis(250)).await;
                control.expire(Instant::now());
            }
        };
        tokio::select! {
            biased;
            () = waits => {}
            () = looks_over => {}
        }
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }
}
