//! Relative links in the project's Markdown files must lead to a file, and to a heading where they name one.

use crate::Outcome;
use crate::run::root;
use std::path::{Path, PathBuf};

/// Fails with every link that leads nowhere.
pub fn run(_: &[String]) -> Outcome {
    let mut pages = Vec::new();
    collect(&root(), &mut pages)?;
    let mut problems = Vec::new();
    for page in &pages {
        let text = std::fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
        for link in targets(&text) {
            if let Some(problem) = broken(page, link) {
                problems.push(format!(
                    "{}: {problem}",
                    page.strip_prefix(root()).unwrap_or(page).display()
                ));
            }
        }
    }
    if pages.is_empty() {
        return Err("no Markdown file was found".into());
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) -> Outcome {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            collect(&path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    Ok(())
}

/// What stands in `](…)`, outside of code blocks.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("```")
        .step_by(2)
        .flat_map(|prose| prose.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

fn broken(page: &Path, link: &str) -> Option<String> {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() {
        page.to_path_buf()
    } else {
        page.parent()?.join(file)
    };
    if !target.exists() {
        return Some(format!("{link} does not exist"));
    }
    if heading.is_empty() || target.extension().is_none_or(|extension| extension != "md") {
        return None;
    }
    let text = std::fs::read_to_string(&target).ok()?;
    let found = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| anchor(line) == heading);
    (!found).then(|| format!("{link}: no such heading"))
}

/// The anchor that Markdown viewers give a heading.
fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    title
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{anchor, targets};

    #[test]
    fn links_in_code_blocks_and_to_other_sites_do_not_count() {
        let text = "see [a](a.md) and [b](https://b.example)\n```\n[c](c.md)\n```\n[d](#d)";
        assert_eq!(targets(text).collect::<Vec<_>>(), ["a.md", "#d"]);
    }

    #[test]
    fn a_heading_becomes_its_anchor() {
        assert_eq!(anchor("## Who wins, and why?"), "who-wins-and-why");
    }
}
