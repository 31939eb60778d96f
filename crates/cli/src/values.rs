//! Reading the values of flags: durations, sizes, names, addresses. Each error says what is expected.

use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// `500ms`, `30s`, `1m30s`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration(pub std::time::Duration);

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a duration; write 500ms, 30s, 1m30s or 1h");
        if text == "0" {
            return Ok(Self(std::time::Duration::ZERO));
        }
        let mut rest = text;
        let mut total = std::time::Duration::ZERO;
        let mut previous = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            let unit_end = rest[digits..]
                .find(|c: char| c.is_ascii_digit())
                .map_or(rest.len(), |end| digits + end);
            let millis = match &rest[digits..unit_end] {
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1_000,
                "ms" => 1,
                _ => return Err(wrong()),
            };
            if millis >= previous {
                return Err(wrong());
            }
            previous = millis;
            let part = number.checked_mul(millis).ok_or_else(wrong)?;
            total = total
                .checked_add(std::time::Duration::from_millis(part))
                .ok_or_else(wrong)?;
            rest = &rest[unit_end..];
        }
        if previous == u64::MAX {
            Err(wrong())
        } else {
            Ok(Self(total))
        }
    }
}

/// `512`, `8k`, `1m`, `2g`; binary multiples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a size; write 512, 8k, 1m or 2g");
        let (number, factor) = match text.as_bytes().last().map(u8::to_ascii_lowercase) {
            Some(b'k') => (&text[..text.len() - 1], 1 << 10),
            Some(b'm') => (&text[..text.len() - 1], 1 << 20),
            Some(b'g') => (&text[..text.len() - 1], 1 << 30),
            _ => (text, 1),
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

/// `namespace/name` of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl FromStr for ObjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self {
                    namespace: namespace.into(),
                    name: name.into(),
                })
            }
            _ => Err(format!("`{text}` is not NAMESPACE/NAME")),
        }
    }
}

/// A value, or the word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrOff<T> {
    /// The value.
    On(T),
    /// `off`
    Off,
}

impl<T: fmt::Display> fmt::Display for OrOff<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On(value) => value.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

/// `127.0.0.1:10254`, `:10254` for every address, or `off`.
pub fn address_or_off(text: &str) -> Result<OrOff<SocketAddr>, String> {
    if text == "off" {
        return Ok(OrOff::Off);
    }
    let whole = match text.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => text.to_owned(),
    };
    whole
        .parse()
        .map(OrOff::On)
        .map_err(|_| format!("`{text}` is neither ADDRESS:PORT nor off"))
}

/// `20000-29999`: ports from the first to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRange(pub RangeInclusive<u16>);

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ports = text
            .split_once('-')
            .and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        match ports {
            Some((first, last)) if 0 < first && first <= last => Ok(Self(first..=last)),
            _ => Err(format!("`{text}` is not a range of ports such as 20000-29999")),
        }
    }
}

/// `10.0.0.0/8`, or one address.
pub fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is not a network such as 10.0.0.0/8 or an address"))
}

#[cfg(test)]
mod tests {
    use super::{Duration, OrOff, PortRange, Size, address_or_off, network};

    #[test]
    fn durations_are_read_as_they_are_printed() {
        for (text, millis) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            ("1h", Some(3_600_000)),
            ("", None),
            ("5", None),
            ("s", None),
            ("1s1m", None),
            ("-1s", None),
            ("1.5s", None),
            ("99999999999999999999h", None),
        ] {
            let read = text
                .parse::<Duration>()
                .ok()
                .map(|duration| duration.0.as_millis());
            assert_eq!(read, millis, "{text}");
        }
    }

    #[test]
    fn sizes_are_binary_multiples() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("8k", Some(8192)),
            ("1M", Some(1 << 20)),
            ("k", None),
            ("-1", None),
            ("+1", None),
            ("1kb", None),
            ("99999999999g", None),
        ] {
            assert_eq!(text.parse::<Size>().ok().map(|size| size.0), bytes, "{text}");
        }
    }

    #[test]
    fn ports_go_from_the_first_to_the_last() {
        let read = |text: &str| text.parse::<PortRange>().ok().map(|range| range.0);
        assert_eq!(read("20000-20001"), Some(20000..=20001));
        for text in ["", "80", "0-9", "9-8", "1-65536", "-5", "a-b"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_and_networks_have_short_forms() {
        assert_eq!(address_or_off("off"), Ok(OrOff::Off));
        assert_eq!(address_or_off(":80"), Ok(OrOff::On("[::]:80".parse().unwrap())));
        assert!(address_or_off("nowhere").is_err());
        assert_eq!(network("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
    }
}
