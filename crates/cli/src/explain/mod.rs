//! `narthex explain`: why a request goes where it goes, from the files alone.

mod answer;
mod curl;
mod effects;
mod explainer;
mod request;
mod sockets;
mod streams;
mod text;
mod words;

pub use answer::Answer;
pub use explainer::{Explainer, listener_name};
pub use request::Request;

use crate::configuration::Configuration;
use crate::exit::Exit;
use crate::flags::{Explain, Output};
use crate::output::{BAD, print, print_json, styled};
use answer::Outcome;
use std::io::Read;
use std::path::Path;

/// Answers for one request, or for each line of a file.
pub fn run(flags: &Explain) -> Exit {
    let requests = match requests(flags) {
        Ok(requests) => requests,
        Err(problem) => {
            anstream::eprintln!("{}: {problem}", styled(BAD, "error"));
            return Exit::Unreadable;
        }
    };
    let configuration = match Configuration::read(&flags.paths, &flags.settings) {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    let explainer = Explainer::new(&configuration, flags.settings.echo);
    let mut all_answered = true;
    for request in &requests {
        let answer = explainer.answer(request);
        all_answered &= !matches!(
            answer.outcome,
            Outcome::Refused | Outcome::NoRule | Outcome::NoListener
        );
        match (flags.output, flags.data.is_some()) {
            (Output::Json, false) => print_json(&answer),
            (Output::Json, true) => {
                let line = serde_json::to_string(&answer).expect("our own types are always JSON");
                print(&format!("{line}\n"));
            }
            (Output::Text, lines) if lines || flags.quiet => print(&text::first_line(&answer)),
            (Output::Text, _) => print(&text::whole(&answer)),
        }
    }
    if all_answered {
        Exit::Success
    } else {
        Exit::Findings
    }
}

fn requests(flags: &Explain) -> Result<Vec<Request>, String> {
    let Some(file) = &flags.data else {
        return Ok(vec![Request::from_words(&flags.request, &flags.header)?]);
    };
    let text = read(file).map_err(|error| format!("can't read {}: {error}", file.display()))?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            Request::from_line(line)
                .map_err(|problem| format!("{}:{}: {problem}", file.display(), number + 1))
        })
        .collect()
}

fn read(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file)
}
