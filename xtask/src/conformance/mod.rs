//! Conformance suites against Narthex in the bed, as `deploy/kustomize` installs it.

mod gateway_api;
mod grpc;
mod h2spec;
mod ingress;
mod websocket;

use crate::Outcome;
use crate::bed::{self, Bed, parts::INSTALLED, parts::Parts};
use crate::run::{root, wait};
use crate::stress;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

pub const USAGE: &str = "usage: cargo xtask conformance all [--if-possible]
       cargo xtask conformance checks [NAME]
       cargo xtask conformance stress [--only NAME] [--seconds N] [--keep]
       cargo xtask conformance h2spec [--report]
       cargo xtask conformance grpc [--report]
       cargo xtask conformance websocket [--report]
       cargo xtask conformance SUITE [--run TEST] [--keep] [--report]

  all               h2spec, grpc, websocket, gateway-api, ingress and checks, one after the other
  --if-possible     passes, and says why, where no namespaces can be made or the bed's parts can't be had
  h2spec            HTTP/2 frame by frame; needs Go, but no bed
  grpc              clients and servers of gRPC in Go and Python around `narthex run`; no bed
  websocket         the Autobahn cases, directly and through `narthex run`; no bed. With --report, also the long ones
  gateway-api       the public suite of Gateway API
  ingress           the scenarios of ingress-controller-conformance

  --pool            the Gateway API suite with addresses of a pool instead of a Service for each Gateway
  --suite VERSION   version of the Gateway API suite (default 1.7.0)
  --run TEST        one test instead of all
  --keep            leaves the bed up afterwards, for a look
  --report          writes the report to conformance/results/SUITE/
  --only NAME       one scenario instead of all: pods, leader-killed, leader-frozen, apiserver-killed,
                    etcd-restarted, routes, certificates, rolling-restart, scale
  --seconds N       length of a scenario, where it is free (default 60)";

/// The default installation, as the bed wants it: Gateways have addresses of a pool.
const INSTALL: &str = "conformance/bed/install";
/// One where Gateways have Services.
const INSTALL_SERVICES: &str = "conformance/bed/install-services";

/// What the words ask for.
#[derive(Default)]
struct Wanted {
    suite: Option<String>,
    test: Option<String>,
    keep: bool,
    report: bool,
    pool: bool,
}

impl Wanted {
    fn read<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut wanted = Self::default();
        while let Some(word) = words.next() {
            match word {
                "--keep" => wanted.keep = true,
                "--report" => wanted.report = true,
                "--pool" => wanted.pool = true,
                "--suite" => wanted.suite = words.next().map(str::to_owned),
                "--run" => wanted.test = words.next().map(str::to_owned),
                _ => return Err(format!("{word}: unknown\n{USAGE}")),
            }
        }
        Ok(wanted)
    }
}

/// `cargo xtask conformance SUITE …`.
pub fn run(words: &[String]) -> Outcome {
    let mut words = words.iter().map(String::as_str);
    match words.next() {
        Some("gateway-api") => gateway_api::run(&Wanted::read(words)?),
        Some("h2spec") => h2spec::run(&Wanted::read(words)?),
        Some("grpc") => grpc::run(&Wanted::read(words)?),
        Some("websocket") => websocket::run(&Wanted::read(words)?),
        Some("ingress") => ingress::run(&Wanted::read(words)?),
        Some("stress") => stress::run(words),
        Some("checks") => checks(words.next()),
        Some("all") => match words.next() {
            None => all(),
            Some("--if-possible") => match bed::possible() {
                Ok(()) => all(),
                Err(why) => {
                    eprintln!("conformance: NOT RUN, as this machine can't have the bed: {why}");
                    Ok(())
                }
            },
            Some(word) => Err(format!("{word}: unknown\n{USAGE}")),
        },
        _ => Err(USAGE.into()),
    }
}

/// What must pass before a change lands.
fn all() -> Outcome {
    h2spec::run(&Wanted::default())?;
    grpc::run(&Wanted::default())?;
    websocket::run(&Wanted::default())?;
    gateway_api::run(&Wanted::default())?;
    ingress::run(&Wanted::default())?;
    checks(None)
}

/// A fresh bed with the CRDs of a version and Narthex in it, for one suite.
fn in_bed(crds: &str, install: &str, wanted: &Wanted, suite: impl FnOnce(&Bed) -> Outcome) -> Outcome {
    let _ = Bed::at_home().down();
    let bed = bed::up(1, crds)?;
    let outcome = self::install(&bed, install).and_then(|()| suite(&bed));
    if wanted.keep {
        eprintln!("the bed is up; cargo xtask bed down ends it");
        return outcome;
    }
    outcome.and(bed.down())
}

/// Our own checks on a real API server: one by its name, or all of them, those of Services for Gateways in a bed of their
/// own.
fn checks(name: Option<&str>) -> Outcome {
    let of_services = |name: &str| name.starts_with("service_");
    for (set, install) in [("pool", INSTALL), ("services", INSTALL_SERVICES)] {
        if name.is_some_and(|name| of_services(name) != (set == "services")) {
            continue;
        }
        in_bed(INSTALLED, install, &Wanted::default(), |bed| {
            let mut command = bed.command("bash")?;
            let script = root().join("conformance/checks/run.sh");
            wait(command.arg(script).arg(set).args(name).stdout(Stdio::null()))
        })?;
    }
    Ok(())
}

/// Installs Narthex and waits until it serves.
pub fn install(bed: &Bed, kustomization: &str) -> Outcome {
    let started = Instant::now();
    for words in [
        &["apply", "-k", kustomization][..],
        &[
            "-n",
            "narthex-system",
            "rollout",
            "status",
            "deployment/narthex",
            "--timeout=60s",
        ],
        &[
            "wait",
            "--for=condition=Accepted",
            "gatewayclass/narthex",
            "--timeout=60s",
        ],
    ] {
        wait(
            bed.command("kubectl")?
                .args(words)
                .current_dir(root())
                .stdout(Stdio::null()),
        )?;
    }
    eprintln!(
        "conformance: Narthex installed and ready in {:.1?}",
        started.elapsed()
    );
    Ok(())
}

/// Runs a suite's program to its end, with its output in a log; its exit code decides.
fn run_suite(bed: &Bed, name: &str, command: &mut Command) -> Outcome {
    let log = bed.dir().join("suite.log");
    let file = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let errors = file.try_clone().map_err(|error| error.to_string())?;
    eprintln!(
        "conformance: running the suite {name}; its log: {}",
        log.display()
    );
    let started = Instant::now();
    let outcome = wait(command.stdout(file).stderr(errors));
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    summarize(&text);
    eprintln!("conformance: {:.0?}", started.elapsed());
    outcome.map_err(|_| format!("the suite failed; see {}", log.display()))
}

/// Prints the counts, and the tests that failed.
fn summarize(log: &str) {
    // The tests that count are the first level under Go's own.
    let of = |verdict: &str| {
        log.lines()
            .filter_map(|line| {
                line.strip_prefix("    --- ")?
                    .strip_prefix(verdict)?
                    .strip_prefix(": ")
            })
            .filter_map(|rest| rest.split(' ').next())
            .map(|test| test.trim_start_matches("TestConformance/"))
            .collect::<Vec<_>>()
    };
    let failed = of("FAIL");
    for test in &failed {
        eprintln!("conformance: FAILED {test}");
    }
    eprintln!(
        "conformance: {} passed, {} failed, {} skipped (features that are not claimed)",
        of("PASS").len(),
        failed.len(),
        of("SKIP").len()
    );
}

/// The folder of a suite's reports.
fn results(suite: &str) -> Result<PathBuf, String> {
    let folder = results_folder()?.join(suite);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// The folder of all reports.
fn results_folder() -> Result<PathBuf, String> {
    let folder = root().join("conformance/results");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// The version that is tested: the tag, or the commit.
fn version() -> String {
    let described = Command::new("git")
        .args(["describe", "--tags", "--always", "--dirty"])
        .current_dir(root())
        .output();
    let described = described.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    described.unwrap_or_else(|_| env!("CARGO_PKG_VERSION").into())
}

/// The profile that Narthex is built with.
fn profile() -> String {
    std::env::var("NARTHEX_PROFILE").unwrap_or_else(|_| "dev".into())
}

/// Year, month and day, UTC (after Howard Hinnant's `civil_from_days`).
fn date(time: SystemTime) -> String {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let days = (seconds / 86_400).cast_signed() + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_have_dates() {
        let day = |days: u64| date(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400));
        assert_eq!(
            [day(0), day(59), day(11_016), day(20_783)],
            ["1970-01-01", "1970-03-01", "2000-02-29", "2026-11-26"]
        );
    }
}
