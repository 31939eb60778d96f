//! A bed that runs: starting it, entering it, asking it, ending it.

use super::parts::Parts;
use crate::run::{root, wait};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A bed in a folder; it may or may not run.
pub struct Bed {
    dir: PathBuf,
}

impl Bed {
    /// The one in `target/bed`, or in `NARTHEX_BED_DIR` (several can run side by side).
    pub fn at_home() -> Self {
        let dir = std::env::var_os("NARTHEX_BED_DIR");
        Self {
            dir: dir.map_or_else(|| root().join("target/bed"), PathBuf::from),
        }
    }

    /// Itself, if it runs.
    pub fn running(self) -> Result<Self, String> {
        match self.first_process() {
            Some(_) => Ok(self),
            None => Err("the bed is not up\nhint: cargo xtask bed up".into()),
        }
    }

    /// Starts it and waits until it answers.
    pub fn start(&self, parts: &Parts, nodes: u16, images: &[(&str, PathBuf)]) -> Result<(), String> {
        let started = Instant::now();
        let _ = std::fs::remove_dir_all(&self.dir);
        let wrong = |error: std::io::Error| format!("{}: {error}", self.dir.display());
        std::fs::create_dir_all(&self.dir).map_err(wrong)?;
        let log = std::fs::File::create(self.dir.join("bed.log")).map_err(wrong)?;
        let mut command = unshare();
        command
            .arg(parts.program("bed"))
            .arg("-dir")
            .arg(&self.dir)
            .arg("-bin")
            .arg(parts.bin())
            .args(["-nodes", &nodes.to_string()]);
        for (image, program) in images {
            command
                .arg("-image")
                .arg(format!("{image}={}", program.display()));
        }
        let stderr = log.try_clone().map_err(wrong)?;
        // A group of its own: Ctrl-C is for the one who waits, and the bed outlives this program.
        let child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(stderr)
            .process_group(0)
            .spawn();
        let mut child = child.map_err(|error| format!("unshare: {error}"))?;
        std::fs::write(self.dir.join("pid"), child.id().to_string()).map_err(wrong)?;
        while started.elapsed() < START {
            if self.ask("GET", "/status").is_ok() {
                eprintln!("bed: started in {:.1?}", started.elapsed());
                return Ok(());
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("the bed did not start: {status}\n{}", self.log_tail()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let tail = self.log_tail();
        let _ = self.down();
        Err(format!("the bed did not start within {START:?}\n{tail}"))
    }

    /// A command inside, not started yet.
    pub fn command(&self, program: &str) -> Result<Command, String> {
        let first = self.first_process().ok_or("the bed is not up")?;
        let mut command = Command::new("nsenter");
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--net", "--pid", "--mount", "--target", &first.to_string()]);
        if let Ok(here) = std::env::current_dir() {
            let mut folder = std::ffi::OsString::from("--wd=");
            folder.push(here);
            command.arg(folder);
        }
        let mut path = std::ffi::OsString::from(Parts::cache()?.join("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command
            .arg("--")
            .arg(program)
            .env("KUBECONFIG", self.dir.join("admin.kubeconfig"))
            .env("NARTHEX_BED_DIR", &self.dir)
            .env("PATH", path);
        Ok(command)
    }

    /// Asks the bed for something.
    pub fn ask(&self, method: &str, path: &str) -> Result<String, String> {
        let wrong = |error: std::io::Error| format!("the bed does not answer: {error}");
        let mut socket = UnixStream::connect(self.dir.join("control")).map_err(wrong)?;
        write!(
            socket,
            "{method} {path} HTTP/1.0\r\nHost: bed\r\nContent-Length: 0\r\n\r\n"
        )
        .map_err(wrong)?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).map_err(wrong)?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .ok_or("the bed's answer has no end")?;
        if head.contains(" 200 ") {
            Ok(body.to_owned())
        } else {
            Err(body.trim().to_owned())
        }
    }

    /// Ends it, and waits until nothing is left of it.
    pub fn down(&self) -> Result<(), String> {
        let Some(outer) = self.outer_process() else {
            eprintln!("bed: not up");
            return Ok(());
        };
        let started = Instant::now();
        let signal = |name: &str, pid: u32| {
            let _ = Command::new("kill").args([name, &pid.to_string()]).status();
        };
        if let Some(first) = self.first_process() {
            signal("-TERM", first);
        }
        while self.outer_process().is_some() {
            if started.elapsed() > Duration::from_secs(5) {
                // --kill-child: the first process dies with it, and the rest with the first.
                signal("-KILL", outer);
            }
            if started.elapsed() > Duration::from_secs(10) {
                return Err(format!("process {outer} does not end"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("bed: down");
        Ok(())
    }

    /// The folder with logs, keys and the kubeconfig.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("bed.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// The process that holds the namespaces, if it is alive and ours.
    fn outer_process(&self) -> Option<u32> {
        let pid: u32 = std::fs::read_to_string(self.dir.join("pid"))
            .ok()?
            .trim()
            .parse()
            .ok()?;
        // A dead child that nobody waited for has no command line.
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let ours = self.dir.as_os_str().as_encoded_bytes();
        line.split(|&byte| byte == 0)
            .any(|word| word == ours)
            .then_some(pid)
    }

    /// The first process inside, by its number outside.
    fn first_process(&self) -> Option<u32> {
        let outer = self.outer_process()?;
        let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }
}

/// Begins a command in namespaces of its own; when `unshare` dies, so does everything in them.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args([
        "--net",
        "--pid",
        "--mount",
        "--mount-proc",
        "--fork",
        "--kill-child",
    ]);
    command
}

/// Whether namespaces can be made, and links in them.
pub fn namespaces() -> Result<(), String> {
    let links = "ip link add bed0 type bridge && ip link add bed1 type veth peer name bed2";
    wait(unshare().args(["sh", "-c", links]))
        .map_err(|problem| format!("{problem}\nhint: it takes root or user namespaces, and iproute2"))
}

/// The control plane on a busy machine takes its time.
const START: Duration = Duration::from_secs(90);

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}
