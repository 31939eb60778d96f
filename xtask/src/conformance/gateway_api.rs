//! The public Gateway API suite.

use super::{INSTALL, INSTALL_SERVICES, INSTALLED, Parts, Wanted, in_bed, results, run_suite, version};
use crate::Outcome;
use crate::bed::Bed;
use std::path::Path;

pub(super) fn run(wanted: &Wanted) -> Outcome {
    let suite = wanted.suite.as_deref().unwrap_or(INSTALLED);
    let program = Parts::ready()?.suite(
        &format!("conformance/gateway-api/v{suite}"),
        &format!("gateway-api-{suite}.test"),
    )?;
    let install = if wanted.pool { INSTALL } else { INSTALL_SERVICES };
    in_bed(suite, install, wanted, |bed| tests(bed, &program, suite, wanted))
}

/// The suite, with exactly the features that the GatewayClass claims.
fn tests(bed: &Bed, program: &Path, suite: &str, wanted: &Wanted) -> Outcome {
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
        "--conformance-profiles=GATEWAY-HTTP,GATEWAY-GRPC,GATEWAY-TLS,GATEWAY-TCP,GATEWAY-UDP",
        "--unusable-address=198.18.199.250",
    ]);
    // Of the pool, or of the bed's load balancer.
    command.arg(if wanted.pool {
        "--usable-address=198.18.207.250"
    } else {
        "--usable-address=198.18.215.250"
    });
    command.arg(format!("--supported-features={claimed}"));
    if let Some(test) = &wanted.test {
        command.arg(format!("--run-test={test}"));
    }
    if wanted.report {
        let file = results("gateway-api")?.join(format!("v{suite}.yaml"));
        command
            .arg(format!("--report-output={}", file.display()))
            .args(["--organization=narthex", "--project=narthex"])
            .args(["--url=https://narthex.dev", "--contact=https://narthex.dev"])
            .arg(format!("--version={}", version()));
    }
    run_suite(bed, suite, &mut command)
}
