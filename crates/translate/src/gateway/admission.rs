//! From which namespaces routes may attach to a listener, and ListenerSets may join a Gateway.

use crate::scope::Scope;
use api::gateway::{AdmittedNamespaces, FromNamespaces, LabelOperator, LabelSelector};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether an object of namespace `guest` is admitted by one of namespace `own`. `unset` is what counts where nothing is said.
pub(crate) fn admits(
    scope: &mut Scope<'_>,
    namespaces: Option<&AdmittedNamespaces>,
    unset: FromNamespaces,
    own: &Arc<str>,
    guest: &Arc<str>,
) -> bool {
    let from = namespaces.and_then(|namespaces| namespaces.from.clone());
    match from.unwrap_or(unset) {
        FromNamespaces::All => true,
        FromNamespaces::Same => own == guest,
        FromNamespaces::Selector => {
            let selector = namespaces.and_then(|namespaces| namespaces.selector.as_ref());
            selector.is_some_and(|selector| selected(scope, selector, guest))
        }
        FromNamespaces::None | FromNamespaces::Other(_) => false,
    }
}

/// What is wrong with such a setting, so that nobody is admitted who should be.
pub(crate) fn mistake(namespaces: &AdmittedNamespaces) -> Option<String> {
    match &namespaces.from {
        Some(FromNamespaces::Other(word)) => Some(format!("from can't be {word}")),
        Some(FromNamespaces::Selector) if namespaces.selector.is_none() => {
            Some("from is Selector, but selector is missing".to_owned())
        }
        _ => None,
    }
}

/// Whether the labels of a namespace fit. Every namespace has its name as a label, also one that stands in no file.
fn selected(scope: &mut Scope<'_>, selector: &LabelSelector, name: &Arc<str>) -> bool {
    let mut labels = scope
        .namespace(name)
        .map(|namespace| namespace.metadata.labels.clone())
        .unwrap_or_default();
    labels.insert("kubernetes.io/metadata.name".into(), name.to_string());
    selects(selector, &labels)
}

/// `metav1.LabelSelector`: all labels and all expressions must fit. A selector that is there and empty takes all.
fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector
        .match_labels
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value));
    equal
        && selector.match_expressions.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let listed = value.is_some_and(|value| requirement.values.contains(value));
            match &requirement.operator {
                LabelOperator::In => listed,
                LabelOperator::NotIn => !listed,
                LabelOperator::Exists => value.is_some(),
                LabelOperator::DoesNotExist => value.is_none(),
                LabelOperator::Other(_) => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::selects;
    use api::gateway::LabelSelector;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn a_selector_takes_a_namespace_when_everything_in_it_fits() {
        let labels: BTreeMap<String, String> =
            BTreeMap::from([("team".into(), "shop".into()), ("tier".into(), "web".into())]);
        for (selector, expected) in [
            (json!({}), true),
            (json!({"matchLabels": {"team": "shop"}}), true),
            (json!({"matchLabels": {"team": "shop", "tier": "db"}}), false),
            (
                json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "db"]}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["web"]}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "team", "operator": "Gt"}]}),
                false,
            ),
        ] {
            let read: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(selects(&read, &labels), expected, "{selector}");
        }
    }
}
