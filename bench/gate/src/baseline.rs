//! Compares counts with the committed ones, and writes these after a change that was meant.

use crate::Workload;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// More than the counts differ by themselves (under 0.5 %), less than any change that is worth a thought.
const TOLERANCE: f64 = 0.03;

/// Fails when something costs over 3 % more than its baseline.
pub fn compare(workloads: &[Workload]) -> Result<(), String> {
    let committed = committed()?;
    let Some(committed) = committed.get(std::env::consts::ARCH) else {
        eprintln!(
            "gate: no baseline for {} (counts differ between kinds of processors); nothing compared",
            std::env::consts::ARCH
        );
        return Ok(());
    };
    let mut worse = Vec::new();
    let mut better = Vec::new();
    println!(
        "{:<10} {:>12} {:>12} {:>9}  per",
        "gate", "baseline", "now", "change"
    );
    for workload in workloads {
        let out = out(workload)?;
        eprintln!("gate: {} …", workload.name);
        let now = (workload.count)(&out)?;
        let Some(before) = committed[workload.name].as_f64() else {
            println!(
                "{:<10} {:>12} {now:>12.0} {:>9}  {}",
                workload.name, "none", "", workload.unit
            );
            worse.push(format!("{} has no baseline", workload.name));
            continue;
        };
        let change = now / before - 1.0;
        println!(
            "{:<10} {before:>12.0} {now:>12.0} {:>+8.2}%  {}",
            workload.name,
            change * 100.0,
            workload.unit
        );
        if change > TOLERANCE {
            worse.push(format!(
                "{} costs {:+.0} instructions ({:+.2} %) per {}\n      look closer: callgrind_annotate --inclusive=yes {} | head -60",
                workload.name,
                now - before,
                change * 100.0,
                workload.unit,
                out.display()
            ));
        } else if change < -TOLERANCE {
            better.push(workload.name);
        }
    }
    if !better.is_empty() {
        eprintln!(
            "gate: better by over 3 %: {}. Keep it: {BLESS}, and commit bench/gate/baseline.json",
            better.join(", ")
        );
    }
    if worse.is_empty() {
        return Ok(());
    }
    Err(format!(
        "over 3 % more instructions than bench/gate/baseline.json\n    {}\n\
         hint: run the same on the commit before to have its output beside; where the cost is meant, {BLESS}, \
         commit the file and say in the message what it buys",
        worse.join("\n    ")
    ))
}

/// Counts everything and writes the baseline of this kind of processor.
pub fn bless(workloads: &[Workload]) -> Result<(), String> {
    let mut counts = Map::new();
    for workload in workloads {
        eprintln!("gate: {} …", workload.name);
        let now = (workload.count)(&out(workload)?)?.round();
        println!("{:<10} {now:>12.0}  {}", workload.name, workload.unit);
        counts.insert(workload.name.to_owned(), json!(now as u64));
    }
    let mut all = match committed() {
        Ok(Value::Object(all)) => all,
        _ => Map::new(),
    };
    all.insert(std::env::consts::ARCH.to_owned(), Value::Object(counts));
    let mut text = serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?;
    text.push('\n');
    std::fs::write(path(), text).map_err(|error| format!("{}: {error}", path().display()))
}

fn committed() -> Result<Value, String> {
    let text = std::fs::read_to_string(path())
        .map_err(|error| format!("{}: {error}\nhint: {BLESS}", path().display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path().display()))
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.json")
}

/// Where callgrind's output of a workload stays, beside the program, to be looked at.
fn out(workload: &Workload) -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(here.with_file_name(format!("callgrind.{}.out", workload.name)))
}

const BLESS: &str = "cargo xtask bench gate --bless";
