//! Describes the machine of a run: figures without it say little.

use serde::Serialize;

/// Where and when a run was.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    /// Day of the run.
    pub date: String,
    /// Model of the processor.
    pub processor: String,
    /// Processors that the system has.
    pub processors: usize,
    /// Kernel's release.
    pub kernel: String,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Whether instructions can be counted in hardware.
    pub counters: bool,
}

/// This machine, now.
pub fn describe() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (cpuinfo, meminfo) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let processor = cpuinfo.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    });
    let memory = meminfo.lines().find_map(|line| {
        let value = line.strip_prefix("MemTotal:")?;
        value.trim().trim_end_matches(" kB").parse::<u64>().ok()
    });
    Machine {
        date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        processor: processor.unwrap_or_else(|| "unknown".into()),
        processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        memory_mib: memory.unwrap_or(0) / 1024,
        counters: crate::measure::count::has_counters(),
    }
}
