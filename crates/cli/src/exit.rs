//! Exit codes, declared once: the commands return them, `--help` and the reference list them.

use std::process::ExitCode;

macro_rules! codes {
    ($($name:ident = $number:literal $meaning:literal,)*) => {
        /// How a command ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Exit { $(#[doc = $meaning] $name = $number,)* }

        impl Exit {
            /// Number and meaning of each.
            pub const ALL: &[(u8, &str)] = &[$(($number, $meaning),)*];
        }

        /// What `--help` says at its end.
        pub const HELP: &str = concat!("Exit codes:\n", $("  ", $number, "  ", $meaning, "\n",)*
            "\nEvery --flag can also be given as NARTHEX_FLAG in the environment.");
    };
}

codes! {
    Success = 0 "all is well; `run`: every request was finished",
    Findings = 1 "`check`: findings of the severity of --fail-on or above; `explain`: no rule answers the request",
    Unreadable = 2 "a flag or a file can't be read",
    NotListening = 3 "`run`, `echo`: no address could be listened on",
    Cut = 4 "`run`: requests were cut off when the drain timeout passed or a second signal came",
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
