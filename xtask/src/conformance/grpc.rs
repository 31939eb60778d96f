//! gRPC: clients and servers of others around `narthex run` on loopback. Needs Go and Python, and nothing else of the bed.

use super::{Parts, Wanted, date, profile, results_folder, version};
use crate::Outcome;
use crate::bed::parts::narthex;
use crate::run::root;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// What the program says of a check.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub good: bool,
    pub group: &'a str,
    pub name: &'a str,
    /// What was measured, or why it failed.
    pub told: &'a str,
}

pub(super) fn run(wanted: &Wanted) -> Outcome {
    if wanted.suite.is_some() || wanted.test.is_some() || wanted.keep {
        return Err("grpc has no options but --report".into());
    }
    let parts = Parts::of_go()?;
    let program = parts.grpc()?;
    let packages = parts.python(FOLDER)?;
    let text = ask(Command::new(program)
        .arg("--narthex")
        .arg(narthex()?)
        .args(["--python", "python3", "--peer"])
        .arg(root().join(FOLDER).join("peer.py"))
        .env("PYTHONPATH", packages))?;
    let lines = lines(&text);
    for line in lines.iter().filter(|line| line.group == "load") {
        eprintln!("conformance: {}: {}", line.name, line.told);
    }
    if wanted.report {
        let file = results_folder()?.join("grpc.md");
        std::fs::write(&file, report(&lines)?).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    verdict("grpc", &lines, FEWEST)
}

/// Runs a program of checks and gives what it says. Its exit code says whether all passed, as its lines do.
pub(super) fn ask(command: &mut Command) -> Result<String, String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    match output.status.code() {
        Some(0 | 1) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        _ => Err(format!("{}: {}", command.get_program().display(), output.status)),
    }
}

/// Reads them.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    text.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<Line<'_>> {
    let mut parts = text.splitn(4, '\t');
    Some(Line {
        good: parts.next()? == "ok",
        group: parts.next()?,
        name: parts.next()?,
        told: parts.next()?,
    })
}

/// All of them passed, and none is missing.
pub(super) fn verdict(suite: &str, lines: &[Line<'_>], fewest: usize) -> Outcome {
    let good = lines.iter().filter(|line| line.good).count();
    eprintln!("conformance: {suite}: {good} of {} checks passed", lines.len());
    let mut problem = String::new();
    for line in lines.iter().filter(|line| !line.good) {
        // Writing to a String does not fail.
        let _ = writeln!(problem, "failed: {}: {}: {}", line.group, line.name, line.told);
    }
    if lines.len() < fewest {
        let _ = writeln!(problem, "{suite} ran {} checks only", lines.len());
    }
    if problem.is_empty() { Ok(()) } else { Err(problem) }
}

/// Groups in the order in which they came, with how many of each passed and how many there were.
pub(super) fn table(lines: &[Line<'_>]) -> String {
    let mut groups: BTreeMap<usize, (&str, usize, usize)> = BTreeMap::new();
    for line in lines {
        let known = groups.iter().find(|(_, row)| row.0 == line.group);
        let at = known.map_or(groups.len(), |(at, _)| *at);
        let row = groups.entry(at).or_insert((line.group, 0, 0));
        row.1 += usize::from(line.good);
        row.2 += 1;
    }
    let mut text = String::from("| group | checks | passed |\n|---|---|---|\n");
    for (group, good, all) in groups.into_values() {
        let _ = writeln!(text, "| {group} | {all} | {good} |");
    }
    text
}

fn report(lines: &[Line<'_>]) -> Result<String, String> {
    let modules = read(&root().join(FOLDER).join("go.mod"))?;
    let packages = read(&root().join(FOLDER).join("requirements.txt"))?;
    let grpc_go = modules
        .lines()
        .find_map(|line| line.trim().strip_prefix("google.golang.org/grpc "));
    let mut text = String::from("# gRPC, between clients and servers of others\n\n");
    let _ = writeln!(
        text,
        "`NARTHEX_PROFILE={} cargo xtask conformance grpc --report`, {}, Narthex {}, grpc-go {}, Python {}: the\n\
         [interop cases](https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md) that need no account \
         anywhere, by the client\nof grpc-go and by [one of Python](../grpc/peer.py), and [more](../grpc). Narthex, clients and \
         servers share 2 CPUs, on loopback.\n",
        profile(),
        date(SystemTime::now()),
        version(),
        grpc_go.unwrap_or("?"),
        packages.split_whitespace().collect::<Vec<_>>().join(", "),
    );
    text += &table(lines);
    text += "\nWhat was found besides:\n\n| check | |\n|---|---|\n";
    let plain = |line: &&Line<'_>| !line.group.contains(" to ");
    for line in lines.iter().filter(plain) {
        let told = match (line.good, line.group) {
            (false, _) => "**failed**",
            (true, "endpoints" | "load") => line.told,
            (true, _) => "passed",
        };
        let _ = writeln!(text, "| {}: {} | {told} |", line.group, line.name);
    }
    Ok(text)
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

const FOLDER: &str = "conformance/grpc";
/// Checks that a run has at least; fewer, and it broke off.
const FEWEST: usize = 145;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_counted_by_group() {
        let text = "ok\ta\tx\t1 ms\nnoise\nFAIL\tb\ty\twhy\tthen\nok\ta\tz\t2 ms\n";
        let lines = lines(text);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].told, "why\tthen");
        assert!(table(&lines).ends_with("| a | 2 | 2 |\n| b | 1 | 0 |\n"));
        assert!(verdict("s", &lines, 1).is_err());
        assert!(verdict("s", &lines[..1], 1).is_ok() && verdict("s", &lines[..1], 2).is_err());
    }
}
