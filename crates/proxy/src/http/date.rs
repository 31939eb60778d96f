//! The value of `Date`, written once a second per worker.

use super::buffer::Buffer;
use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Writes a `Date` field line. `now` may be a little old, but not older than this turn of the event loop.
pub fn write_field(out: &mut Buffer, now: Instant) {
    LINE.with_borrow_mut(|line| {
        if line.until.is_none_or(|until| now >= until) {
            *line = Line::of(now);
        }
        out.extend(line.text.as_bytes());
    });
}

/// A line, and when it is wrong.
struct Line {
    until: Option<Instant>,
    text: String,
}

impl Line {
    #[cold]
    fn of(now: Instant) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = Duration::from_secs(since.as_secs());
        Self {
            until: Some(now + (Duration::from_secs(1) + seconds).saturating_sub(since)),
            text: format!("Date: {}\r\n", httpdate::fmt_http_date(UNIX_EPOCH + seconds)),
        }
    }
}

thread_local! {
    static LINE: RefCell<Line> = const {
        RefCell::new(Line {
            until: None,
            text: String::new(),
        })
    };
}
