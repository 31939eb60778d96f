//! The value of `Date`, written once a second per worker.

use super::buffer::Buffer;
use super::h1::Fields;
use crate::time::Instant;
use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes a `Date` field line. `now` may be a little old, but not older than this turn of the event loop.
pub fn write_field(out: &mut Buffer, now: Instant) {
    with_line(now, |line| out.extend(line.as_bytes()));
}

/// The same for a head whose lines are told one by one.
pub fn add_field(fields: &mut Fields, now: Instant) {
    with_line(now, |line| {
        fields.push(b"date", line[NAME.len()..].trim_ascii_end().as_bytes());
    });
}

fn with_line(now: Instant, then: impl FnOnce(&str)) {
    LINE.with_borrow_mut(|line| {
        if line.until.is_none_or(|until| now >= until) {
            *line = Line::of(now);
        }
        then(&line.text);
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
            text: format!("{NAME}{}\r\n", httpdate::fmt_http_date(UNIX_EPOCH + seconds)),
        }
    }
}

const NAME: &str = "Date: ";

thread_local! {
    static LINE: RefCell<Line> = const {
        RefCell::new(Line {
            until: None,
            text: String::new(),
        })
    };
}
