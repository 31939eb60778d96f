//! Matches of an HTTPRoute rule: path, method, headers and query parameters, checked and brought into one form.

use super::grpc_route;
use super::rule::{Look, Trouble};
use api::gateway::{HttpPathMatch, HttpRouteMatch, HttpValueMatch, PathMatchType, ValueMatchType};
use ir::{Code, Match, PathMatch, StringMatch, ValueMatch, path};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;

/// Reads a rule's matches; an empty list stands for one that matches everything.
pub(crate) fn translate(look: &mut Look<'_, '_>, matches: &[HttpRouteMatch]) -> Vec<Match> {
    if matches.is_empty() {
        return vec![Match {
            path: PathMatch::Prefix(String::new()),
            method: None,
            headers: Vec::new(),
            query: Vec::new(),
        }];
    }
    let mut read = Vec::with_capacity(matches.len());
    for (index, given) in matches.iter().enumerate() {
        read.extend(one(look, given, &format!("matches[{index}]")));
    }
    read
}

/// `None` if something about the match was reported; then the whole rule is left out.
fn one(look: &mut Look<'_, '_>, given: &HttpRouteMatch, field: &str) -> Option<Match> {
    // What a GRPCRoute calls a method has come to be a path.
    let place = if look.kind == grpc_route::KIND {
        format!("{field}.method")
    } else {
        format!("{field}.path.value")
    };
    let path = path_match(look, given.path.as_ref(), &place);
    let method = method(look, given.method.as_deref(), &format!("{field}.method"));
    let headers = values(look, &given.headers, &format!("{field}.headers"), Kind::Header);
    let query = values(
        look,
        &given.query_params,
        &format!("{field}.queryParams"),
        Kind::Query,
    );
    Some(Match {
        path: path?,
        method: method?,
        headers: headers?,
        query: query?,
    })
}

fn path_match(look: &mut Look<'_, '_>, given: Option<&HttpPathMatch>, field: &str) -> Option<PathMatch> {
    let kind = given.and_then(|given| given.kind.clone()).unwrap_or_default();
    let text = given.and_then(|given| given.value.as_deref()).unwrap_or("/");
    match kind {
        PathMatchType::RegularExpression => {
            regex(look, text, field).map(|()| PathMatch::Regex(text.to_owned()))
        }
        PathMatchType::Other(word) => {
            let field = field.replace(".value", ".type");
            look.invalid_match(
                &field,
                format!("type {word} is not known"),
                if look.kind == grpc_route::KIND {
                    "Use Exact or RegularExpression"
                } else {
                    "Use Exact, PathPrefix or RegularExpression"
                },
            );
            None
        }
        PathMatchType::Exact | PathMatchType::PathPrefix => {
            let normal = plain_path(look, text, field)?;
            Some(if kind == PathMatchType::Exact {
                PathMatch::Exact(normal)
            } else {
                PathMatch::Prefix(normal.strip_suffix('/').unwrap_or(&normal).to_owned())
            })
        }
    }
}

/// The path in the form that requests are compared in. Refuses what the API server would refuse.
fn plain_path(look: &mut Look<'_, '_>, text: &str, field: &str) -> Option<String> {
    let wrong = if !text.starts_with('/') {
        Some("must begin with /")
    } else if text.contains("//") {
        Some("must not contain //")
    } else if text.contains("/./") || text.contains("/../") || text.ends_with("/.") || text.ends_with("/..") {
        Some("must not contain the segments . and ..")
    } else if text.to_ascii_lowercase().contains("%2f") {
        Some("must not contain an escaped slash")
    } else if text.contains('#') {
        Some("must not contain #")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        look.invalid_match(
            field,
            format!("path \"{text}\" {wrong}"),
            "Write the path as requests spell it, such as /shop/cart",
        );
        return None;
    }
    match path::rule(text, &look.scope.settings().http.path) {
        Ok(normal) => Some(normal),
        Err(error) => {
            look.invalid_match(
                field,
                format!("path \"{text}\" can't match any request: {error}"),
                "Write the path as requests spell it, such as /shop/cart",
            );
            None
        }
    }
}

/// `None`: reported. `Some(None)`: any method.
#[allow(clippy::option_option)]
fn method(look: &mut Look<'_, '_>, given: Option<&str>, field: &str) -> Option<Option<String>> {
    let Some(method) = given else { return Some(None) };
    if METHODS.contains(&method) {
        return Some(Some(method.to_owned()));
    }
    let upper = method.to_ascii_uppercase();
    let hint = if METHODS.contains(&upper.as_str()) {
        format!("Methods are case-sensitive: write {upper}")
    } else {
        format!("Use one of {}", METHODS.join(", "))
    };
    look.invalid_match(field, format!("method \"{method}\" is not known"), &hint);
    None
}

/// What is compared by name and value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Header,
    Query,
}

fn values(
    look: &mut Look<'_, '_>,
    given: &[HttpValueMatch],
    field: &str,
    kind: Kind,
) -> Option<Vec<ValueMatch>> {
    let mut found: Vec<ValueMatch> = Vec::with_capacity(given.len());
    let mut fine = true;
    for (index, given) in given.iter().enumerate() {
        let field = format!("{field}[{index}]");
        let Some(value) = value(look, given, &field, kind) else {
            fine = false;
            continue;
        };
        // "Only the first entry with an equivalent name MUST be considered" (HTTPHeaderMatch, HTTPQueryParamMatch).
        if found.iter().any(|before| before.name == value.name) {
            let message = format!("{} stands twice in this match; the first one counts", given.name);
            look.report(
                Code::NameRepeated,
                &format!("{field}.name"),
                message,
                "Remove one of them",
            );
            continue;
        }
        found.push(value);
    }
    fine.then_some(found)
}

fn value(look: &mut Look<'_, '_>, given: &HttpValueMatch, field: &str, kind: Kind) -> Option<ValueMatch> {
    let name = match kind {
        Kind::Header => given.name.to_ascii_lowercase(),
        Kind::Query => given.name.to_string(),
    };
    if name.is_empty() || (kind == Kind::Header && !is_token(&name)) {
        look.invalid_match(
            &format!("{field}.name"),
            format!("\"{}\" is not a name", given.name),
            "Give the name of a header field or query parameter",
        );
        return None;
    }
    let value_field = format!("{field}.value");
    let value = match given.kind.clone().unwrap_or_default() {
        ValueMatchType::Exact if given.value.is_empty() => {
            look.invalid_match(
                &value_field,
                format!("the value for {} is empty", given.name),
                "Give a value; to ask only for presence use type RegularExpression with .+",
            );
            return None;
        }
        ValueMatchType::Exact => StringMatch::Exact(given.value.to_string()),
        ValueMatchType::RegularExpression => {
            regex(look, &given.value, &value_field)?;
            StringMatch::Regex(given.value.to_string())
        }
        ValueMatchType::Other(word) => {
            look.invalid_match(
                &format!("{field}.type"),
                format!("type {word} is not known"),
                "Use Exact or RegularExpression",
            );
            return None;
        }
    };
    Some(ValueMatch { name, value })
}

/// Reports an expression that does not compile or would need too much memory.
fn regex(look: &mut Look<'_, '_>, pattern: &str, field: &str) -> Option<()> {
    let Err(reason) = compile(pattern) else {
        return Some(());
    };
    let message = format!("the regular expression does not compile: {reason}");
    look.report(
        Code::RegexInvalid,
        field,
        message.as_str(),
        "Use the syntax of the Rust regex crate; there is no look-around and no backreference",
    );
    look.drop_rule(Trouble::Left, "UnsupportedValue", message);
    None
}

/// Whether an expression can be used: it must parse, and its automaton must stay small.
pub(crate) fn compile(pattern: &str) -> Result<(), String> {
    if pattern.is_empty() {
        return Err("it is empty".into());
    }
    // Values may hold any bytes, so expressions may match them.
    let parsed = syntax::parse_with(pattern, &syntax::Config::new().utf8(false)).map_err(|error| {
        // The first line repeats the pattern in a drawing; the last one says what is wrong.
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.trim().trim_start_matches("error: ").to_owned()
    })?;
    thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .which_captures(WhichCaptures::None)
                .nfa_size_limit(Some(REGEX_LIMIT)),
        )
        .build_from_hir(&parsed)
        .map(drop)
        .map_err(|_| format!("it needs more than {} MiB", REGEX_LIMIT >> 20))
}

/// `token` of RFC 9110 §5.6.2: what a field name is made of.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// HTTPMethod.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// Memory of one expression's automaton. What people write takes kilobytes; `\pL{1000}` takes more.
const REGEX_LIMIT: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn expressions_that_people_write_compile_and_hostile_ones_do_not() {
        for fine in ["/api/v[0-9]+/.*", "(?i)/shop", "a|b", "/[^/]{1,256}", ".*"] {
            assert_eq!(compile(fine), Ok(()), "{fine}");
        }
        for bad in ["", "(", "[z-a]", "(?=a)", "(a)\\1", "\\pL{5000}", "a{9999}{9999}"] {
            assert!(compile(bad).is_err(), "{bad}");
        }
    }
}
