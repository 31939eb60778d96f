//! The value of `Date`, written once a second per worker.

use super::buffer::Buffer;
use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes a `Date` field line.
pub fn write_field(out: &mut Buffer) {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    LINE.with_borrow_mut(|(written, line)| {
        if *written != seconds || line.is_empty() {
            *written = seconds;
            *line = format!(
                "Date: {}\r\n",
                httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
            );
        }
        out.extend(line.as_bytes());
    });
}

thread_local! {
    static LINE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}
