//! `docs/reference/cli.md`, made from the declaration of the flags.

use crate::exit::Exit;
use crate::flags;
use clap::{Arg, Command};
use std::fmt::Write as _;

/// The page: every command, its flags with their environment variables and defaults, and the exit codes.
pub fn cli_reference_markdown() -> String {
    let mut page = String::from(
        "# Command line\n\nGenerated from `crates/cli/src/flags.rs` by `cargo xtask gen`.\n\n\
         Every flag can also be given in the environment: `--drain-timeout` is `NARTHEX_DRAIN_TIMEOUT`. A flag on the \
         command line wins. A flag that is repeatable takes its values with commas between them there.\n",
    );
    let command = flags::command();
    page.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (number, meaning) in Exit::ALL {
        add(&mut page, format_args!("| {number} | {meaning} |\n"));
    }
    page.push_str("\n## Commands\n\n| command | does |\n|---|---|\n");
    for sub in command.get_subcommands() {
        let name = sub.get_name();
        add(
            &mut page,
            format_args!("| [`narthex {name}`](#narthex-{name}) | {} |\n", short(sub)),
        );
    }
    page.push_str("\n`--color auto|always|never` goes with every command; `NO_COLOR` is honoured.\n");
    for sub in command.get_subcommands() {
        describe(&mut page, sub);
    }
    page
}

fn describe(page: &mut String, command: &Command) {
    add(page, format_args!("\n## narthex {}\n\n", command.get_name()));
    let about = command.get_long_about().or(command.get_about());
    for paragraph in about.map(ToString::to_string).unwrap_or_default().split("\n\n") {
        match paragraph.trim().strip_prefix("Example: ") {
            Some(example) => add(page, format_args!("```sh\n{example}\n```\n\n")),
            None => add(page, format_args!("{}\n\n", paragraph.trim())),
        }
    }
    for argument in command.get_positionals() {
        let value = value_name(argument).unwrap_or_else(|| argument.get_id().to_string());
        add(page, format_args!("`{value}`: {}\n\n", help(argument)));
    }
    let flags = command
        .get_arguments()
        .filter(|arg| !arg.is_positional() && !matches!(arg.get_id().as_str(), "help" | "version" | "color"));
    let mut headings: Vec<(String, Vec<&Arg>)> = Vec::new();
    for flag in flags {
        let heading = flag.get_help_heading().unwrap_or("Options").to_owned();
        match headings.iter_mut().find(|(name, _)| *name == heading) {
            Some((_, list)) => list.push(flag),
            None => headings.push((heading, vec![flag])),
        }
    }
    for (heading, list) in headings {
        add(page, format_args!("| {heading} | default | |\n|---|---|---|\n"));
        for flag in list {
            let default = flag
                .get_default_values()
                .iter()
                .map(|value| format!("`{}`", value.to_string_lossy()))
                .collect::<Vec<_>>()
                .join(", ");
            add(
                page,
                format_args!("| {} | {default} | {} |\n", spelling(flag), help(flag)),
            );
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
}

/// `--file`, `-f` `PATH`
fn spelling(flag: &Arg) -> String {
    let mut text = String::new();
    if let Some(long) = flag.get_long() {
        add(&mut text, format_args!("`--{long}"));
        if flag.get_action().takes_values()
            && let Some(value) = value_name(flag)
        {
            let value = value.replace('|', "\\|");
            if flag.is_require_equals_set() {
                add(&mut text, format_args!("[={value}]"));
            } else {
                add(&mut text, format_args!(" {value}"));
            }
        }
        text.push('`');
    }
    if let Some(short) = flag.get_short() {
        add(&mut text, format_args!(", `-{short}`"));
    }
    text
}

fn value_name(argument: &Arg) -> Option<String> {
    Some(argument.get_value_names()?.first()?.to_string())
}

fn help(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let words: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|word| argument.get_action().takes_values() && !matches!(word.get_name(), "true" | "false"))
        .map(|word| match word.get_help() {
            Some(help) => format!(
                "`{}` ({})",
                word.get_name(),
                first_lower(help.to_string().trim_end_matches('.'))
            ),
            None => format!("`{}`", word.get_name()),
        })
        .collect();
    if !words.is_empty() {
        if !text.ends_with('.') {
            text.push('.');
        }
        add(&mut text, format_args!(" One of {}.", words.join(", ")));
    } else if !text.ends_with('.') {
        text.push('.');
    }
    text.replace('|', "\\|")
}

/// Lower-cases the first letter, unless the word is an abbreviation or a name.
fn first_lower(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            format!("{}{}", first.to_lowercase(), &text[first.len_utf8()..])
        }
        _ => text.to_owned(),
    }
}

fn short(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    about
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_owned()
}

fn add(text: &mut String, part: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(part);
}

#[cfg(test)]
mod tests {
    use super::cli_reference_markdown;

    #[test]
    fn the_page_names_every_command_and_exit_code() {
        let page = cli_reference_markdown();
        for part in [
            "## narthex run",
            "## narthex explain",
            "`--drain-timeout DURATION`",
            "| 4 | ",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }
}
