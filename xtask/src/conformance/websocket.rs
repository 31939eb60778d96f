//! WebSockets: the Autobahn cases against an echo server directly and through `narthex run` on loopback, a set of our own over
//! HTTP/2, and what changes and a drain do to open ones. Needs Go and Python, and nothing else of the bed.

use super::grpc::{Line, ask, lines, table, verdict};
use super::{Parts, Wanted, date, profile, results_folder, version};
use crate::Outcome;
use crate::bed::parts::narthex;
use crate::run::root;
use std::fmt::Write as _;
use std::process::Command;
use std::time::SystemTime;

pub(super) fn run(wanted: &Wanted) -> Outcome {
    if wanted.suite.is_some() || wanted.test.is_some() || wanted.keep {
        return Err("websocket has no options but --report".into());
    }
    let parts = Parts::of_go()?;
    let echo = parts.websocket_echo()?;
    let packages = parts.python(FOLDER)?;
    let text = ask(Command::new("python3")
        .arg(root().join(FOLDER).join("run.py"))
        .arg(narthex()?)
        .arg(echo)
        .arg(if wanted.report { "all" } else { "short" })
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1"))?;
    let lines = lines(&text);
    if wanted.report {
        let file = results_folder()?.join("websocket.md");
        std::fs::write(&file, report(&lines)).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    verdict("websocket", &lines, FEWEST)
}

fn report(lines: &[Line<'_>]) -> String {
    let mut text = String::from("# WebSockets\n\n");
    let _ = writeln!(
        text,
        "`NARTHEX_PROFILE={} cargo xtask conformance websocket --report`, {}, Narthex {}: the Autobahn cases as kosoku 0.1.0 \
         runs\nthem, over HTTP/1.1, against an [echo server](../websocket/main.go) directly and through the gateway; each \
         must come to the same.\nThen a [set of our own](../websocket/run.py) over HTTP/2 (RFC 8441), and what happens to open \
         WebSockets.\n",
        profile(),
        date(SystemTime::now()),
        version(),
    );
    text += &table(lines);
    text += "\n| check | |\n|---|---|\n";
    for line in lines {
        let told = if line.good { line.told } else { "**failed**" };
        let _ = writeln!(text, "| {}: {} | {told} |", line.group, line.name);
    }
    text
}

const FOLDER: &str = "conformance/websocket";
/// Checks that a run has at least; fewer, and it broke off.
const FEWEST: usize = 30;
