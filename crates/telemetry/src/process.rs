//! What the kernel tells about this process, under the names that every Prometheus client library uses.

use std::fs;

/// Figures of the process; what can't be read is unset.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Process {
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) resident_bytes: Option<f64>,
    pub(crate) virtual_bytes: Option<f64>,
    pub(crate) open_fds: Option<f64>,
    pub(crate) max_fds: Option<f64>,
    pub(crate) start_seconds: Option<f64>,
}

impl Process {
    pub(crate) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let system = fs::read_to_string("/proc/stat").unwrap_or_default();
        // proc_pid_stat(5): after the command's closing parenthesis field 3 follows; 14 and 15 are user and system
        // time, 22 is the start after boot, all in ticks.
        let ticks = |field: usize| {
            let rest = stat.rsplit_once(')')?.1;
            Some(rest.split_whitespace().nth(field - 3)?.parse::<f64>().ok()? / TICKS_PER_SECOND)
        };
        let boot = after(&system, "btime ");
        Self {
            cpu_seconds: ticks(14).zip(ticks(15)).map(|(user, system)| user + system),
            resident_bytes: after(&status, "VmRSS:").map(|kib| kib * 1024.0),
            virtual_bytes: after(&status, "VmSize:").map(|kib| kib * 1024.0),
            // One of them is the listing's own.
            open_fds: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|list| list.count().saturating_sub(1) as f64),
            max_fds: after(&limits, "Max open files"),
            start_seconds: ticks(22).zip(boot).map(|(since, boot)| boot + since),
        }
    }
}

/// The number that follows `key` at the start of a line.
fn after(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What Linux shows to user space on every architecture that Rust's Linux targets cover, whatever its timer does.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::Process;
    use std::time::SystemTime;

    #[test]
    fn the_process_knows_itself() {
        let process = Process::read();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 100_000.0));
        assert!(process.virtual_bytes >= process.resident_bytes);
        assert!(process.open_fds.is_some_and(|fds| fds >= 3.0));
        assert!(process.max_fds.is_some_and(|fds| fds >= 64.0));
        assert!(process.cpu_seconds.is_some());
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        assert!(
            process
                .start_seconds
                .is_some_and(|start| start > now - 86_400.0 && start < now + 2.0)
        );
    }
}
