//! Filters of HTTPRoute rules and backends. A filter that can't be applied is never skipped: its requests are
//! answered with 500.

use super::rule::{Look, Trouble, all_prefixes};
use super::{backend, cors, headers};
use crate::hosts::{self, Star};
use api::gateway::{
    FilterType, HttpRouteFilter, HttpRouteRule, PathModifier, PathModifierType, RequestMirror,
    RequestRedirect,
};
use ir::{Code, Filter, Fraction, HostPattern, Match, Mirror, PathRewrite, Redirect, UrlRewrite};

/// Reads a rule's filters; what is wrong with them makes the rule answer 500.
pub(crate) fn of_rule(look: &mut Look<'_, '_>, rule: &HttpRouteRule, matches: &[Match]) -> Vec<Filter> {
    let list = List::new(&rule.filters, "filters", Place::Rule, all_prefixes(matches));
    let (filters, wrong) = list.read(look);
    if let Some((reason, message)) = wrong {
        look.drop_rule(Trouble::Answers500, reason, message);
    }
    let redirects = rule
        .filters
        .iter()
        .position(|filter| filter.kind == FilterType::RequestRedirect);
    if let (Some(index), false) = (redirects, rule.backend_refs.is_empty()) {
        let message = "a rule with a RequestRedirect filter can't have backends too".to_owned();
        look.report(
            Code::FilterInvalid,
            &format!("filters[{index}]"),
            message.as_str(),
            "Remove backendRefs, or the filter",
        );
        look.drop_rule(Trouble::Answers500, "IncompatibleFilters", message);
    }
    filters
}

/// Reads the filters of a backend; what is wrong with them makes its share answer 500, for the reason given.
pub(crate) fn of_backend(
    look: &mut Look<'_, '_>,
    given: &[HttpRouteFilter],
    field: &str,
    matches: &[Match],
) -> Result<Vec<Filter>, String> {
    let field = format!("{field}.filters");
    let list = List::new(given, &field, Place::Backend, all_prefixes(matches));
    match list.read(look) {
        (filters, None) => Ok(filters),
        (_, Some((_, message))) => Err(message),
    }
}

/// Where a list of filters stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Rule,
    Backend,
}

/// A list of filters being read.
struct List<'a> {
    given: &'a [HttpRouteFilter],
    field: &'a str,
    place: Place,
    /// Whether all matches of the rule are by path prefix.
    prefixes: bool,
}

/// A mistake: its code, the field below the filter, what is wrong, what to do, and the reason in the status.
pub(super) struct Mistake {
    code: Code,
    field: &'static str,
    message: String,
    hint: String,
    reason: &'static str,
    /// Whether it was reported already, about a field further down.
    reported: bool,
}

/// A filter to be applied; `None`: it does nothing (a mirror whose backend is broken).
type Read = Result<Option<Filter>, Mistake>;

impl<'a> List<'a> {
    fn new(given: &'a [HttpRouteFilter], field: &'a str, place: Place, prefixes: bool) -> Self {
        Self {
            given,
            field,
            place,
            prefixes,
        }
    }

    /// The filters, and the first reason why they can't all be applied.
    fn read(&self, look: &mut Look<'_, '_>) -> (Vec<Filter>, Option<(&'static str, String)>) {
        let mut filters = Vec::with_capacity(self.given.len());
        let mut wrong: Option<(&'static str, String)> = None;
        for (index, given) in self.given.iter().enumerate() {
            let field = format!("{}[{index}]", self.field);
            let read = self
                .combination(index, given)
                .and_then(|()| self.one(look, given, &field));
            match read {
                Ok(filter) => filters.extend(filter),
                Err(mistake) => {
                    let field = if mistake.field.is_empty() {
                        field
                    } else {
                        format!("{field}.{}", mistake.field)
                    };
                    if !mistake.reported {
                        look.report(mistake.code, &field, mistake.message.as_str(), &mistake.hint);
                    }
                    if given.kind == FilterType::ExtensionRef {
                        look.unresolve("InvalidKind", mistake.message.clone());
                    }
                    wrong.get_or_insert((mistake.reason, mistake.message));
                }
            }
        }
        (filters, wrong)
    }

    /// Whether a filter may stand beside those before it.
    fn combination(&self, index: usize, given: &HttpRouteFilter) -> Result<(), Mistake> {
        let incompatible = |message: String| Mistake {
            reason: "IncompatibleFilters",
            ..invalid("", message, "Keep one of them")
        };
        let before = &self.given[..index];
        if given.kind != FilterType::RequestMirror
            && given.kind != FilterType::ExtensionRef
            && before.iter().any(|other| other.kind == given.kind)
        {
            return Err(incompatible(format!("filter {} stands twice", given.kind)));
        }
        let exclusive = [FilterType::RequestRedirect, FilterType::UrlRewrite];
        if exclusive.contains(&given.kind)
            && before
                .iter()
                .any(|other| exclusive.contains(&other.kind) && other.kind != given.kind)
        {
            return Err(incompatible(
                "RequestRedirect and URLRewrite can't be used together".to_owned(),
            ));
        }
        Ok(())
    }

    fn one(&self, look: &mut Look<'_, '_>, given: &HttpRouteFilter, field: &str) -> Read {
        payload(given)?;
        match given.kind {
            FilterType::RequestHeaderModifier => {
                let edit = given.request_header_modifier.as_deref();
                headers::edit(look, edit, field, "requestHeaderModifier")
                    .map(|edit| edit.map(Filter::RequestHeaders))
            }
            FilterType::ResponseHeaderModifier => {
                let edit = given.response_header_modifier.as_deref();
                headers::edit(look, edit, field, "responseHeaderModifier")
                    .map(|edit| edit.map(Filter::ResponseHeaders))
            }
            FilterType::RequestRedirect => given
                .request_redirect
                .as_ref()
                .map(|given| self.redirect(given).map(Filter::Redirect))
                .transpose(),
            FilterType::UrlRewrite => given
                .url_rewrite
                .as_ref()
                .map(|given| {
                    Ok(Filter::Rewrite(UrlRewrite {
                        hostname: hostname(given.hostname.as_deref(), "urlRewrite.hostname")?,
                        path: self.path(given.path.as_ref(), "urlRewrite.path")?,
                    }))
                })
                .transpose(),
            FilterType::RequestMirror => match &given.request_mirror {
                Some(mirror) => self::mirror(look, mirror, field),
                None => Ok(None),
            },
            FilterType::Cors if self.place == Place::Backend => Err(unsupported(
                "filter CORS is not supported on a backend, because a preflight request is answered before a backend is chosen".into(),
                "Move it to the filters of the rule",
            )),
            FilterType::Cors => match &given.cors {
                Some(given) => cors::translate(look, given, &format!("{field}.cors"))
                    .map(|cors| Some(Filter::Cors(cors)))
                    .map_err(|message| Mistake {
                        reported: true,
                        ..invalid("cors", message, "")
                    }),
                None => Ok(None),
            },
            FilterType::ExtensionRef => {
                let (group, kind) = match &given.extension_ref {
                    Some(reference) => (reference.group.as_str(), reference.kind.as_str()),
                    None => ("", "nothing"),
                };
                Err(unsupported(
                    format!("ExtensionRef to {kind} of group \"{group}\": Narthex has no filters of that kind"),
                    "Remove the filter; until then the requests are answered with 500",
                ))
            }
            ref other => Err(unsupported(
                format!("filter {other} is not supported yet"),
                "Remove the filter; until then the requests are answered with 500",
            )),
        }
    }

    fn redirect(&self, given: &RequestRedirect) -> Result<Redirect, Mistake> {
        let status = given.status_code.unwrap_or(302);
        if ![301, 302, 303, 307, 308].contains(&status) {
            return Err(invalid(
                "requestRedirect.statusCode",
                format!("{status} is not the status of a redirect"),
                "Use 301, 302, 303, 307 or 308",
            ));
        }
        let scheme = given.scheme.as_deref();
        if let Some(scheme) = scheme.filter(|scheme| !["http", "https"].contains(scheme)) {
            return Err(invalid(
                "requestRedirect.scheme",
                format!("scheme \"{scheme}\" is not http or https"),
                "Use http or https",
            ));
        }
        if given.port == Some(0) {
            return Err(invalid(
                "requestRedirect.port",
                "0 is not a port".into(),
                "Give a port from 1 to 65535",
            ));
        }
        Ok(Redirect {
            scheme: scheme.map(str::to_owned),
            hostname: hostname(given.hostname.as_deref(), "requestRedirect.hostname")?,
            port: given.port,
            path: self.path(given.path.as_ref(), "requestRedirect.path")?,
            status,
        })
    }

    fn path(
        &self,
        given: Option<&PathModifier>,
        field: &'static str,
    ) -> Result<Option<PathRewrite>, Mistake> {
        let Some(given) = given else { return Ok(None) };
        let missing = |name: &str| {
            invalid(
                field,
                format!("type {} needs {name}, and nothing else", given.kind),
                "Set the field that the type names",
            )
        };
        match given.kind {
            PathModifierType::ReplaceFullPath => {
                let path = given
                    .replace_full_path
                    .as_deref()
                    .filter(|_| given.replace_prefix_match.is_none())
                    .ok_or_else(|| missing("replaceFullPath"))?;
                Ok(Some(PathRewrite::Full(plain(path, field)?.to_owned())))
            }
            PathModifierType::ReplacePrefixMatch => {
                let path = given
                    .replace_prefix_match
                    .as_deref()
                    .filter(|_| given.replace_full_path.is_none())
                    .ok_or_else(|| missing("replacePrefixMatch"))?;
                if !self.prefixes {
                    return Err(invalid(
                        field,
                        "ReplacePrefixMatch needs a rule whose matches are all of type PathPrefix".into(),
                        "Use ReplaceFullPath, or match by PathPrefix",
                    ));
                }
                let path = if path.is_empty() { "" } else { plain(path, field)? };
                // `/xyz/` and `/xyz` mean the same here (HTTPPathModifier): elements are joined with one slash.
                Ok(Some(PathRewrite::Prefix(
                    path.strip_suffix('/').unwrap_or(path).to_owned(),
                )))
            }
            PathModifierType::Other(ref word) => Err(invalid(
                field,
                format!("type {word} is not known"),
                "Use ReplaceFullPath or ReplacePrefixMatch",
            )),
        }
    }
}

/// The field that the type names must be set, and no other.
fn payload(given: &HttpRouteFilter) -> Result<(), Mistake> {
    let fields = [
        (
            FilterType::RequestHeaderModifier,
            "requestHeaderModifier",
            given.request_header_modifier.is_some(),
        ),
        (
            FilterType::ResponseHeaderModifier,
            "responseHeaderModifier",
            given.response_header_modifier.is_some(),
        ),
        (
            FilterType::RequestMirror,
            "requestMirror",
            given.request_mirror.is_some(),
        ),
        (
            FilterType::RequestRedirect,
            "requestRedirect",
            given.request_redirect.is_some(),
        ),
        (FilterType::UrlRewrite, "urlRewrite", given.url_rewrite.is_some()),
        (FilterType::Cors, "cors", given.cors.is_some()),
        (
            FilterType::ExtensionRef,
            "extensionRef",
            given.extension_ref.is_some(),
        ),
        (
            FilterType::ExternalAuth,
            "externalAuth",
            given.external_auth.is_some(),
        ),
    ];
    for (kind, field, present) in fields {
        let wanted = kind == given.kind;
        if wanted && !present {
            return Err(invalid(
                "",
                format!("filter {kind} needs the field {field}"),
                "Set it",
            ));
        }
        if present && !wanted {
            return Err(invalid(
                field,
                format!("{field} does not belong to a filter of type {}", given.kind),
                "Make it a filter of its own",
            ));
        }
    }
    Ok(())
}

fn mirror(look: &mut Look<'_, '_>, given: &RequestMirror, field: &str) -> Read {
    let fraction = match (given.percent, &given.fraction) {
        (Some(_), Some(_)) => {
            return Err(invalid(
                "requestMirror",
                "percent and fraction can't both be set".into(),
                "Keep one of them",
            ));
        }
        (Some(percent), None) => share(percent, 100, "requestMirror.percent")?,
        (None, Some(fraction)) => share(
            fraction.numerator,
            fraction.denominator.unwrap_or(100),
            "requestMirror.fraction",
        )?,
        (None, None) => Fraction::ALL,
    };
    // A mirror whose backend is broken is left out, and the status says so (HTTPRequestMirrorFilter).
    let found = backend::reference(
        look,
        &given.backend_ref,
        &format!("{field}.requestMirror.backendRef"),
    );
    Ok(found
        .ok()
        .map(|(upstream, _)| Filter::Mirror(Mirror { upstream, fraction })))
}

fn share(numerator: i32, denominator: i32, field: &'static str) -> Result<Fraction, Mistake> {
    match (u32::try_from(numerator), u32::try_from(denominator)) {
        (Ok(numerator), Ok(denominator)) if denominator > 0 && numerator <= denominator => Ok(Fraction {
            numerator,
            denominator,
        }),
        _ => Err(invalid(
            field,
            format!("{numerator} out of {denominator} is not a share between nothing and all"),
            "Give a share from 0 to 100 percent",
        )),
    }
}

fn hostname(given: Option<&str>, field: &'static str) -> Result<Option<String>, Mistake> {
    let Some(text) = given else { return Ok(None) };
    let wrong = |why: String| {
        invalid(
            field,
            format!("hostname \"{text}\" {why}"),
            "Write a name such as shop.example.com",
        )
    };
    match hosts::parse(text, Star::Labels) {
        Ok(HostPattern::Exact(name)) => Ok(Some(name.to_string())),
        Ok(_) => Err(wrong("is a wildcard".into())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// A path that can stand in a request or a `Location` as it is.
fn plain<'a>(path: &'a str, field: &'static str) -> Result<&'a str, Mistake> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte);
    if path.starts_with('/') && path.bytes().all(fits) {
        return Ok(path);
    }
    Err(invalid(
        field,
        format!("\"{path}\" is not a path"),
        "Begin with /, and escape what may not stand in a path (a space as %20)",
    ))
}

pub(super) fn invalid(field: &'static str, message: String, hint: &str) -> Mistake {
    Mistake {
        code: Code::FilterInvalid,
        field,
        message,
        hint: hint.to_owned(),
        reason: "UnsupportedValue",
        reported: false,
    }
}

fn unsupported(message: String, hint: &str) -> Mistake {
    Mistake {
        code: Code::FilterUnsupported,
        ..invalid("", message, hint)
    }
}
