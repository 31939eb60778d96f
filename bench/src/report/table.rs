//! The tables that a run prints.

use super::{Report, rows};
use std::fmt::Write as _;

/// All of it as text.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, report);
    text
}

fn write_all(text: &mut String, report: &Report) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(
        text,
        "\n{} · {} CPUs, {} · Linux {} · {} MiB · hardware counters: {}",
        machine.date,
        machine.processors,
        machine.processor,
        machine.kernel,
        machine.memory_mib,
        if machine.counters { "yes" } else { "no" }
    )?;
    let proxies: Vec<String> = report
        .proxies
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    writeln!(text, "{}", proxies.join(" · "))?;
    for sentence in &report.missing {
        writeln!(text, "{sentence}")?;
    }
    if !report.check.is_empty() {
        writeln!(
            text,
            "\ncheck: our load generator against wrk, straight at the origin"
        )?;
        for line in &report.check {
            writeln!(text, "  {line}")?;
        }
    }
    for done in &report.done {
        writeln!(text, "\n({}) {}", done.scenario.key, done.scenario.title)?;
        for block in rows::blocks(done) {
            let rounds = match block.rounds {
                1 => "1 run".into(),
                rounds => format!("median of {rounds} rounds"),
            };
            writeln!(
                text,
                "\n  {}, {} [{}; {rounds}]",
                block.metric.name, block.metric.unit, block.method
            )?;
            writeln!(
                text,
                "    {:<16}{:>12}{:>9}{:>12}{:>10}",
                "", "value", "spread", "to haproxy", "to relay"
            )?;
            for row in &block.rows {
                writeln!(
                    text,
                    "    {:<16}{:>12}{:>9}{:>12}{:>10}",
                    row.proxy, row.value, row.spread, row.to_haproxy, row.to_relay
                )?;
            }
            for verdict in &block.verdicts {
                writeln!(
                    text,
                    "    target {}: {}, {}",
                    verdict.target,
                    if verdict.met { "met" } else { "MISSED" },
                    verdict.found
                )?;
            }
            if let Some(behind) = &block.behind {
                writeln!(text, "    {behind}")?;
            }
        }
        for note in &done.section.notes {
            writeln!(text, "  note: {note}")?;
        }
    }
    for (key, problem) in &report.failed {
        writeln!(text, "\n({key}) no figures: {problem}")?;
    }
    writeln!(text, "\ntook {:.0?}", report.took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_value_ratio_target_and_who_is_ahead() {
        let text = render(&crate::report::sample_report());
        for part in [
            "0.80x",
            "target <= 0.90x haproxy: met, 0.80x",
            "Ahead of narthex here: nginx",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
