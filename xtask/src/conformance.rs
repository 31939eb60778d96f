//! Public conformance suites against Narthex in the bed, as `deploy/kustomize` installs it.

use crate::Outcome;
use crate::bed::{self, parts::INSTALLED, parts::Parts};
use crate::run::{root, wait};
use std::process::{Command, Stdio};
use std::time::Instant;

const USAGE: &str = "usage: cargo xtask conformance checks [NAME]
       cargo xtask conformance gateway-api [--suite VERSION] [--run TEST] [--keep] [--report]

  --suite VERSION   version of the Gateway API suite (default 1.7.0)
  --run TEST        one test instead of all
  --keep            leaves the bed up afterwards, for a look
  --report          writes the report to conformance/results/gateway-api/";

/// What the words ask for.
#[derive(Default)]
struct Wanted {
    suite: Option<String>,
    test: Option<String>,
    keep: bool,
    report: bool,
}

/// `cargo xtask conformance SUITE …`.
pub fn run(words: &[String]) -> Outcome {
    let mut words = words.iter().map(String::as_str);
    match words.next() {
        Some("gateway-api") => {}
        Some("checks") => return checks(words.next()),
        _ => return Err(USAGE.into()),
    }
    let mut wanted = Wanted::default();
    while let Some(word) = words.next() {
        match word {
            "--keep" => wanted.keep = true,
            "--report" => wanted.report = true,
            "--suite" => wanted.suite = words.next().map(str::to_owned),
            "--run" => wanted.test = words.next().map(str::to_owned),
            _ => return Err(format!("{word}: unknown\n{USAGE}")),
        }
    }
    let parts = Parts::ready()?;
    let suite = wanted.suite.clone().unwrap_or_else(|| INSTALLED.into());
    let program = parts.suite(&suite)?;
    let _ = bed::Bed::at_home().down();
    let bed = bed::up(1, &suite)?;
    let outcome = install(&bed).and_then(|()| gateway_api(&bed, &program, &suite, &wanted));
    if wanted.keep {
        eprintln!("the bed is up; cargo xtask bed down ends it");
        return outcome;
    }
    outcome.and(bed.down())
}

/// Our own checks on a real API server.
fn checks(name: Option<&str>) -> Outcome {
    let _ = bed::Bed::at_home().down();
    let bed = bed::up(1, INSTALLED)?;
    let outcome = install(&bed).and_then(|()| {
        let mut command = bed.command("bash")?;
        let script = root().join("conformance/checks/run.sh");
        wait(command.arg(script).args(name).stdout(Stdio::null()))
    });
    outcome.and(bed.down())
}

/// The default installation, as users get it, and waits until it serves.
fn install(bed: &bed::Bed) -> Outcome {
    let started = Instant::now();
    for words in [
        &["apply", "-k", "conformance/bed/install"][..],
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

/// The suite, with exactly the features that the GatewayClass claims.
fn gateway_api(bed: &bed::Bed, program: &std::path::Path, suite: &str, wanted: &Wanted) -> Outcome {
    let claimed = bed
        .command("kubectl")?
        .args(["get", "gatewayclass", "narthex", "-o"])
        .arg("jsonpath={range .status.supportedFeatures[*]}{.name},{end}")
        .output()
        .map_err(|error| error.to_string())?;
    let claimed = String::from_utf8_lossy(&claimed.stdout)
        .trim_end_matches(',')
        .to_owned();
    if claimed.is_empty() {
        return Err("the GatewayClass claims no features".into());
    }
    let mut command = bed.command(&program.to_string_lossy())?;
    command.args([
        "-test.timeout=50m",
        "-test.v",
        "--gateway-class=narthex",
        "--conformance-profiles=GATEWAY-HTTP",
        "--usable-address=198.18.207.250",
        "--unusable-address=198.18.199.250",
    ]);
    command.arg(format!("--supported-features={claimed}"));
    if let Some(test) = &wanted.test {
        command.arg(format!("--run-test={test}"));
    }
    if wanted.report {
        let folder = root().join("conformance/results/gateway-api");
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        command
            .arg(format!(
                "--report-output={}",
                folder.join(format!("v{suite}.yaml")).display()
            ))
            .args(["--organization=narthex", "--project=narthex"])
            .args(["--url=https://narthex.dev", "--contact=https://narthex.dev"])
            .arg(format!("--version={}", version()));
    }
    let log = bed.dir().join("suite.log");
    let file = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let errors = file.try_clone().map_err(|error| error.to_string())?;
    eprintln!(
        "conformance: running the suite {suite}; its log: {}",
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
    // Tests of the suite are the first level under TestConformance.
    let of = |verdict: &str| {
        log.lines()
            .filter_map(|line| {
                line.strip_prefix("    --- ")?
                    .strip_prefix(verdict)?
                    .strip_prefix(": ")
            })
            .filter_map(|rest| rest.strip_prefix("TestConformance/")?.split(' ').next())
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

/// The version that is tested: the tag, or the commit.
fn version() -> String {
    let described = Command::new("git")
        .args(["describe", "--tags", "--always", "--dirty"])
        .current_dir(root())
        .output();
    let described = described.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    described.unwrap_or_else(|_| env!("CARGO_PKG_VERSION").into())
}
