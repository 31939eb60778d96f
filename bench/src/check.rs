//! Holds our load generator against `wrk`: both straight at the origin, on the other CPU. If ours were much slower or much
//! dearer, its own cost would blur what proxies cost.

use crate::bench::Bench;
use crate::load::{Client, Load, Until};
use crate::process::{Process, Start, installed};
use crate::target::number;
use std::time::{Duration, Instant};

/// Lines to print: requests per second and the load's own CPU time per request, of both.
pub fn run(bench: &Bench) -> Result<Vec<String>, String> {
    if !installed("wrk") {
        return Err("not checked: wrk is not installed".into());
    }
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let mut client = Client::start_on("0", bench, &Load::plain(bench.origin()))?;
    client.window(Until::Elapsed(bench.window() / 4))?;
    for round in 1..=bench.rounds() {
        bench.progress(format_args!("check: round {round} of {}", bench.rounds()));
        let before = client.cpu_seconds();
        let outcome = client.window(Until::Elapsed(bench.window()))?;
        let spent = client.cpu_seconds() - before;
        let answered = outcome.answered as f64;
        ours.push((answered / outcome.elapsed.as_secs_f64(), spent * 1e6 / answered));
        theirs.push(wrk(bench)?);
    }
    let median = |of: &[(f64, f64)], part: fn(&(f64, f64)) -> f64| {
        crate::figure::median(&of.iter().map(part).collect::<Vec<_>>())
    };
    let line = |name: &str, of: &[(f64, f64)]| {
        format!(
            "{name:<6}{:>10} requests per second {:>8} µs of its own CPU time per request",
            number(median(of, |round| round.0)),
            number(median(of, |round| round.1))
        )
    };
    let ratio = |part: fn(&(f64, f64)) -> f64| median(&ours, part) / median(&theirs, part);
    // The cost, not the rate: the rate is the origin's, and whatever else the machine did went into it.
    let (rate, cost) = (ratio(|round| round.0), ratio(|round| round.1));
    let verdict = if cost <= 1.5 { "agrees" } else { "DIFFERS" };
    Ok(vec![
        line("ours", &ours),
        line("wrk", &theirs),
        format!(
            "{verdict}: ours takes {cost:.2} times the CPU time of wrk and sends {rate:.2} times as much (up to 1.50 times the CPU time is agreement)"
        ),
    ])
}

/// Requests per second, and CPU time per request over the middle of a run.
fn wrk(bench: &Bench) -> Result<(f64, f64), String> {
    // wrk counts in whole seconds.
    let seconds = bench.window().as_secs().max(1);
    let log = bench.scratch.path().join("wrk.log");
    let command = [
        "wrk".to_owned(),
        "-t1".into(),
        "-c64".into(),
        format!("-d{seconds}s"),
        format!("http://{}/bench", bench.origin()),
    ];
    let start = Start {
        cpus: Some("0"),
        ..Start::default()
    };
    let mut process = Process::start(&start, &command, &log)?;
    std::thread::sleep(Duration::from_millis(200));
    let (began, before) = (Instant::now(), process.cpu_time().total);
    std::thread::sleep(Duration::from_millis(600));
    let share = (process.cpu_time().total - before) / began.elapsed().as_secs_f64();
    process.wait(Duration::from_secs(seconds + 10))?;
    let text = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
    let rate = requests_per_second(&text).ok_or_else(|| format!("wrk printed no rate:\n{text}"))?;
    Ok((rate, share * 1e6 / rate))
}

fn requests_per_second(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_rate_is_found_in_what_wrk_prints() {
        let text =
            "  65403 requests in 1.00s, 13.2MB read\nRequests/sec:  65368.40\nTransfer/sec:     13.21MB\n";
        assert_eq!(super::requests_per_second(text), Some(65_368.40));
    }
}
