//! Logs of the control side, for people or machines. The data plane does not log per request here.

use std::str::FromStr;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{text}` is not a log format; use text or json")),
        }
    }
}

/// Libraries that shout: what they meet is told where it is dealt with.
const LIBRARIES: &str = "kube_runtime=off,kube_client=off";

/// Sends log lines of `level` (`info`, `debug`, or a filter such as `info,narthex_control=debug`) and above to standard error.
/// Call once, at start. Fails when `level` can't be read or logs were set up before.
pub fn init(format: LogFormat, level: &str, colour: bool) -> Result<(), String> {
    // A bare word is about this program: libraries would drown it, and what a watch meets we say ourselves.
    let filter = match level {
        "debug" | "trace" => format!("info,{LIBRARIES},narthex={level}"),
        "error" | "warn" | "info" => format!("{level},{LIBRARIES}"),
        _ => level.to_owned(),
    };
    let filter = tracing_subscriber::EnvFilter::builder()
        .parse(filter)
        .map_err(|error| format!("log level `{level}`: {error}"))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour && format == LogFormat::Text);
    let set = match format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    set.map_err(|error| error.to_string())
}
