//! What only the operating system knows, and the only `unsafe` of the project: each block is one call to the C library
//! with its reason beside it.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A pipe, in which bytes can pass from one socket to another without being copied.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// A pipe with room for `size` bytes, or for as many as the system allows.
    pub fn new(size: i32) -> io::Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: `ends` is a valid place for two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both were opened by the call above and belong to nobody else.
        let [read, write] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        // SAFETY: takes no pointer. A pipe that stays as it was (the user has too many) serves as well, in more steps.
        unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, size) };
        Ok(Self { read, write })
    }

    /// Moves at most `most` bytes from a socket into the pipe. 0: the socket's other side will send no more.
    pub fn fill(&self, from: &impl AsFd, most: usize) -> io::Result<usize> {
        splice(from.as_fd(), self.write.as_fd(), most)
    }

    /// Moves at most `most` bytes out of the pipe into a socket.
    pub fn drain(&self, to: &impl AsFd, most: usize) -> io::Result<usize> {
        splice(self.read.as_fd(), to.as_fd(), most)
    }
}

fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    let none = std::ptr::null_mut;
    // SAFETY: both descriptors are borrowed, hence open; the offsets are null, so no memory of ours is touched.
    let moved = unsafe { libc::splice(from, none(), to, none(), most, libc::SPLICE_F_NONBLOCK) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Raises the soft limit of open files to the hard one and returns it. Every connection is a file.
pub fn raise_file_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the answer and outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit {
            rlim_cur: limit.rlim_max,
            ..limit
        };
        // SAFETY: `raised` is initialised and only read.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
            limit = raised;
        }
    }
    Ok(limit.rlim_cur)
}

/// CPUs that this process may use: its affinity and its cgroup's quota (v1 and v2), rounded down, at least 1.
pub fn usable_cpus() -> usize {
    // The standard library reads sched_getaffinity, cpu.max and cpu.cfs_quota_us.
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_file_limit_is_raised_to_the_hard_one_and_stays_there() {
        let first = super::raise_file_limit().unwrap();
        assert!(first >= 64);
        assert_eq!(super::raise_file_limit().unwrap(), first);
    }
}
