//! A timer of the kernel (`timerfd_create(2)`).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer as a file, which can be read once its time has come.
#[derive(Debug)]
pub struct TimerFd(OwnedFd);

impl TimerFd {
    /// A timer that is not set, watched by the event loop of this thread. Call it inside of a runtime.
    pub fn watched() -> io::Result<AsyncFd<Self>> {
        // SAFETY: the descriptor is owned by what is passed in, which nobody can change or take out of the answer, so it
        // stays open and the same for as long.
        unsafe { AsyncFd::register_with_interest(Self::new()?, Interest::READABLE) }.map_err(io::Error::from)
    }

    fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let timer =
            unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) };
        if timer < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was opened by the call above and belongs to nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(timer) }))
    }

    /// Sets it to go off once, some time from now. What it was set to before is forgotten.
    pub fn set(&self, within: Duration) -> io::Result<()> {
        let none = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // No time at all would switch it off.
        let within = within.max(Duration::from_nanos(1));
        let time = libc::itimerspec {
            it_interval: none,
            it_value: libc::timespec {
                tv_sec: libc::time_t::try_from(within.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: within.subsec_nanos().into(),
            },
        };
        // SAFETY: the descriptor is open, `time` is initialised and only read, and no old value is asked for.
        match unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const time, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Takes it that it went off, so that it can be read no more. An error: it did not.
    pub fn take(&self) -> io::Result<()> {
        let mut times = 0_u64;
        let size = size_of::<u64>();
        // SAFETY: `times` is a valid place for eight bytes, which is what a timer gives.
        match unsafe { libc::read(self.0.as_raw_fd(), (&raw mut times).cast(), size) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

impl AsRawFd for TimerFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
