//! The words behind `suite`.

use crate::scenario::SCENARIOS;
use std::path::PathBuf;

/// What a run does.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    /// Fewer and shorter rounds.
    pub quick: bool,
    /// Keys of scenarios; none is all.
    pub only: Vec<String>,
    /// Lists the scenarios and ends.
    pub list: bool,
    /// Fetches missing peers.
    pub install: bool,
    /// Where to write JSON.
    pub json: Option<PathBuf>,
    /// Where to write the picture.
    pub svg: Option<PathBuf>,
    /// Writes a dated folder under `bench/results`.
    pub save: bool,
}

/// What `--help` prints.
pub const HELP: &str = "\
usage: cargo xtask bench [OPTIONS]
       cargo xtask bench gate

Measures Narthex and its peers side by side; tables on standard output, progress on standard error.

  --quick        fewer and shorter rounds, about 5 minutes
  --only a,b     only these scenarios (and `check`: our load generator against wrk)
  --list         the scenarios
  --no-install   does not fetch peers that are missing
  --json FILE    the figures for machines
  --svg FILE     the picture
  --save         writes both and a page into bench/results/DATE
";

impl Options {
    /// Reads them; nothing if help is asked for.
    pub fn parse(words: &[String]) -> Result<Option<Self>, String> {
        let mut options = Self {
            install: true,
            ..Self::default()
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match word.as_str() {
                "--quick" => options.quick = true,
                "--list" => options.list = true,
                "--no-install" => options.install = false,
                "--save" => options.save = true,
                "--json" => options.json = Some(value()?.into()),
                "--svg" => options.svg = Some(value()?.into()),
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--help" | "-h" => return Ok(None),
                other => return Err(format!("{other} is no option of the suite; --help lists them")),
            }
        }
        for key in &options.only {
            if key != "check" && !SCENARIOS.iter().any(|scenario| scenario.key == key) {
                return Err(format!("{key} is no scenario; --list lists them"));
            }
        }
        Ok(Some(options))
    }

    /// Whether a scenario is to run.
    pub fn wants(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Option<Options>, String> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn without_only_every_scenario_runs() {
        let options = parse("--quick").expect("known").expect("not help");
        assert!(options.quick && options.wants("a") && options.wants("check"));
    }

    #[test]
    fn only_runs_what_it_names() {
        let options = parse("--only a").expect("known").expect("not help");
        assert!(options.wants("a") && !options.wants("check"));
    }

    #[test]
    fn an_unknown_scenario_or_option_is_named() {
        assert!(parse("--only zz").is_err_and(|problem| problem.starts_with("zz is no scenario")));
        assert!(parse("--fast").is_err_and(|problem| problem.starts_with("--fast is no option")));
        assert!(parse("--json").is_err_and(|problem| problem == "--json wants a value"));
    }
}
