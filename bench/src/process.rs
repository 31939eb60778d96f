//! Processes under test: started on given CPUs, read through `/proc`, ended with the benchmark whatever ends it.

use crate::cleanup;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that ends when this value does, with all that it started.
pub struct Process {
    child: Child,
}

/// CPU time of a process with all its threads, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuTime {
    /// In the program.
    pub user: f64,
    /// In the kernel for it.
    pub system: f64,
    /// Both, from a finer clock than the two.
    pub total: f64,
}

/// How a process is started.
#[derive(Default)]
pub struct Start<'a> {
    /// CPUs it may use, as `taskset -c` takes them.
    pub cpus: Option<&'a str>,
    /// Added to its environment.
    pub environment: Vec<(&'a str, String)>,
    /// Whether to keep its standard input and output as pipes.
    pub piped: bool,
}

impl Process {
    /// Starts `command`; what it prints goes to `log`.
    pub fn start(start: &Start<'_>, command: &[String], log: &Path) -> Result<Self, String> {
        let mut words: Vec<String> = Vec::new();
        if installed("setpriv") {
            // The kernel ends it should we be killed; a signal that we can see, cleanup.rs takes care of.
            words.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(String::from));
        }
        if let Some(cpus) = start.cpus {
            words.extend(["taskset", "-c", cpus].map(String::from));
        }
        words.extend_from_slice(command);
        let out = std::fs::File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let err = out.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .envs(start.environment.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(if start.piped {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(if start.piped { Stdio::piped() } else { out.into() })
            .stderr(err);
        let child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", words[0]))?;
        cleanup::started(child.id());
        Ok(Self { child })
    }

    /// Process id (setpriv, taskset and valgrind replace themselves by the program, so it is the program's).
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input and output, once, if it was started with pipes.
    pub fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.child.stdin.take().zip(self.child.stdout.take())
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

    /// It and the processes that it started.
    pub fn family(&self) -> Vec<u32> {
        let mut family = vec![self.id()];
        let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|id: u32| Some((id, stat_fields(id)?.first()?.parse().ok()?)))
            .collect();
        let mut known = 0;
        while known < family.len() {
            let parent = family[known];
            family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
            known += 1;
        }
        family
    }

    /// CPU time so far, of the whole family.
    pub fn cpu_time(&self) -> CpuTime {
        let mut sum = CpuTime::default();
        for id in self.family() {
            let time = cpu_time(id);
            sum.user += time.user;
            sum.system += time.system;
            sum.total += time.total;
        }
        sum
    }

    /// Proportional set size of the whole family, in KiB.
    pub fn pss(&self) -> u64 {
        let of = |id: u32| {
            let rollup = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
            line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok())
        };
        self.family().into_iter().filter_map(of).sum()
    }

    /// Sends a signal by name, for example `TERM`.
    pub fn signal(&self, name: &str) -> Result<(), String> {
        Command::new("kill")
            .args([format!("-{name}"), self.id().to_string()])
            .status()
            .map(drop)
            .map_err(|error| format!("kill: {error}"))
    }

    /// Asks it to end and waits; kills it after `limit`.
    pub fn stop(mut self, limit: Duration) -> Result<(), String> {
        self.signal("TERM")?;
        self.wait(limit)
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Result<(), String> {
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
        cleanup::ended(self.id());
        // Fails only when it has ended already.
        let _ = self.child.wait();
    }
}

/// CPU time of one process: user and system from its ticks, the sum in nanoseconds from its threads' `schedstat`.
fn cpu_time(id: u32) -> CpuTime {
    // Linux counts in ticks of 10 ms for every process that asks through /proc (USER_HZ is 100 on all ports).
    const TICK: f64 = 0.01;
    let fields = stat_fields(id).unwrap_or_default();
    let field = |index: usize| {
        fields
            .get(index)
            .and_then(|word: &String| word.parse::<f64>().ok())
            .unwrap_or(0.0)
            * TICK
    };
    let (user, system) = (field(10), field(11));
    let nanoseconds: f64 = std::fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<f64>().ok())
        .sum();
    let total = if nanoseconds > 0.0 {
        nanoseconds / 1e9
    } else {
        user + system
    };
    CpuTime { user, system, total }
}

/// Fields of `/proc/PID/stat` from the fourth on: the parent's id first.
fn stat_fields(id: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name stands in parentheses and may hold any byte.
    let (_, after_name) = stat.rsplit_once(") ")?;
    Some(after_name.split(' ').skip(1).map(str::to_owned).collect())
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| error.to_string())
}

/// Whether a program can be started.
pub fn installed(program: &str) -> bool {
    find(program).is_some()
}

/// Where a program is.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    places
        .into_iter()
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// This program, which is also the load, the origin and the relay.
pub fn here() -> Result<String, String> {
    std::env::current_exe()
        .map(|path| path.display().to_string())
        .map_err(|error| error.to_string())
}

/// The release build of `narthex`, built now if it is not up to date, or the program that `NARTHEX` names.
pub fn narthex() -> Result<String, String> {
    if let Ok(program) = std::env::var("NARTHEX") {
        return Ok(program);
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", "narthex-cli"])
        .current_dir(&root)
        .status();
    if !status.is_ok_and(|status| status.success()) {
        return Err("cargo build --release --package narthex-cli failed".into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/narthex").display().to_string())
}

/// Writes a file by rename, so that a reader sees all or nothing.
pub fn replace(path: &Path, text: &str) -> Result<(), String> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text)
        .and_then(|()| std::fs::rename(&fresh, path))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// A folder for this run's files, removed with the value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it under the system's folder for temporary files.
    pub fn new(name: &str) -> Result<Self, String> {
        Self::within(&std::env::temp_dir(), name)
    }

    /// Makes it in memory where that is possible: renaming over a file waits for some disks, which would be told
    /// as ours. For a few small files: containers often have little room there.
    pub fn in_memory(name: &str) -> Result<Self, String> {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            Self::within(memory, name)
        } else {
            Self::new(name)
        }
    }

    fn within(folder: &Path, name: &str) -> Result<Self, String> {
        let path = folder.join(format!("narthex-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        cleanup::made(&path);
        Ok(Self(path))
    }

    /// Writes a file into it, see [`replace`].
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        replace(&path, text)?;
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
