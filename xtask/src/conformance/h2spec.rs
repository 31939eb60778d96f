//! h2spec: HTTP/2 frame by frame, against `narthex run` on loopback. Needs Go, and nothing else of the bed.

use super::{Parts, Wanted, date, profile, results_folder, version};
use crate::Outcome;
use crate::bed::parts::narthex;
use crate::run::root;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// The suite's cases by port, and why each that fails is meant to.
type Reasons = BTreeMap<Case, String>;
/// Port, section and title.
type Case = (String, String, String);

pub(super) fn run(wanted: &Wanted) -> Outcome {
    if wanted.suite.is_some() || wanted.test.is_some() || wanted.keep {
        return Err("h2spec has no options but --report".into());
    }
    let program = Parts::of_go()?.h2spec()?;
    let reasons = exceptions(&read(&folder().join("exceptions"))?)?;
    let narthex = Narthex::start(&narthex()?)?;
    let mut failed = BTreeSet::new();
    let mut passed = BTreeMap::new();
    for (name, port) in [("plain", narthex.http), ("tls", narthex.https)] {
        let cases = ask(&program, name, port)?;
        let good = cases.iter().filter(|(_, good)| *good).count();
        eprintln!(
            "conformance: h2spec, {name}: {good} of {} cases passed",
            cases.len()
        );
        passed.insert(name, (good, cases.len()));
        failed.extend(cases.into_iter().filter(|(_, good)| !good).map(|(case, _)| case));
    }
    drop(narthex);
    if wanted.report {
        let file = results_folder()?.join("h2spec.md");
        std::fs::write(&file, report(&passed, &reasons))
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    verdict(&failed, &reasons)
}

/// What failed must be what was meant to.
fn verdict(failed: &BTreeSet<Case>, reasons: &Reasons) -> Outcome {
    let mut problem = String::new();
    // Writing to a String does not fail.
    for (port, section, title) in failed.iter().filter(|case| !reasons.contains_key(case)) {
        let _ = writeln!(problem, "failed: {port} {section}: {title}");
    }
    for (port, section, title) in reasons.keys().filter(|case| !failed.contains(case)) {
        let _ = writeln!(
            problem,
            "passes, though conformance/h2spec/exceptions has it: {port} {section}: {title}"
        );
    }
    if problem.is_empty() { Ok(()) } else { Err(problem) }
}

fn folder() -> std::path::PathBuf {
    root().join("conformance/h2spec")
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Narthex while it is tested. It ends when dropped.
struct Narthex {
    child: Child,
    http: u16,
    https: u16,
}

impl Narthex {
    fn start(program: &Path) -> Result<Self, String> {
        let [http, https, admin] = free_ports()?;
        let mut command = Command::new(program);
        command
            .args(["run", "--echo", "--bind", "127.0.0.1"])
            .args([
                "--http-port",
                &http.to_string(),
                "--https-port",
                &https.to_string(),
            ])
            .args(["--admin-address", &format!("127.0.0.1:{admin}")])
            .arg(folder().join("objects.yaml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let narthex = Self { child, http, https };
        let deadline = Instant::now() + START;
        while [http, https]
            .iter()
            .any(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_err())
        {
            if Instant::now() > deadline {
                return Err(format!("narthex run does not listen on {http} and {https}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(narthex)
    }
}

impl Drop for Narthex {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every case on a port, and whether it passed.
fn ask(program: &Path, name: &str, port: u16) -> Result<Vec<(Case, bool)>, String> {
    let report = std::env::temp_dir().join(format!("narthex-h2spec-{}-{name}.xml", std::process::id()));
    let mut command = Command::new(program);
    command
        .args([
            "--strict",
            "--timeout",
            "5",
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ])
        .arg("--junit-report")
        .arg(&report)
        .stdout(Stdio::null());
    if name == "tls" {
        command.args(["--tls", "--insecure"]);
    }
    // Its exit code says whether all passed; the report says which.
    command
        .status()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let text = read(&report)?;
    let _ = std::fs::remove_file(&report);
    let cases = cases(name, &text);
    if cases.len() < FEWEST {
        return Err(format!("h2spec ran {} cases only on {name}", cases.len()));
    }
    Ok(cases)
}

/// Ports that nobody had a moment ago.
fn free_ports() -> Result<[u16; 3], String> {
    let mut ports = [0; 3];
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        *port = listener.local_addr().map_err(|error| error.to_string())?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Reads a report in JUnit's form, as h2spec writes it: an element per line.
fn cases(port: &str, report: &str) -> Vec<(Case, bool)> {
    let mut cases: Vec<(Case, bool)> = Vec::new();
    for line in report.lines() {
        if line.trim_start().starts_with("<testcase ") {
            let value = |name: &str| {
                let rest = line.split(&format!(" {name}=\"")).nth(1).unwrap_or_default();
                unescape(rest.split('"').next().unwrap_or_default())
            };
            cases.push(((port.into(), value("package"), value("classname")), true));
        }
        if (line.contains("<failure") || line.contains("<error") || line.contains("<skipped"))
            && let Some((_, good)) = cases.last_mut()
        {
            *good = false;
        }
    }
    cases
}

fn unescape(text: &str) -> String {
    text.replace("&#39;", "'")
        .replace("&#34;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// Reads the list of cases that are meant to fail.
fn exceptions(text: &str) -> Result<Reasons, String> {
    let mut reasons = Reasons::new();
    let mut last = None;
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        if line.starts_with(' ') {
            let reason: &mut String = last
                .as_ref()
                .and_then(|case| reasons.get_mut(case))
                .ok_or_else(|| format!("exceptions: a reason of nothing: {line}"))?;
            reason.push_str(if reason.is_empty() { "" } else { " " });
            reason.push_str(line.trim());
            continue;
        }
        let case = line.split_once(": ").and_then(|(place, title)| {
            let (port, section) = place.split_once(' ')?;
            Some((port.to_owned(), section.to_owned(), title.to_owned()))
        });
        let case = case.ok_or_else(|| format!("exceptions: not PORT SECTION: TITLE: {line}"))?;
        reasons.insert(case.clone(), String::new());
        last = Some(case);
    }
    match reasons.iter().find(|(_, reason)| reason.is_empty()) {
        Some(((port, section, title), _)) => {
            Err(format!("exceptions: without a reason: {port} {section}: {title}"))
        }
        None => Ok(reasons),
    }
}

fn report(passed: &BTreeMap<&str, (usize, usize)>, reasons: &Reasons) -> String {
    let mut text = String::from("# HTTP/2, frame by frame\n\n");
    let profile = profile();
    let _ = writeln!(
        text,
        "`NARTHEX_PROFILE={profile} cargo xtask conformance h2spec --report`, {}, Narthex {}, h2spec 2.2.1: all cases of its\n\
         groups `generic`, `http2` and `hpack`, with `--strict`. Narthex runs with the objects of\n\
         [conformance/h2spec](../h2spec/objects.yaml) on loopback and forwards to an echo backend of HTTP/1.1.\n",
        date(SystemTime::now()),
        version(),
    );
    text += "| port | cases | passed | fail, and are meant to |\n|---|---|---|---|\n";
    for (name, (good, all)) in passed {
        let meant = reasons.keys().filter(|(port, ..)| port == name).count();
        let name = match *name {
            "tls" => "TLS, by ALPN",
            _ => "plain, by prior knowledge",
        };
        let _ = writeln!(text, "| {name} | {all} | {good} | {meant} |");
    }
    text += "\nWhat is meant to fail ([list](../h2spec/exceptions)); the run also fails if one of these passes:\n\n";
    for ((port, section, title), reason) in reasons {
        let _ = writeln!(text, "- {port}, {section}, “{title}”. {reason}");
    }
    text
}

/// How long Narthex may take to listen.
const START: Duration = Duration::from_secs(20);
/// Cases that a run of the suite has at least; fewer, and it broke off.
const FEWEST: usize = 146;

#[cfg(test)]
mod tests {
    use super::*;

    fn case(port: &str, section: &str, title: &str) -> Case {
        (port.into(), section.into(), title.into())
    }

    #[test]
    fn a_report_is_read() {
        let report = "<testsuites>\n  <testsuite name=\"x\" failures=\"1\" errors=\"0\">\n    \
                      <testcase package=\"http2/3.5\" classname=\"Sends &#34;a&#34;\" time=\"0.1\"></testcase>\n    \
                      <testcase package=\"http2/4\" classname=\"b\" time=\"0.1\">\n      <failure>no</failure>\n    </testcase>";
        let expected = [
            (case("tls", "http2/3.5", "Sends \"a\""), true),
            (case("tls", "http2/4", "b"), false),
        ];
        assert_eq!(cases("tls", report), expected);
    }

    #[test]
    fn what_fails_must_be_meant_to_and_what_is_meant_to_must_fail() {
        let reasons = exceptions("# so\n\nplain http2/3.5: a: b\n  because\n  of it\n").unwrap();
        let meant = case("plain", "http2/3.5", "a: b");
        assert_eq!(reasons[&meant], "because of it");
        let failed = BTreeSet::from([meant.clone()]);
        assert!(verdict(&failed, &reasons).is_ok());
        assert!(verdict(&BTreeSet::new(), &reasons).is_err());
        assert!(verdict(&BTreeSet::from([meant, case("tls", "x", "y")]), &reasons).is_err());
        assert!(exceptions("plain http2/3.5: a\n").is_err() && exceptions("  x\n").is_err());
    }
}
