//! The scenarios of ingress-controller-conformance, as `conformance/ingress` has them.

use super::{INSTALLED, Parts, Wanted, in_bed, results, run_suite, version};
use crate::Outcome;

pub(super) fn run(wanted: &Wanted) -> Outcome {
    if wanted.suite.is_some() {
        return Err("--suite: the scenarios for Ingress have one version only".into());
    }
    if wanted.report && wanted.test.is_some() {
        return Err("--report wants all scenarios\nhint: leave out --run".into());
    }
    let program = Parts::ready()?.suite("conformance/ingress", "ingress.test")?;
    in_bed(INSTALLED, "conformance/ingress/install", wanted, |bed| {
        let mut command = bed.command(&program.to_string_lossy())?;
        command.args(["-test.timeout=20m", "-test.v", "--ingress-class=narthex"]);
        if let Some(test) = &wanted.test {
            command.arg(format!("-test.run={test}"));
        }
        if wanted.report {
            let file = results("ingress")?.join("scenarios.yaml");
            command
                .arg(format!("--report-output={}", file.display()))
                .arg(format!("--version={}", version()));
        }
        run_suite(bed, "ingress", &mut command)
    })
}
