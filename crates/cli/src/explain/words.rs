//! Conditions, verdicts and filters in words.

use ir::{
    Filter, HeaderEdit, Match, PathMatch, PathRewrite, Retry, RetryBudget, SessionCarrier,
    SessionPersistence, StringMatch, ValueMatch,
};
use router::explain::{Advantage, LayerAdvantage, Verdict};

/// `path /cart and below, header x-beta = "yes"`
pub fn conditions(conditions: &Match) -> String {
    let mut parts = vec![match &conditions.path {
        PathMatch::Exact(path) => format!("path is {path}"),
        PathMatch::Prefix(prefix) if prefix.is_empty() || prefix == "/" => "any path".to_owned(),
        PathMatch::Prefix(prefix) => format!("path is {prefix} or below"),
        PathMatch::Regex(regex) => format!("path matches {regex}"),
    }];
    parts.extend(
        conditions
            .method
            .iter()
            .map(|method| format!("method is {method}")),
    );
    parts.extend(
        conditions
            .headers
            .iter()
            .map(|value| value_match("header", value)),
    );
    parts.extend(
        conditions
            .query
            .iter()
            .map(|value| value_match("query parameter", value)),
    );
    parts.join(", ")
}

fn value_match(what: &str, condition: &ValueMatch) -> String {
    match &condition.value {
        StringMatch::Exact(text) => format!("{what} {} is {text}", condition.name),
        StringMatch::Regex(regex) => format!("{what} {} matches {regex}", condition.name),
    }
}

/// Why a candidate won or lost.
pub fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Won => "answers".into(),
        Verdict::BeatenByOtherLayer => "matches, but the other API's rule is more specific".into(),
        Verdict::Beaten { by } => format!("matches, but the winner {}", advantage(*by)),
        Verdict::Path => "the path is another".into(),
        Verdict::Method => "the method is another".into(),
        Verdict::HeaderMissing { name } => format!("the request has no header {name}"),
        Verdict::HeaderDiffers { name, value } => format!("header {name} is {value}"),
        Verdict::QueryMissing { name } => format!("the request has no query parameter {name}"),
        Verdict::QueryDiffers { name, value } => format!("query parameter {name} is {value}"),
        Verdict::Unusable => "can't be used".into(),
    }
}

fn advantage(advantage: Advantage) -> &'static str {
    match advantage {
        Advantage::Path => "has the more specific path",
        Advantage::Method => "names the method",
        Advantage::Headers => "has more header conditions",
        Advantage::Query => "has more query conditions",
        Advantage::Age => "belongs to an older route",
        Advantage::Name => "belongs to a route that comes first by name",
        Advantage::Order => "comes first in the route",
    }
}

/// Why one API's answer counts and not the other's.
pub fn over_other_layer(advantage: LayerAdvantage) -> &'static str {
    match advantage {
        LayerAdvantage::Host => "its host is more specific than that of the other API's rule",
        LayerAdvantage::Path => "its path is more specific than that of the other API's rule",
        LayerAdvantage::Gateway => "same host and path in both APIs: the HTTPRoute counts",
    }
}

/// What a filter does, as far as it does not depend on the request.
pub fn filter(filter: &Filter) -> String {
    match filter {
        Filter::HttpsRedirect { status, port } => format!("plain HTTP gets {status} to HTTPS on port {port}"),
        Filter::Redirect(redirect) => format!("answers with {}", redirect.status),
        Filter::RequestHeaders(edit) | Filter::ResponseHeaders(edit) => header_edit(edit),
        Filter::Rewrite(rewrite) => {
            let host = rewrite.hostname.iter().map(|host| format!("host becomes {host}"));
            let path = rewrite.path.iter().map(|path| match path {
                PathRewrite::Full(full) => format!("path becomes {full}"),
                PathRewrite::Prefix(prefix) => format!("the matched prefix becomes {prefix}"),
            });
            host.chain(path).collect::<Vec<_>>().join(", ")
        }
        Filter::Mirror(mirror) => {
            let percent =
                f64::from(mirror.fraction.numerator) * 100.0 / f64::from(mirror.fraction.denominator);
            format!(
                "{} of the requests are copied to {}",
                percentage(percent),
                mirror.upstream
            )
        }
        Filter::Cors(cors) => {
            let origins: Vec<_> = cors.allow_origins.iter().map(origin).collect();
            format!("allows {}", origins.join(", "))
        }
    }
}

fn origin(origin: &ir::CorsOrigin) -> String {
    let scheme = origin
        .scheme
        .as_ref()
        .map(|scheme| format!("{scheme}://"))
        .unwrap_or_default();
    let port = origin.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}{}{port}", origin.host)
}

fn header_edit(edit: &HeaderEdit) -> String {
    let set = edit
        .set
        .iter()
        .map(|(name, value)| format!("set {name}: {value}"));
    let add = edit
        .add
        .iter()
        .map(|(name, value)| format!("add {name}: {value}"));
    let remove = edit.remove.iter().map(|name| format!("remove {name}"));
    set.chain(add).chain(remove).collect::<Vec<_>>().join(", ")
}

/// `up to 3 times if it can't connect or after 500, 503, waiting 25ms at first`
pub fn retry(retry: &Retry) -> String {
    let times = match retry.attempts {
        0 => return "none".to_owned(),
        1 => "once".to_owned(),
        attempts => format!("up to {attempts} times"),
    };
    let codes: Vec<String> = retry.codes.iter().map(u16::to_string).collect();
    let after = if codes.is_empty() {
        String::new()
    } else {
        format!(" or after {}", codes.join(", "))
    };
    format!(
        "{times} if it can't connect{after}, waiting {} at first",
        ir::duration::display(retry.backoff)
    )
}

/// `cookie "cart" for /, for 12h: a client stays at the endpoint that it was sent to first`
pub fn session(session: &SessionPersistence) -> String {
    let carrier = match &session.carrier {
        SessionCarrier::Cookie { name, path, .. } => format!("cookie \"{name}\" for {path}"),
        SessionCarrier::Header(name) => format!("header {name}"),
    };
    let time = match session.absolute_timeout {
        Some(timeout) => format!(", for {}", ir::duration::display(timeout)),
        None => String::new(),
    };
    format!("{carrier}{time}: a client stays at the endpoint that it was sent to first")
}

/// `retries up to 20 % of the requests of 10s, or 10 in 1s; beyond both, 503`
pub fn retry_budget(budget: &RetryBudget) -> String {
    format!(
        "retries up to {} % of the requests of {}, or {} in {}; beyond both, 503",
        budget.percent,
        ir::duration::display(budget.interval),
        budget.least,
        ir::duration::display(budget.least_interval)
    )
}

/// `90 %`, `33.3 %`
pub fn percentage(percent: f64) -> String {
    let rounded = (percent * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 {
        format!("{rounded:.0} %")
    } else {
        format!("{rounded:.1} %")
    }
}

#[cfg(test)]
mod tests {
    use super::{conditions, percentage, retry};
    use ir::{Match, PathMatch, Retry, StringMatch, ValueMatch};
    use std::time::Duration;

    #[test]
    fn conditions_read_as_a_sentence() {
        let all = Match {
            path: PathMatch::Prefix("/cart".into()),
            method: Some("GET".into()),
            headers: vec![ValueMatch {
                name: "x-beta".into(),
                value: StringMatch::Exact("yes".into()),
            }],
            query: vec![ValueMatch {
                name: "q".into(),
                value: StringMatch::Regex("[0-9]+".into()),
            }],
        };
        assert_eq!(
            conditions(&all),
            "path is /cart or below, method is GET, header x-beta is yes, query parameter q matches [0-9]+"
        );
    }

    #[test]
    fn retries_read_as_a_sentence() {
        let mut policy = Retry {
            attempts: 3,
            codes: vec![500, 503],
            backoff: Duration::from_millis(25),
        };
        assert_eq!(
            retry(&policy),
            "up to 3 times if it can't connect or after 500, 503, waiting 25ms at first"
        );
        policy.attempts = 0;
        assert_eq!(retry(&policy), "none");
    }

    #[test]
    fn shares_are_rounded_to_a_tenth() {
        assert_eq!(percentage(100.0 / 3.0), "33.3 %");
        assert_eq!(percentage(90.0), "90 %");
    }
}
