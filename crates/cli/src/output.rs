//! How answers are written: colour only where it helps, never as the only sign of anything.

use crate::flags::Color;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Makes every print of the program follow `--color`, `NO_COLOR` and whether the output is a terminal.
pub fn set_colour(choice: Color) {
    match choice {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
}

/// Whether log lines on standard error shall be coloured.
pub fn colours_on_stderr(choice: Color) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        }
    }
}

/// Writes a text that may hold colours to standard output. A reader that went away (`| head`) is no mistake.
pub fn print(text: &str) {
    let mut out = anstream::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Writes a value as JSON, indented.
pub fn print_json<T: Serialize>(value: &T) {
    let mut text = serde_json::to_string_pretty(value).expect("our own types are always JSON");
    text.push('\n');
    print(&text);
}

/// Writes a value as YAML.
pub fn print_yaml<T: Serialize>(value: &T) {
    let text = serde_saphyr::to_string(value).expect("our own types are always YAML");
    print(&text);
    if !text.ends_with('\n') {
        print("\n");
    }
}

/// `text` in a style.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// `1 object`, `2 objects`.
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Breaks a sentence into lines of at most `width` characters; a single longer word stays whole.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// For what is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// For what may be wrong.
pub const DUBIOUS: Style = AnsiColor::Yellow.on_default().bold();
/// For what is right.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// For what matters less.
pub const FAINT: Style = Style::new().dimmed();
/// For what matters most.
pub const STRONG: Style = Style::new().bold();

#[cfg(test)]
mod tests {
    use super::{counted, wrapped};

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!(counted(1, "object"), "1 object");
        assert_eq!(counted(0, "object"), "0 objects");
    }

    #[test]
    fn lines_break_between_words_only() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(
            wrapped("incomprehensibilities a", 5),
            ["incomprehensibilities", "a"]
        );
    }
}
