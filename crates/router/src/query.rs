//! Query parameters, read once per lookup and only if a rule asks for one.

use smallvec::SmallVec;
use std::borrow::Cow;
use std::cell::OnceCell;

/// The parameters of one request. Split at the first question, kept on the stack up to [`ON_STACK`] of them.
pub(crate) struct Query<'a> {
    raw: Option<&'a str>,
    parameters: OnceCell<Parameters<'a>>,
}

type Parameters<'a> = SmallVec<[(&'a str, &'a str); ON_STACK]>;

/// Queries with more parameters than this are rare; they cost one allocation.
const ON_STACK: usize = 12;

impl<'a> Query<'a> {
    pub fn new(raw: Option<&'a str>) -> Self {
        Self {
            raw,
            parameters: OnceCell::new(),
        }
    }

    /// Value of the first parameter with this name, still encoded (WHATWG URL §5.1: `&` between, `=` within,
    /// `+` and escapes decoded).
    pub fn first(&self, name: &str) -> Option<Encoded<'a>> {
        let raw = self.raw?;
        let parameters = self.parameters.get_or_init(|| split(raw));
        let found = parameters
            .iter()
            .find(|(candidate, _)| Encoded(candidate).equals(name))?;
        Some(Encoded(found.1))
    }
}

fn split(raw: &str) -> Parameters<'_> {
    raw.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .collect()
}

/// A text with `+` for spaces and percent-escapes. An escape that is none stands for itself.
#[derive(Clone, Copy)]
pub(crate) struct Encoded<'a>(&'a str);

impl<'a> Encoded<'a> {
    /// Whether this is the encoding of `plain`.
    pub fn equals(self, plain: &str) -> bool {
        if self.is_plain() {
            return self.0 == plain;
        }
        let mut plain = plain.bytes();
        self.bytes().all(|byte| plain.next() == Some(byte)) && plain.next().is_none()
    }

    /// Calls `with` with the decoded text. Short texts are decoded on the stack.
    pub fn decoded<T>(self, with: impl FnOnce(&[u8]) -> T) -> T {
        if self.is_plain() {
            return with(self.0.as_bytes());
        }
        let decoded: SmallVec<[u8; 256]> = self.bytes().collect();
        with(&decoded)
    }

    /// The decoded text, for people.
    pub fn to_text(self) -> Cow<'a, str> {
        self.decoded(|bytes| Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn is_plain(self) -> bool {
        !self.0.bytes().any(|byte| matches!(byte, b'%' | b'+'))
    }

    fn bytes(self) -> impl Iterator<Item = u8> {
        let mut rest = self.0.as_bytes();
        std::iter::from_fn(move || {
            let (byte, after) = match rest {
                [] => return None,
                [b'+', after @ ..] => (b' ', after),
                [b'%', high, low, after @ ..] => match (hex(*high), hex(*low)) {
                    (Some(high), Some(low)) => (high * 16 + low, after),
                    _ => (b'%', &rest[1..]),
                },
                [byte, after @ ..] => (*byte, after),
            };
            rest = after;
            Some(byte)
        })
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn the_first_parameter_of_a_name_counts_decoded() {
        for (raw, name, value) in [
            ("a=1&b=2&a=3", "a", Some("1")),
            ("a=1&b=2", "c", None),
            ("a=1", "A", None),
            ("a", "a", Some("")),
            ("a=", "a", Some("")),
            ("a=b=c", "a", Some("b=c")),
            ("&&a=1&", "a", Some("1")),
            ("a=x+y%20z%2B", "a", Some("x y z+")),
            ("na%6De=1", "name", Some("1")),
            ("a=100%", "a", Some("100%")),
            ("a=%zz%4", "a", Some("%zz%4")),
            ("a=1;b=2", "b", None),
            ("=1", "", Some("1")),
        ] {
            let query = Query::new(Some(raw));
            let found = query.first(name);
            assert_eq!(
                found.map(|value| value.to_text().into_owned()).as_deref(),
                value,
                "{raw} {name}"
            );
            if let (Some(found), Some(value)) = (found, value) {
                assert!(found.equals(value) && !found.equals("other") && !found.equals(&format!("{value}x")));
            }
        }
        assert!(Query::new(None).first("a").is_none());
    }

    #[test]
    fn more_parameters_than_fit_on_the_stack_are_found_too() {
        let raw = (0..100)
            .map(|n| format!("p{n}={n}"))
            .collect::<Vec<_>>()
            .join("&");
        assert!(
            Query::new(Some(&raw))
                .first("p99")
                .is_some_and(|value| value.equals("99"))
        );
    }
}
