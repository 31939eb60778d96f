//! Runs a workload of this program under callgrind and reads what was counted.
//!
//! Valgrind shows programs a processor of its own (the same "Haswell" wherever the real one has AVX2), so libc and the
//! crates that look for vector instructions pick the same code on every machine, and nothing has to be pinned. Hash
//! seeds differ from run to run: workloads touch enough keys for that to even out.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any workload takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(240);

/// `valgrind --tool=callgrind` and this program with `words` after `work`, with nothing of the caller's environment
/// (its size moves the stack).
pub fn callgrind(out: &Path, options: &[&str], words: &[&str]) -> Result<Command, String> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .args(options)
        .arg(here)
        .arg("work")
        .args(words)
        .stdin(Stdio::null());
    Ok(command)
}

/// Instructions within functions whose name contains `function`.
pub fn within(function: &str, out: &Path, words: &[&str]) -> Result<f64, String> {
    let toggle = format!("--toggle-collect=*{function}*");
    let mut child = callgrind(out, &[&toggle], words)?
        .spawn()
        .map_err(|error| format!("valgrind: {error}"))?;
    wait(&mut child)?;
    total(out)
}

/// Waits for a good end; kills what does not come to one.
pub fn wait(child: &mut Child) -> Result<(), String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("the workload failed: {status}")),
            Err(error) => return Err(error.to_string()),
            Ok(None) if start.elapsed() > LIMIT => {
                // Fails only if it has ended by now.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the workload did not end within {LIMIT:?}"));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// What callgrind wrote at the end of its output.
pub fn total(out: &Path) -> Result<f64, String> {
    let text = std::fs::read_to_string(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let line = text.lines().find_map(|line| {
        line.strip_prefix("totals: ")
            .or_else(|| line.strip_prefix("summary: "))
    });
    line.and_then(|rest| rest.split(' ').next()?.parse().ok())
        .filter(|total| *total > 0.0)
        .ok_or_else(|| format!("{}: nothing was counted", out.display()))
}
