//! Every command and flag, declared once: a flag is a field, its help is the field's doc comment, its environment
//! variable follows from its name. `--help`, completions and `docs/reference/cli.md` are made from here. The flags
//! that all commands share are in `flags/settings.rs`.

mod cluster;
mod settings;

pub use cluster::ClusterFlags;
pub use settings::{Balance, Forwarded, ServiceKind, SettingsFlags, TlsPolicyName};

use crate::values::{self, Duration};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The front door of a Kubernetes cluster, for Ingress and Gateway API, that explains itself.
///
/// Try it without a cluster:
///
///   narthex run --echo examples/quickstart
///
/// then ask why a request goes where it goes:
///
///   narthex explain -f examples/quickstart GET http://shop.localhost:8080/cart
#[derive(Debug, Parser)]
#[command(
    name = "narthex",
    version,
    disable_help_subcommand = true,
    after_help = crate::exit::HELP,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = OUTPUT)]
    pub color: Color,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve what the objects in files and directories, or in a cluster, ask for; changes to them are live at once.
    ///
    /// With paths, no cluster is needed. Without, the objects come from the cluster of --kubeconfig or, in a Pod, from
    /// the one that it runs in; the statuses of the objects are written there.
    ///
    /// Reads Kubernetes objects from YAML and JSON (several documents per file, and List kinds): Ingress, Service,
    /// EndpointSlice, Secret, Gateway, HTTPRoute and what belongs to them.
    ///
    /// Example: narthex run --echo examples/quickstart
    Run(Box<Run>),
    /// Serve a backend that answers with JSON of what it received.
    ///
    /// Paths that do something: /status/503, /delay/2s, /bytes/1048576, /stream; a WebSocket gets its frames back.
    ///
    /// Example: narthex echo --listen 127.0.0.1:9000
    Echo(Echo),
    /// Find mistakes in objects without running anything.
    ///
    /// Example: narthex check examples/mistakes
    Check(Box<Check>),
    /// Say why a request goes where it goes, without sending it.
    ///
    /// Example: narthex explain -f examples/quickstart GET http://shop.localhost:8080/cart -H 'x-beta: yes'
    Explain(Box<Explain>),
    /// Print what the data plane would be given.
    ///
    /// Example: narthex snapshot examples/quickstart
    Snapshot(Box<Shown>),
    /// Print the status that each object would get.
    ///
    /// Example: narthex status examples/quickstart
    Status(Box<Shown>),
    /// Print the version of the program and of the APIs that it reads.
    ///
    /// Example: narthex version --output json
    Version(VersionFlags),
    /// Print a script that completes commands and flags in a shell.
    ///
    /// Example: narthex completion bash > ~/.local/share/bash-completion/completions/narthex
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the JSON Schema of a command's JSON output; without a name, list the schemas.
    ///
    /// Example: narthex schema check
    Schema(SchemaFlags),
}

/// Flags of `narthex run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Files and directories with objects; `-` is standard input. None: the objects of a cluster.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Which cluster, and what of it.
    #[command(flatten)]
    pub cluster: ClusterFlags,
    /// What the objects leave open.
    #[command(flatten)]
    pub settings: SettingsFlags,
    /// Threads that serve requests; by default as many as there are CPUs for this process.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = PROCESS)]
    pub workers: Option<u16>,
    /// How long requests may take to finish after SIGTERM or SIGINT. A second signal ends at once.
    #[arg(long, value_name = "DURATION", default_value = "30s", help_heading = PROCESS)]
    pub drain_timeout: Duration,
    /// Least time between two changes of the configuration: file events that come sooner are taken together.
    #[arg(long, value_name = "DURATION", default_value = "10ms", help_heading = PROCESS)]
    pub hold_off: Duration,
    /// Longest time that a change waits while further ones keep coming.
    #[arg(long, value_name = "DURATION", default_value = "100ms", help_heading = PROCESS)]
    pub hold_off_limit: Duration,
    /// Where health, metrics and a read-only view of the configuration are served; `off` for nowhere.
    #[arg(long, value_name = "ADDRESS|off", default_value = "127.0.0.1:10254", value_parser = values::address_or_off, help_heading = PROCESS)]
    pub admin_address: values::OrOff<SocketAddr>,
    /// Where a line per request is written: `off`, `stdout` or a file.
    #[arg(long, value_name = "off|stdout|PATH", default_value = "off", help_heading = LOGS)]
    pub access_log: String,
    /// How the access log is written: `json`, `combined` or a template such as '$client $method $path $status'.
    #[arg(long, value_name = "FORMAT", default_value = "json", help_heading = LOGS)]
    pub access_log_format: String,
    /// How the program's own log is written, on standard error.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = LOGS)]
    pub log_format: LogFormat,
    /// Which lines the program's own log has: `error`, `warn`, `info`, `debug`, or a filter by module.
    #[arg(long, value_name = "LEVEL", default_value = "info", help_heading = LOGS)]
    pub log_level: String,
}

/// Flags of `narthex echo`.
#[derive(Debug, Args)]
pub struct Echo {
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,
    /// Service that the answers name.
    #[arg(long, value_name = "NAME", default_value = "echo")]
    pub service: String,
    /// Namespace that the answers name.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub namespace: String,
}

/// Flags of `narthex check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Files and directories with objects; `-` is standard input.
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Least severity of a finding that makes the command fail with exit code 1.
    #[arg(long, value_name = "SEVERITY", default_value = "error", help_heading = OUTPUT)]
    pub fail_on: Severity,
    /// Print the first line only.
    #[arg(long, short, help_heading = OUTPUT)]
    pub quiet: bool,
    /// What the objects leave open.
    #[command(flatten)]
    pub settings: SettingsFlags,
    /// How the answer is written.
    #[arg(long, short, value_name = "FORMAT", default_value = "text", help_heading = OUTPUT)]
    pub output: Output,
}

/// Flags of `narthex explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Files and directories with objects (repeatable); `-` is standard input.
    #[arg(long = "file", short = 'f', value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// `METHOD URL`, or `URL` alone for GET, or a whole `curl …` command line as one word.
    #[arg(value_name = "REQUEST", num_args = 1..=2, required_unless_present = "data")]
    pub request: Vec<String>,
    /// Header field of the request, `name: value` (repeatable).
    #[arg(long, short = 'H', value_name = "FIELD")]
    pub header: Vec<String>,
    /// File with one request per line, `METHOD URL [name: value] ...` or JSON; `-` is standard input. Answers
    /// with one line per request.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["request", "header"], value_hint = ValueHint::FilePath)]
    pub data: Option<PathBuf>,
    /// Print the first line only.
    #[arg(long, short, help_heading = OUTPUT)]
    pub quiet: bool,
    /// What the objects leave open.
    #[command(flatten)]
    pub settings: SettingsFlags,
    /// How the answer is written.
    #[arg(long, short, value_name = "FORMAT", default_value = "text", help_heading = OUTPUT)]
    pub output: Output,
}

/// Flags of `narthex snapshot` and `narthex status`.
#[derive(Debug, Args)]
pub struct Shown {
    /// Files and directories with objects; `-` is standard input.
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// What the objects leave open.
    #[command(flatten)]
    pub settings: SettingsFlags,
    /// How the answer is written; by default `yaml` for `snapshot` and `text` for `status`.
    #[arg(long, short, value_name = "FORMAT", help_heading = OUTPUT)]
    pub output: Option<ShownOutput>,
}

/// Flags of `narthex version`.
#[derive(Debug, Args)]
pub struct VersionFlags {
    /// How the answer is written.
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

/// Flags of `narthex schema`.
#[derive(Debug, Args)]
pub struct SchemaFlags {
    /// The schema; without it, the names are listed.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// How the list is written; a schema is always JSON.
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs; `narthex schema` describes it.
    Json,
}

/// How a snapshot or status is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShownOutput {
    /// For people.
    Text,
    /// For programs and people.
    Yaml,
    /// For programs; `narthex schema` describes it.
    Json,
}

/// How the program's own log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Works, but probably not as meant.
    Warning,
    /// Some of it does not work.
    Error,
}

impl Cli {
    /// Reads the command line and the environment. On a mistake, and for `--help`, prints and ends the process.
    pub fn read() -> Self {
        let matches = command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// The command with all flags, each readable from its environment variable.
pub fn command() -> clap::Command {
    with_environment(Cli::command())
}

/// `--drain-timeout` is `NARTHEX_DRAIN_TIMEOUT`, without exception.
fn with_environment(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| match arg.get_long() {
            Some("help" | "version") | None => arg,
            Some(long) => {
                let name = format!("NARTHEX_{}", long.to_uppercase().replace('-', "_"));
                let arg = arg.env(clap::builder::OsStr::from(name)).hide_env(true);
                match arg.get_action() {
                    ArgAction::SetTrue => arg.value_parser(clap::builder::FalseyValueParser::new()),
                    _ => arg,
                }
            }
        })
        .mut_subcommands(with_environment)
}

const OUTPUT: &str = "Output";
const PROCESS: &str = "Process";
const LOGS: &str = "Logs";

#[cfg(test)]
mod tests {
    use super::{Cli, Command, command};
    use clap::FromArgMatches;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        let matches = command().try_get_matches_from(line.split_whitespace())?;
        Cli::from_arg_matches(&matches)
    }

    #[test]
    fn the_declaration_has_no_contradiction() {
        command().debug_assert();
    }

    #[test]
    fn every_long_flag_has_an_environment_variable_and_help() {
        for sub in command().get_subcommands() {
            for arg in sub
                .get_arguments()
                .filter(|arg| arg.get_long().is_some_and(|long| long != "help"))
            {
                assert!(
                    arg.get_env().is_some(),
                    "{} --{:?}",
                    sub.get_name(),
                    arg.get_long()
                );
                assert!(
                    arg.get_help().is_some(),
                    "{} --{:?}",
                    sub.get_name(),
                    arg.get_long()
                );
            }
        }
    }

    #[test]
    fn flags_that_can_repeat_take_commas_too() {
        let Command::Run(run) =
            read("narthex run x --bind 127.0.0.1,::1 --proxy-protocol 80 --proxy-protocol 443")
                .unwrap()
                .command
        else {
            panic!("run");
        };
        assert_eq!(run.settings.bind.len(), 2);
        assert_eq!(run.settings.proxy_protocol, [80, 443]);
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_at_the_door() {
        for line in [
            "narthex run x --kubeconfig y",
            "narthex run --leader-election maybe",
            "narthex run x --workers 0",
            "narthex run x --http-port 70000",
            "narthex run x --drain-timeout soon",
            "narthex run x --endpoint shop/cart=127.0.0.1:1",
            "narthex run x --trusted-proxies 10.0.0.0/99",
            "narthex run x --default-certificate nothing",
            "narthex run x --max-body -1",
            "narthex check x --fail-on never",
            "narthex explain -f x",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
