//! Addresses that a Gateway asks for, and those of ours that it gets.

use crate::binds;
use crate::conditions::Wrong;
use crate::input::Key;
use crate::pool;
use crate::scope::Scope;
use api::gateway::{AddressType, Gateway};
use ir::{Code, Diagnostic, Origin};
use std::net::IpAddr;

/// What `spec.addresses` says.
#[derive(Default)]
pub(crate) struct Asked {
    /// Addresses by their number, each with its index.
    pub ips: Vec<(usize, IpAddr)>,
    /// Whether any address will do, alone or beside these.
    pub any: bool,
    /// A type of address that is not known: the Gateway is not accepted.
    pub refused: Option<Wrong>,
    /// Something that is no usable address: accepted, not programmed.
    pub unusable: Option<Wrong>,
}

/// Addresses of a Gateway.
#[derive(Default)]
pub(crate) struct Addresses {
    /// To listen on; `None` stands for all.
    pub usable: Vec<Option<IpAddr>>,
    /// Why the Gateway is not accepted.
    pub refused: Option<Wrong>,
    /// Why it can't be reached.
    pub unusable: Option<Wrong>,
}

impl Asked {
    /// Reads the list and reports what can't be understood.
    pub fn of(scope: &mut Scope<'_>, gateway: &Gateway, origin: &Origin) -> Self {
        let mut asked = Self {
            any: gateway.spec.addresses.is_empty(),
            ..Self::default()
        };
        for (index, address) in gateway.spec.addresses.iter().enumerate() {
            let (kind, value) = (&address.kind, address.value.as_str());
            let (field, message, hint) = match kind {
                AddressType::IPAddress if value.is_empty() => {
                    asked.any = true;
                    continue;
                }
                AddressType::IPAddress => match value.parse() {
                    Ok(ip) => {
                        asked.ips.push((index, ip));
                        continue;
                    }
                    Err(_) => (
                        "value",
                        format!("{value} is not an IP address"),
                        "Write an address such as 192.0.2.10",
                    ),
                },
                AddressType::Hostname => (
                    "type",
                    format!("{value} is a host name, and only IP addresses can be listened on"),
                    "Use type IPAddress",
                ),
                kind => (
                    "type",
                    format!("addresses of type {kind} are not supported"),
                    "Use type IPAddress",
                ),
            };
            report(scope, origin, index, field, &message, hint);
            match kind {
                AddressType::IPAddress | AddressType::Hostname => {
                    let wrong = Wrong::new("AddressNotUsable", message);
                    asked.unusable.get_or_insert(wrong);
                }
                _ => {
                    let wrong = Wrong::new("UnsupportedAddress", message);
                    asked.refused.get_or_insert(wrong);
                }
            }
        }
        asked
    }

    /// Addresses of this machine: those asked for, else the Gateway's own of the pool, else wherever the flags say.
    pub fn own(self, scope: &mut Scope<'_>, gateway: &Gateway, origin: &Origin) -> Addresses {
        let mut found = Addresses {
            usable: Vec::new(),
            refused: self.refused,
            unusable: self.unusable,
        };
        let pool = &scope.settings().address_pool;
        for (index, ip) in self.ips {
            if pool.is_empty() || pool::contains(pool, ip) {
                found.usable.push(Some(ip));
                continue;
            }
            let message = format!("{ip} is not in the pool of addresses");
            let hint = "Ask for an address of --address-pool, or for none";
            report(scope, origin, index, "value", &message, hint);
            let wrong = Wrong::new("AddressNotUsable", message);
            found.unusable.get_or_insert(wrong);
        }
        if self.any {
            let wherever = wherever(scope, gateway);
            if wherever.is_empty() {
                let used_up = || Wrong::new("AddressNotAssigned", "Every address of the pool is taken");
                found.unusable.get_or_insert_with(used_up);
            }
            found.usable.extend(wherever);
        }
        found.usable.sort_unstable();
        found.usable.dedup();
        found
    }
}

fn report(scope: &mut Scope<'_>, origin: &Origin, index: usize, field: &str, message: &str, hint: &str) {
    let field = format!("spec.addresses[{index}].{field}");
    let finding = Diagnostic::new(Code::GatewayAddressUnusable, origin.clone(), field, message);
    scope.report(finding.hint(hint));
}

/// Where a Gateway listens that asks for nothing in particular: on its address of the pool if there is one, else wherever
/// the flags say.
fn wherever(scope: &Scope<'_>, gateway: &Gateway) -> Vec<Option<IpAddr>> {
    if scope.settings().address_pool.is_empty() {
        return binds::addresses(scope.settings());
    }
    let assigned = scope.assigned(&Key::of(&gateway.metadata));
    assigned.map(Some).into_iter().collect()
}
