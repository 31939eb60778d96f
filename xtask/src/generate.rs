//! Pages of docs/reference that follow from declarations in the code.

use crate::Outcome;
use crate::run::root;
use std::fmt::Write as _;

/// Writes every page, or with `--check` fails when one on disk differs from what the code says.
pub fn run(words: &[String]) -> Outcome {
    let check = words.iter().any(|word| word == "--check");
    let mut stale = Vec::new();
    for (path, text) in pages() {
        let file = root().join(path);
        if std::fs::read_to_string(&file).is_ok_and(|old| old == text) {
            continue;
        }
        if check {
            stale.push(path);
        } else {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            }
            std::fs::write(&file, text).map_err(|error| format!("{path}: {error}"))?;
            eprintln!("xtask: wrote {path}");
        }
    }
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!("stale: {}\nhint: run cargo xtask gen", stale.join(", ")))
    }
}

/// Path in the project and text of each page.
fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("docs/reference/cli.md", narthex_cli::cli_reference_markdown()),
        ("docs/reference/diagnostics.md", diagnostics()),
        (
            "docs/reference/metrics.md",
            telemetry::reference::metrics_markdown(),
        ),
        (
            "docs/reference/access-log.md",
            telemetry::reference::access_log_markdown(),
        ),
    ]
}

fn diagnostics() -> String {
    let mut page = String::from(
        "# Diagnostics\n\nGenerated from `crates/ir/src/diagnostic.rs` by `cargo xtask gen`.\n\n\
         A mistake in your objects becomes a diagnostic: it has a stable code, names the object and the field, and says what to do.\n\
         `narthex check` prints them, `narthex run` logs each once, and the admin API lists them at `/api/v1/diagnostics`.\n",
    );
    for code in ir::Code::ALL {
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "\n## {code}\n\n**{}**: {}.\n\n{}\n",
            code.severity(),
            code.summary(),
            code.detail()
        );
    }
    page
}
