//! The page of a saved run: the machine, a table per metric, the targets, and a sentence wherever a peer is ahead.

use super::rows::{Block, blocks};
use super::{Done, Report};
use std::fmt::Write as _;

/// As Markdown text.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, report);
    text
}

fn write_all(text: &mut String, report: &Report) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(text, "# Narthex and its peers, {}\n", machine.date)?;
    writeln!(
        text,
        "Written by `cargo xtask bench{} --save` in {:.0} minutes. Method: [README](../../README.md). Figures for machines:\n\
         [results.json](results.json).\n",
        if report.quick { " --quick" } else { "" },
        report.took.as_secs_f64() / 60.0
    )?;
    writeln!(text, "![Bars of each metric that has a target](chart.svg)\n")?;
    writeln!(
        text,
        "Machine: {} CPUs, {}; Linux {}; {} MiB of memory; hardware counters: {}.\n",
        machine.processors,
        machine.processor,
        machine.kernel,
        machine.memory_mib,
        if machine.counters { "yes" } else { "no" }
    )?;
    writeln!(text, "| proxy | version |\n|---|---|")?;
    for (name, version) in &report.proxies {
        writeln!(text, "| {name} | {version} |")?;
    }
    for sentence in &report.missing {
        writeln!(text, "\n{sentence}")?;
    }
    targets(text, report)?;
    if !report.check.is_empty() {
        writeln!(
            text,
            "\n## Our load generator against wrk, straight at the origin\n\n```"
        )?;
        for line in &report.check {
            writeln!(text, "{line}")?;
        }
        writeln!(text, "```")?;
    }
    for done in &report.done {
        scenario(text, done)?;
    }
    for (key, problem) in &report.failed {
        let first = problem.lines().next().unwrap_or_default();
        writeln!(text, "\n## ({key})\n\nNo figures: {first}")?;
    }
    Ok(())
}

/// All targets in one table.
fn targets(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        text,
        "\n## Targets\n\n| | metric | target | found | |\n|---|---|---|---|---|"
    )?;
    for done in &report.done {
        for block in blocks(done) {
            for verdict in &block.verdicts {
                writeln!(
                    text,
                    "| ({}) | {} | {} | {} | {} |",
                    done.scenario.key,
                    block.metric.name,
                    verdict.target,
                    verdict.found,
                    if verdict.met { "met" } else { "**missed**" }
                )?;
            }
        }
    }
    Ok(())
}

fn scenario(text: &mut String, done: &Done) -> std::fmt::Result {
    writeln!(text, "\n## ({}) {}", done.scenario.key, done.scenario.title)?;
    for block in blocks(done) {
        table(text, &block)?;
    }
    if !done.section.notes.is_empty() {
        writeln!(text)?;
    }
    for note in &done.section.notes {
        writeln!(text, "- {note}")?;
    }
    Ok(())
}

fn table(text: &mut String, block: &Block) -> std::fmt::Result {
    let rounds = match block.rounds {
        1 => "one run".into(),
        rounds => format!("median of {rounds} rounds"),
    };
    writeln!(
        text,
        "\n**{}**, {} ({}; {rounds})\n\n| | value | spread | to HAProxy | to the relay |\n|---|--:|--:|--:|--:|",
        block.metric.name, block.metric.unit, block.method
    )?;
    for row in &block.rows {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            row.proxy, row.value, row.spread, row.to_haproxy, row.to_relay
        )?;
    }
    if let Some(behind) = &block.behind {
        writeln!(text, "\n{behind}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample_report;

    #[test]
    fn a_page_says_who_is_ahead_and_whether_targets_are_met() {
        let text = render(&sample_report());
        assert!(text.contains("| (a) | CPU time per request | <= 0.90x haproxy | 0.80x | met |"));
        assert!(text.contains("Ahead of narthex here: nginx"));
        assert!(text.contains("- A note."));
    }
}
