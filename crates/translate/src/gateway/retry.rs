//! Retries of an HTTPRoute rule.

use super::durations;
use super::rule::Look;
use api::gateway::HttpRouteRetry;
use ir::{Code, Retry};
use std::time::Duration;

/// Reads when and how often a rule's requests are sent again. What can't be understood is reported and not applied.
pub(crate) fn translate(look: &mut Look<'_, '_>, given: Option<&HttpRouteRetry>) -> Option<Box<Retry>> {
    let given = given?;
    let attempts = attempts(look, given.attempts);
    let codes = codes(look, &given.codes);
    let backoff = given.backoff.as_deref().and_then(|text| backoff(look, text));
    Some(Box::new(Retry {
        attempts,
        codes,
        backoff: backoff.unwrap_or(BACKOFF),
    }))
}

fn attempts(look: &mut Look<'_, '_>, given: Option<i64>) -> u32 {
    let Some(given) = given else { return ATTEMPTS };
    if given < 0 {
        look.report(
            Code::RetryInvalid,
            "retry.attempts",
            format!("attempts {given} is below 0, so that {ATTEMPTS} holds"),
            "Give the number of tries after the first one, or 0 for none",
        );
        return ATTEMPTS;
    }
    u32::try_from(given).unwrap_or(u32::MAX)
}

fn codes(look: &mut Look<'_, '_>, given: &[i64]) -> Vec<u16> {
    let mut codes = Vec::with_capacity(given.len());
    for (index, code) in given.iter().enumerate() {
        match u16::try_from(*code) {
            Ok(code) if (400..=599).contains(&code) => codes.push(code),
            _ => look.report(
                Code::RetryInvalid,
                &format!("retry.codes[{index}]"),
                format!("status {code} is not between 400 and 599"),
                "Name statuses of errors, such as 503",
            ),
        }
    }
    codes.sort_unstable();
    codes.dedup();
    codes
}

fn backoff(look: &mut Look<'_, '_>, text: &str) -> Option<Duration> {
    let parsed = durations::parse(text);
    if parsed.is_none() {
        look.report(
            Code::RetryInvalid,
            "retry.backoff",
            format!(
                "\"{text}\" is not a duration, so that {} holds",
                ir::duration::display(BACKOFF)
            ),
            "Write it as 500ms, 10s, 1m30s or 1h",
        );
    }
    parsed
}

/// As the CRD has it.
const ATTEMPTS: u32 = 1;
/// 25 ms, as Envoy. A client that waits for half a second is still served by a second or third try.
const BACKOFF: Duration = Duration::from_millis(25);
