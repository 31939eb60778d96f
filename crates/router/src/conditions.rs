//! What a match asks of a request besides its path: method, header fields, query parameters.

use crate::pattern::{Patterns, Texts};
use crate::query::Query;
use crate::{Head, Headers};
use ir::{Match, StringMatch, ValueMatch};
use smallvec::SmallVec;

/// A request during one lookup.
pub(crate) struct Request<'a> {
    pub head: &'a Head<'a>,
    pub query: Query<'a>,
}

impl<'a> Request<'a> {
    #[inline]
    pub fn new(head: &'a Head<'a>) -> Self {
        Self {
            head,
            query: Query::new(head.query),
        }
    }
}

/// Compiled conditions of one match.
pub(crate) struct Conditions {
    method: Option<Box<str>>,
    headers: Box<[Condition]>,
    query: Box<[Condition]>,
}

/// Which condition does not hold, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed<'c> {
    Method,
    Header { name: &'c str, missing: bool },
    Query { name: &'c str, missing: bool },
}

impl Conditions {
    /// `None`: there are none. An error: one of them can't be used, and so the match can't.
    pub fn compile(of: &Match) -> Result<Option<Self>, String> {
        if of.method.is_none() && of.headers.is_empty() && of.query.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            method: of.method.as_deref().map(Into::into),
            headers: of
                .headers
                .iter()
                .map(Condition::compile)
                .collect::<Result<_, _>>()?,
            query: of
                .query
                .iter()
                .map(Condition::compile)
                .collect::<Result<_, _>>()?,
        }))
    }

    /// The first condition that does not hold.
    pub fn check(&self, request: &Request<'_>) -> Result<(), Failed<'_>> {
        if self
            .method
            .as_deref()
            .is_some_and(|method| method != request.head.method)
        {
            return Err(Failed::Method);
        }
        for condition in &self.headers {
            let name = &condition.name;
            match condition.check_header(request.head.headers) {
                Outcome::Holds => {}
                Outcome::Missing => return Err(Failed::Header { name, missing: true }),
                Outcome::Differs => return Err(Failed::Header { name, missing: false }),
            }
        }
        for condition in &self.query {
            let name = &condition.name;
            match condition.check_query(&request.query) {
                Outcome::Holds => {}
                Outcome::Missing => return Err(Failed::Query { name, missing: true }),
                Outcome::Differs => return Err(Failed::Query { name, missing: false }),
            }
        }
        Ok(())
    }
}

/// A condition on one value.
struct Condition {
    name: Box<str>,
    value: Value,
}

enum Value {
    Exact(Box<str>),
    Regex(Box<Patterns>),
}

enum Outcome {
    Holds,
    Missing,
    Differs,
}

impl From<bool> for Outcome {
    fn from(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Differs }
    }
}

impl Condition {
    fn compile(of: &ValueMatch) -> Result<Self, String> {
        let value = match &of.value {
            StringMatch::Exact(text) => Value::Exact(text.as_str().into()),
            StringMatch::Regex(text) => {
                let compiled = Patterns::compile(&[text], Texts::Bytes);
                if let Some(error) = compiled.error(0) {
                    return Err(error.to_owned());
                }
                Value::Regex(Box::new(compiled))
            }
        };
        Ok(Self {
            name: of.name.as_str().into(),
            value,
        })
    }

    fn check_header(&self, headers: &dyn Headers) -> Outcome {
        let Some((position, first)) = headers.next_value(&self.name, 0) else {
            return Outcome::Missing;
        };
        let more = headers.next_value(&self.name, position + 1);
        match (&self.value, more) {
            (Value::Exact(text), None) => (text.as_bytes() == first).into(),
            (Value::Regex(pattern), None) => pattern.is_match(first).into(),
            (value, Some(_)) => {
                let joined = joined(headers, &self.name);
                match value {
                    Value::Exact(text) => (text.as_bytes() == joined.as_slice()).into(),
                    Value::Regex(pattern) => pattern.is_match(&joined).into(),
                }
            }
        }
    }

    fn check_query(&self, query: &Query<'_>) -> Outcome {
        let Some(value) = query.first(&self.name) else {
            return Outcome::Missing;
        };
        match &self.value {
            Value::Exact(text) => value.equals(text).into(),
            Value::Regex(pattern) => value.decoded(|bytes| pattern.is_match(bytes)).into(),
        }
    }
}

/// Several fields of one name count as one, with commas between (RFC 9110 §5.2). On the stack unless long.
pub(crate) fn joined(headers: &dyn Headers, name: &str) -> SmallVec<[u8; 256]> {
    let mut whole = SmallVec::new();
    let mut from = 0;
    while let Some((position, value)) = headers.next_value(name, from) {
        if from > 0 {
            whole.push(b',');
        }
        whole.extend_from_slice(value);
        from = position + 1;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::{Conditions, Failed, Request};
    use crate::Head;
    use ir::{Match, PathMatch, StringMatch, ValueMatch};

    fn on(name: &str, value: StringMatch) -> ValueMatch {
        ValueMatch {
            name: name.into(),
            value,
        }
    }

    fn exact(text: &str) -> StringMatch {
        StringMatch::Exact(text.into())
    }

    fn regex(text: &str) -> StringMatch {
        StringMatch::Regex(text.into())
    }

    fn conditions(method: Option<&str>, headers: Vec<ValueMatch>, query: Vec<ValueMatch>) -> Conditions {
        let of = Match {
            path: PathMatch::Prefix(String::new()),
            method: method.map(Into::into),
            headers,
            query,
        };
        Conditions::compile(&of).expect("usable").expect("some")
    }

    #[test]
    fn each_condition_must_hold() {
        let headers = vec![
            ("X-A", "1"),
            ("Accept", "text/html"),
            ("accept", "*/*"),
            ("x-empty", ""),
        ];
        let head = Head {
            method: "GET",
            host: "",
            path: "/",
            query: Some("a=1&b=x+y"),
            headers: &headers,
        };
        let request = Request::new(&head);
        let missing = |name| Err(Failed::Header { name, missing: true });
        let differs = |name| Err(Failed::Header { name, missing: false });
        for (condition, expected) in [
            (on("x-a", exact("1")), Ok(())),
            (on("x-a", exact("11")), differs("x-a")),
            (on("x-b", exact("1")), missing("x-b")),
            (on("x-empty", exact("")), Ok(())),
            (on("x-a", regex("[0-9]")), Ok(())),
            (on("x-a", regex("[a-z]")), differs("x-a")),
            (on("accept", exact("text/html,*/*")), Ok(())),
            (on("accept", exact("text/html")), differs("accept")),
            (on("accept", regex("text/.*,.*")), Ok(())),
            (on("accept", regex("text/html")), differs("accept")),
        ] {
            let compiled = conditions(None, vec![condition], vec![]);
            assert_eq!(compiled.check(&request), expected);
        }
        let missing = |name| Err(Failed::Query { name, missing: true });
        let differs = |name| Err(Failed::Query { name, missing: false });
        for (condition, expected) in [
            (on("a", exact("1")), Ok(())),
            (on("A", exact("1")), missing("A")),
            (on("b", exact("x y")), Ok(())),
            (on("b", regex("x .")), Ok(())),
            (on("b", regex("x")), differs("b")),
        ] {
            let compiled = conditions(None, vec![], vec![condition]);
            assert_eq!(compiled.check(&request), expected);
        }
        assert_eq!(conditions(Some("GET"), vec![], vec![]).check(&request), Ok(()));
        assert_eq!(
            conditions(Some("POST"), vec![], vec![]).check(&request),
            Err(Failed::Method)
        );
        assert_eq!(
            conditions(Some("get"), vec![], vec![]).check(&request),
            Err(Failed::Method)
        );
    }

    #[test]
    fn a_condition_that_does_not_compile_makes_the_match_unusable() {
        let of = Match {
            path: PathMatch::Prefix(String::new()),
            method: None,
            headers: vec![on("a", regex("("))],
            query: vec![],
        };
        assert!(Conditions::compile(&of).is_err());
    }
}
