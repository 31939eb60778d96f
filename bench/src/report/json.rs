//! The figures for machines.

use super::{Report, rows};
use serde_json::{Value, json};

/// All of it as JSON text.
pub fn render(report: &Report) -> Result<String, String> {
    let scenarios: Vec<Value> = report.done.iter().map(scenario).collect();
    let proxies: serde_json::Map<String, Value> = report
        .proxies
        .iter()
        .map(|(name, version)| ((*name).to_owned(), json!(version)))
        .collect();
    let failed: Vec<Value> = report
        .failed
        .iter()
        .map(|(key, problem)| json!({"key": key, "problem": problem}))
        .collect();
    let all = json!({
        "machine": report.machine,
        "proxies": proxies,
        "quick": report.quick,
        "seconds": report.took.as_secs(),
        "missing": report.missing,
        "check": report.check,
        "scenarios": scenarios,
        "failed": failed,
    });
    serde_json::to_string_pretty(&all)
        .map(|text| text + "\n")
        .map_err(|error| error.to_string())
}

fn scenario(done: &super::Done) -> Value {
    let figures: Vec<Value> = done
        .section
        .figures
        .iter()
        .map(|figure| {
            json!({
                "proxy": figure.proxy,
                "metric": figure.metric.name,
                "unit": figure.metric.unit,
                "median": round(figure.median()),
                "spread": round(figure.spread()),
                "values": figure.values.iter().map(|value| round(*value)).collect::<Vec<_>>(),
                "method": figure.method,
            })
        })
        .collect();
    let targets: Vec<Value> = rows::blocks(done)
        .into_iter()
        .flat_map(|block| {
            block.verdicts.into_iter().map(move |verdict| {
                json!({
                    "metric": block.metric.name,
                    "target": verdict.target,
                    "found": verdict.found,
                    "met": verdict.met,
                })
            })
        })
        .collect();
    json!({
        "key": done.scenario.key,
        "title": done.scenario.title,
        "figures": figures,
        "targets": targets,
        "notes": done.section.notes,
    })
}

/// Four digits behind the point are more than any figure is good for.
fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_every_round_and_the_verdicts() {
        let text = render(&crate::report::sample_report()).expect("serialises");
        let value: Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!(value["scenarios"][0]["figures"][0]["values"], json!([8.0, 9.0]));
        assert_eq!(value["scenarios"][0]["targets"][0]["met"], json!(true));
    }
}
