//! `narthex schema`: JSON Schemas of what the commands print with `--output json`, made from their types.

use crate::check::Report;
use crate::exit::Exit;
use crate::explain::Answer;
use crate::flags::{Output, SchemaFlags};
use crate::output::{BAD, print, print_json, styled};
use crate::shown::{SnapshotShown, StatusShown};
use crate::version::Version;
use schemars::{Schema, schema_for};

/// Makes a schema.
type Make = fn() -> Schema;

/// Name and schema of each output.
const SCHEMAS: &[(&str, Make)] = &[
    ("check", || schema_for!(Report)),
    ("explain", || schema_for!(Answer)),
    ("snapshot", || schema_for!(SnapshotShown<'_>)),
    ("status", || schema_for!(StatusShown)),
    ("version", || schema_for!(Version)),
];

/// Prints a schema, or the list of them.
pub fn run(flags: &SchemaFlags) -> Exit {
    let names: Vec<&str> = SCHEMAS.iter().map(|(name, _)| *name).collect();
    match &flags.name {
        Some(wanted) => match SCHEMAS.iter().find(|(name, _)| name == wanted) {
            Some((_, schema)) => print_json(&schema()),
            None => {
                let names = names.join(", ");
                anstream::eprintln!(
                    "{}: no schema `{wanted}`; there are {names}",
                    styled(BAD, "error")
                );
                return Exit::Unreadable;
            }
        },
        None if flags.output == Output::Json => print_json(&names),
        None => print(&format!("{}\n", names.join("\n"))),
    }
    Exit::Success
}
