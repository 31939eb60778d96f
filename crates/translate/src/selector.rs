//! Namespaces by their labels: what a listener lets in, and what this installation serves at all.

use crate::scope::Scope;
pub use api::gateway::LabelSelector;
use api::gateway::{LabelOperator, LabelRequirement};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether objects of a namespace are served (`--watch-namespace-selector`).
pub(crate) fn serves(scope: &mut Scope<'_>, namespace: &Arc<str>) -> bool {
    let selector = scope.settings().namespace_selector.as_ref();
    selector.is_none_or(|selector| takes(scope, selector, namespace))
}

/// Whether the labels of a namespace fit. Every namespace has its name as a label, also one that stands in no file.
pub(crate) fn takes(scope: &mut Scope<'_>, selector: &LabelSelector, name: &Arc<str>) -> bool {
    let namespace = scope.namespace(name);
    let mut labels = namespace
        .map(|namespace| BTreeMap::from(&namespace.metadata.labels))
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

/// Reads a selector as `kubectl --selector` has it: `team=shop,env!=test,zone in (a, b),!legacy`.
///
/// # Errors
/// What is wrong, for whoever wrote it.
pub fn parse(text: &str) -> Result<LabelSelector, String> {
    let mut selector = LabelSelector::default();
    for part in parts(text) {
        let wrong = || {
            format!(
                "`{part}` is no condition on a label; write team=shop, env!=test, zone in (a, b), owner or !legacy"
            )
        };
        let word = |word: &str| {
            let word = word.trim();
            let plain =
                !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || "()!=,".contains(c));
            plain.then(|| word.to_owned()).ok_or_else(wrong)
        };
        let (key, operator, values) = if let Some((key, list)) = part.split_once(" notin ") {
            (key, LabelOperator::NotIn, Some(list))
        } else if let Some((key, list)) = part.split_once(" in ") {
            (key, LabelOperator::In, Some(list))
        } else if let Some((key, value)) = part.split_once("!=") {
            (key, LabelOperator::NotIn, Some(value))
        } else if let Some((key, value)) = part.split_once('=') {
            let value = value.strip_prefix('=').unwrap_or(value);
            selector.match_labels.insert(word(key)?, word(value)?);
            continue;
        } else if let Some(key) = part.strip_prefix('!') {
            (key, LabelOperator::DoesNotExist, None)
        } else {
            (part, LabelOperator::Exists, None)
        };
        let values = match values.map(str::trim) {
            None => Vec::new(),
            Some(list) if part.contains("!=") => vec![word(list)?],
            Some(list) => {
                let inside = list.strip_prefix('(').and_then(|list| list.strip_suffix(')'));
                inside
                    .ok_or_else(wrong)?
                    .split(',')
                    .map(word)
                    .collect::<Result<_, _>>()?
            }
        };
        let key = word(key)?;
        selector.match_expressions.push(LabelRequirement {
            key,
            operator,
            values,
        });
    }
    Ok(selector)
}

/// Splits at commas that stand in no parentheses.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    let split = text.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    split.map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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

    #[test]
    fn a_selector_is_written_as_kubectl_has_it() {
        let requirement = |key: &str, operator, values: &[&str]| LabelRequirement {
            key: key.into(),
            operator,
            values: values.iter().map(|&value| value.to_owned()).collect(),
        };
        let read =
            parse("team=shop, tier==web,env!=test,owner,!legacy, zone in (a, b),size notin (xl)").unwrap();
        assert_eq!(
            read.match_labels,
            BTreeMap::from([("team".into(), "shop".into()), ("tier".into(), "web".into())])
        );
        assert_eq!(
            read.match_expressions,
            [
                requirement("env", LabelOperator::NotIn, &["test"]),
                requirement("owner", LabelOperator::Exists, &[]),
                requirement("legacy", LabelOperator::DoesNotExist, &[]),
                requirement("zone", LabelOperator::In, &["a", "b"]),
                requirement("size", LabelOperator::NotIn, &["xl"]),
            ]
        );
        for wrong in ["", "a=b,", "a b", "zone in a", "zone in (a", "=b", "!", "a in ()"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_namespace_that_loses_its_label_is_not_served_any_more() {
        use crate::{Object, Objects, Settings, Translator};
        let settings = Settings {
            namespace_selector: Some(parse("team=shop").unwrap()),
            ..Settings::default()
        };
        let namespace = |labels: serde_json::Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "labels": labels}});
        let mut objects = Objects::default();
        let put = |objects: &mut Objects, value: serde_json::Value| {
            objects.insert(Object::from_value(&value).unwrap().unwrap());
        };
        put(
            &mut objects,
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i", "namespace": "n"},
                "spec": {"rules": [{"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}}),
        );
        let mut translator = Translator::new(settings);
        for (labels, statuses) in [
            (json!({}), 0),
            (json!({"team": "shop"}), 1),
            (json!({"team": "other"}), 0),
        ] {
            put(&mut objects, namespace(labels.clone()));
            let translation = translator.translate(&objects, 0);
            assert_eq!(translation.statuses.len(), statuses, "{labels}");
            assert_eq!(translation.snapshot.binds.is_empty(), statuses == 0, "{labels}");
        }
    }
}
