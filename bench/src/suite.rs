//! `suite`: runs the scenarios, prints the tables, and writes what was asked for.

mod options;

use crate::bench::Bench;
use crate::certificate::Certificate;
use crate::peer::{self, NARTHEX, Peer, install};
use crate::process::{Scratch, installed};
use crate::report::{self, Done, Report, machine};
use crate::scenario::SCENARIOS;
use crate::{check, cleanup};
use options::Options;
use std::path::Path;
use std::time::Instant;

/// `suite [--quick] [--only a,b] …`
pub fn run(words: &[String]) -> Result<(), String> {
    let Some(options) = Options::parse(words)? else {
        print!("{}", options::HELP);
        return Ok(());
    };
    if options.list {
        for scenario in SCENARIOS {
            println!("{}  {}", scenario.key, scenario.title);
        }
        println!("check  our load generator against wrk, on the same origin");
        return Ok(());
    }
    for tool in ["taskset", "kill"] {
        if !installed(tool) {
            return Err(format!(
                "{tool} is not installed (Debian packages util-linux, procps)"
            ));
        }
    }
    cleanup::on_signals()?;
    let began = Instant::now();
    let found = install::find_all(options.install)?;
    for sentence in &found.missing {
        eprintln!("{sentence}");
    }
    let scratch = Scratch::new("suite")?;
    let bench = Bench {
        quick: options.quick,
        began,
        certificate: Certificate::new(&scratch)?,
        origin: peer::start_origin(&scratch)?,
        peers: found.peers,
        scratch,
    };
    let mut report = Report {
        machine: machine::describe(),
        proxies: report::proxies(&bench),
        missing: found.missing,
        quick: options.quick,
        ..Report::default()
    };
    if options.wants("check") {
        eprintln!("check: our load generator against wrk");
        report.check = check::run(&bench).unwrap_or_else(|problem| vec![problem]);
    }
    let mut failed = Vec::new();
    for scenario in SCENARIOS.iter().filter(|scenario| options.wants(scenario.key)) {
        eprintln!("({}) {}", scenario.key, scenario.title);
        let start = Instant::now();
        match (scenario.run)(&bench) {
            Ok(section) => report.done.push(Done { scenario, section }),
            Err(problem) => {
                eprintln!("({}) {problem}", scenario.key);
                // What a peer gets wrong voids its comparison; everything else is for us to mend.
                let by_peer = |peer: &Peer| peer.name != NARTHEX && problem.starts_with(peer.name);
                if !bench.peers.iter().any(by_peer) {
                    failed.push(scenario.key);
                }
                report.failed.push((scenario.key, problem));
            }
        }
        eprintln!("({}) took {:.0?}", scenario.key, start.elapsed());
    }
    report.took = began.elapsed();
    print!("{}", report::table::render(&report));
    write(&options, &report)?;
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "no figures, and not by a peer's fault: {}",
            failed.join(", ")
        ))
    }
}

fn write(options: &Options, report: &Report) -> Result<(), String> {
    let save = |path: &Path, text: &str| {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = &options.json {
        save(path, &report::json::render(report)?)?;
    }
    if let Some(path) = &options.svg {
        save(path, &report::svg::render(report))?;
    }
    if options.save {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("results")
            .join(&report.machine.date);
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        save(&folder.join("results.json"), &report::json::render(report)?)?;
        save(&folder.join("chart.svg"), &report::svg::render(report))?;
        save(&folder.join("README.md"), &report::markdown::render(report))?;
        eprintln!("written to {}", folder.display());
    }
    Ok(())
}
