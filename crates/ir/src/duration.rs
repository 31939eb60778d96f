//! Durations in the snapshot: written for people (`500ms`, `1m30s`), as Gateway API writes them (GEP-2257).

use serde::Serializer;
use std::fmt::Write as _;
use std::time::Duration;

/// Serialises an optional duration as text; `null` when unset.
pub fn option<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(duration) => text(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// Serialises a duration as text.
pub fn text<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&display(*value))
}

/// `1h2m3s`, `500ms`, `0s`. Parts below a millisecond are dropped.
pub fn display(value: Duration) -> String {
    let millis = value.as_millis();
    if millis == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (size, unit) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
        let above = match unit {
            "h" => u128::MAX,
            "m" => 3_600_000,
            "s" => 60_000,
            _ => 1_000,
        };
        let count = millis % above / size;
        if count > 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "{count}{unit}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::display;
    use std::time::Duration;

    #[test]
    fn durations_read_as_gateway_api_writes_them() {
        assert_eq!(display(Duration::from_millis(500)), "500ms");
        assert_eq!(display(Duration::from_secs(90)), "1m30s");
        assert_eq!(display(Duration::from_secs(3_600)), "1h");
        assert_eq!(display(Duration::ZERO), "0s");
    }
}
