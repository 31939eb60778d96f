//! Processes under test: started on one CPU, read through `/proc`, ended with the benchmark.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that ends when this value does.
pub struct Process {
    child: Child,
}

/// CPU time of a process with all its threads, in seconds.
#[derive(Clone, Copy, Default)]
pub struct CpuTime {
    /// In the program.
    pub user: f64,
    /// In the kernel for it.
    pub system: f64,
}

impl Process {
    /// Starts `command` on CPU `cpu`; what it prints goes to `log`.
    pub fn start(cpu: Option<usize>, command: &[String], log: &Path) -> Result<Self, String> {
        let mut words: Vec<String> = cpu
            .map(|cpu| vec!["taskset".into(), "-c".into(), cpu.to_string()])
            .unwrap_or_default();
        words.extend_from_slice(command);
        let out = std::fs::File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let err = out.try_clone().map_err(|error| error.to_string())?;
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|error| format!("{}: {error}", words[0]))?;
        Ok(Self { child })
    }

    /// Process id (taskset and valgrind replace themselves by the program, so it is the program's).
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until something accepts on `address`.
    pub fn wait_for(&mut self, address: SocketAddr, limit: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if TcpStream::connect(address).is_ok() {
                return Ok(start.elapsed());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended before it listened on {address}: {status}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(format!("did not listen on {address} within {limit:?}"))
    }

    /// CPU time so far.
    pub fn cpu_time(&self) -> CpuTime {
        // Linux counts in ticks of 10 ms for every process that asks through /proc (USER_HZ is 100 on all ports).
        const TICK: f64 = 0.01;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        let field = |index: usize| {
            after_name
                .split(' ')
                .nth(index)
                .and_then(|word| word.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        CpuTime {
            user: field(11) * TICK,
            system: field(12) * TICK,
        }
    }

    /// Proportional set size in KiB.
    pub fn pss(&self) -> u64 {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id())).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0)
    }

    /// Asks it to end and waits; kills it after `limit`.
    pub fn stop(mut self, limit: Duration) -> Result<(), String> {
        Command::new("kill")
            .arg(self.id().to_string())
            .status()
            .map_err(|error| error.to_string())?;
        let start = Instant::now();
        while start.elapsed() < limit {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("process {} did not end within {limit:?}", self.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| error.to_string())
}

/// Whether a program can be started.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    places.into_iter().any(|folder| folder.join(program).is_file())
}

/// The release build of `narthex`, built now if it is not up to date, or the program that `NARTHEX` names.
pub fn narthex() -> Result<String, String> {
    if let Ok(program) = std::env::var("NARTHEX") {
        return Ok(program);
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", "narthex-cli"])
        .status();
    if !status.is_ok_and(|status| status.success()) {
        return Err("cargo build --release --package narthex-cli failed".into());
    }
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(here.with_file_name("narthex").display().to_string())
}

/// A folder for this run's files, removed with the value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it under the system's folder for temporary files.
    pub fn new(name: &str) -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("narthex-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// Writes a file into it, by rename so that a reader sees all or nothing.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        let fresh = self.0.join(format!(".{name}.new"));
        std::fs::write(&fresh, text)
            .and_then(|()| std::fs::rename(&fresh, &path))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left-over files in the folder for temporary files do no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
