//! `narthex version`.

use crate::exit::Exit;
use crate::flags::{Output, VersionFlags};
use crate::output::{print, print_json};
use schemars::JsonSchema;
use serde::Serialize;

/// What `narthex version --output json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "version")]
pub struct Version {
    /// Version of the program.
    #[serde(rename = "version")]
    program: &'static str,
    /// Version of Gateway API that it implements.
    gateway_api: &'static str,
    /// API group and version of the Ingresses that it reads.
    ingress: &'static str,
    /// Processor architecture and operating system.
    platform: String,
}

/// Prints the versions.
pub fn run(flags: &VersionFlags) -> Exit {
    let version = Version {
        program: env!("CARGO_PKG_VERSION"),
        gateway_api: "v1.7.0",
        ingress: "networking.k8s.io/v1",
        platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    };
    match flags.output {
        Output::Json => print_json(&version),
        Output::Text => print(&format!(
            "narthex {}\ngateway api {}\ningress {}\nplatform {}\n",
            version.program, version.gateway_api, version.ingress, version.platform
        )),
    }
    Exit::Success
}
