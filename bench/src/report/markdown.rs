//! The page.
use super::Report;
/// As Markdown text.
pub fn render(_report: &Report) -> String {
    String::new()
}
