//! One timer per connection for all of its deadlines, armed only when something has to be waited for.
//!
//! Deadlines are mostly tens of seconds away and move with every byte, so setting a timer for each would cost more
//! than the bytes. An alarm that is set earlier than needed is left alone: it wakes the task, which sees that it has
//! time left and sets it anew. A busy connection touches the timer once in tens of seconds.

use std::pin::Pin;
use std::task::Context;
use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes the task that owns it. All polls must come from the same task.
#[derive(Debug, Default)]
pub struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Sees to it that the task is woken at `at`, or earlier.
    pub fn wake_by(&mut self, cx: &mut Context<'_>, at: Instant) {
        let sleep = match &mut self.sleep {
            Some(sleep) if sleep.deadline() <= at && !sleep.is_elapsed() => return,
            Some(sleep) => {
                sleep.as_mut().reset(at);
                sleep
            }
            none => none.insert(Box::pin(sleep_until(at))),
        };
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn an_early_alarm_is_used_for_a_later_deadline() {
        let start = Instant::now();
        let mut alarm = Alarm::default();
        let mut deadline = start + Duration::from_secs(1);
        let mut wakes = 0;
        poll_fn(|cx| {
            wakes += 1;
            // The deadline moves once; the alarm that is set already is not touched by that.
            if wakes == 2 {
                deadline = start + Duration::from_secs(3);
            }
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            alarm.wake_by(cx, deadline);
            Poll::Pending
        })
        .await;
        assert_eq!((wakes, start.elapsed().as_secs()), (3, 3));
    }
}
