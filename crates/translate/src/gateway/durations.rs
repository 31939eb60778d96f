//! Time limits of an HTTPRoute rule, and durations as GEP-2257 writes them.

use super::rule::Look;
use api::gateway::HttpRouteTimeouts;
use ir::{Code, Timeouts};
use std::time::Duration;

/// Reads a rule's time limits. One that can't be understood is reported and not applied.
pub(crate) fn timeouts(look: &mut Look<'_, '_>, given: Option<&HttpRouteTimeouts>) -> Timeouts {
    let Some(given) = given else {
        return Timeouts::default();
    };
    let request = limit(look, given.request.as_deref(), "timeouts.request");
    let mut backend_request = limit(look, given.backend_request.as_deref(), "timeouts.backendRequest");
    if let (Some(whole), Some(one)) = (request, backend_request)
        && one > whole
    {
        look.report(
            Code::TimeoutInvalid,
            "timeouts.backendRequest",
            format!(
                "backendRequest {} is longer than request {}",
                ir::duration::display(one),
                ir::duration::display(whole)
            ),
            "Make backendRequest at most as long as request",
        );
        backend_request = None;
    }
    Timeouts {
        request,
        backend_request,
        ..Timeouts::default()
    }
}

/// `0s` means no limit.
fn limit(look: &mut Look<'_, '_>, given: Option<&str>, field: &str) -> Option<Duration> {
    let text = given?;
    if let Some(duration) = parse(text) {
        return (!duration.is_zero()).then_some(duration);
    }
    look.report(
        Code::TimeoutInvalid,
        field,
        format!("\"{text}\" is not a duration"),
        "Write it as 500ms, 10s, 1m30s or 1h",
    );
    None
}

/// `^([0-9]{1,5}(h|m|s|ms)){1,4}$` (GEP-2257).
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    for _ in 0..4 {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if !(1..=5).contains(&digits) {
            return None;
        }
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, after) = after.split_at(letters);
        total += match unit {
            "h" => Duration::from_secs(number * 3600),
            "m" => Duration::from_secs(number * 60),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return None,
        };
        rest = after;
        if rest.is_empty() {
            return Some(total);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn durations_are_those_of_gep_2257_and_no_others() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("1h2m3s4ms", 3_723_004),
            ("99999s", 99_999_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "1",
            "s",
            "1.5s",
            "-1s",
            "100000s",
            "1d",
            "1us",
            "1s ",
            "1h1m1s1ms1s",
            "1S",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
