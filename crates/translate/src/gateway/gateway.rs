//! Gateway: addresses and listeners, as far as they can be said without looking at other Gateways.

use super::{GatewayUnit, is_ours};
use crate::scope::Scope;
use api::gateway::Gateway;
use std::sync::Arc;

/// What a Gateway asks for.
pub(crate) fn translate(scope: &mut Scope<'_>, gateway: &Arc<Gateway>) -> GatewayUnit {
    let ours = is_ours(scope, gateway);
    GatewayUnit {
        gateway: ours.then(|| Arc::clone(gateway)),
        addresses: Vec::new(),
        refused: None,
        unreachable: None,
        listeners: Vec::new(),
    }
}
