//! What only the operating system knows, and the only `unsafe` of the project: each block is one call to the C library
//! with its reason beside it.

#![allow(unsafe_code)]

use std::io;

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
