//! GRPCRoute: an HTTPRoute in other words. What gRPC calls a method is a path of two elements, and always asked for by POST.

use crate::input::Key;
use crate::scope::Scope;
use api::gateway::{
    FilterType, GRPCRoute, GrpcMethodMatch, GrpcRouteRule, HTTPRoute, HttpPathMatch, HttpRouteMatch,
    HttpRouteRule, HttpRouteSpec, PathMatchType, ValueMatchType,
};
use ir::{Code, Diagnostic};
use std::sync::Arc;

/// The kind.
pub(crate) const KIND: &str = "GRPCRoute";

/// The same route as an HTTPRoute.
pub(crate) fn as_http(scope: &mut Scope<'_>, route: &GRPCRoute) -> HTTPRoute {
    for (index, rule) in route.spec.rules.iter().enumerate() {
        foreign_filters(scope, route, rule, index);
    }
    HTTPRoute {
        metadata: route.metadata.clone(),
        spec: HttpRouteSpec {
            parent_refs: Arc::new(route.spec.parent_refs.clone()),
            use_default_gateways: route.spec.use_default_gateways.clone().map(Box::new),
            hostnames: route.spec.hostnames.as_slice().into(),
            rules: route.spec.rules.iter().map(rule).collect(),
        },
    }
}

/// Filters that an HTTPRoute has and a GRPCRoute has not. The API server lets none of them pass; a file may have them.
fn foreign_filters(scope: &mut Scope<'_>, route: &GRPCRoute, rule: &GrpcRouteRule, index: usize) {
    for (at, filter) in rule.filters.iter().enumerate() {
        if matches!(
            filter.kind,
            FilterType::RequestRedirect | FilterType::UrlRewrite | FilterType::Cors
        ) {
            let origin = Key::of(&route.metadata).origin(KIND);
            let field = format!("spec.rules[{index}].filters[{at}].type");
            let message = format!(
                "a GRPCRoute has no filter {}; it is applied as in an HTTPRoute",
                filter.kind
            );
            let finding = Diagnostic::new(Code::RouteFieldUnsupported, origin, field, message);
            scope.report(finding.hint("Use an HTTPRoute, or remove it: the API server would refuse it"));
        }
    }
}

fn rule(given: &GrpcRouteRule) -> HttpRouteRule {
    HttpRouteRule {
        name: given.name.clone(),
        matches: given
            .matches
            .iter()
            .map(|given| HttpRouteMatch {
                path: given.method.as_ref().and_then(path),
                headers: given.headers.clone(),
                ..HttpRouteMatch::default()
            })
            .collect(),
        filters: given.filters.as_slice().into(),
        backend_refs: given.backend_refs.as_slice().into(),
        session_persistence: given.session_persistence.clone(),
        ..HttpRouteRule::default()
    }
}

/// `/package.Service/Method`, with what is not named left open.
fn path(given: &GrpcMethodMatch) -> Option<HttpPathMatch> {
    let part = |part: &Option<Box<str>>| part.as_deref().filter(|part| !part.is_empty()).map(str::to_owned);
    let (service, method) = (part(&given.service), part(&given.method));
    let (kind, value) = match given.kind.clone().unwrap_or_default() {
        ValueMatchType::Exact => match (service, method) {
            (Some(service), Some(method)) => (PathMatchType::Exact, format!("/{service}/{method}")),
            (Some(service), None) => (PathMatchType::PathPrefix, format!("/{service}")),
            (None, Some(method)) => (
                PathMatchType::RegularExpression,
                format!("/{ANY}/{}", regex_syntax_escape(&method)),
            ),
            (None, None) => return None,
        },
        ValueMatchType::RegularExpression => {
            let open =
                |part: Option<String>| part.map_or_else(|| ANY.to_owned(), |part| format!("(?:{part})"));
            (
                PathMatchType::RegularExpression,
                format!("/{}/{}", open(service), open(method)),
            )
        }
        ValueMatchType::Other(word) => (PathMatchType::Other(word), String::new()),
    };
    Some(HttpPathMatch {
        kind: Some(kind),
        value: Some(value.into()),
    })
}

/// A name as an expression that matches it and nothing else.
fn regex_syntax_escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if !letter.is_alphanumeric() && letter != '_' {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// One element of a path.
const ANY: &str = "[^/]+";
