//! Changes host and path of the forwarded request (HTTPURLRewriteFilter).

use super::{Changes, Request};

/// Notes the changes.
pub fn apply<'p>(rewrite: &'p ir::UrlRewrite, request: &Request<'_>, changes: &mut Changes<'p>) {
    if let Some(host) = &rewrite.hostname {
        changes.host = Some(host);
    }
    if let Some(path) = &rewrite.path {
        changes.path = Some(changed_path(path, request.path, request.prefix));
    }
}

/// The path after a change. `prefix` is what the rule matched, without a trailing slash.
///
/// ReplacePrefixMatch goes by path elements: `/foo` to `/bar` turns `/foo` into `/bar`, `/foo/` into `/bar/`, and
/// `/foo/x` into `/bar/x`; replaced by `/` or nothing, `/foo` and `/foo/` become `/` and `/foo/x` becomes `/x`.
pub fn changed_path(change: &ir::PathRewrite, path: &str, prefix: Option<&str>) -> String {
    let replacement = match change {
        ir::PathRewrite::Full(full) => return absolute(full),
        ir::PathRewrite::Prefix(replacement) => replacement,
    };
    let prefix = prefix.unwrap_or_default().trim_end_matches('/');
    // A rule that did not match by prefix has nothing to replace (the API refuses that combination).
    let rest = path.strip_prefix(prefix).unwrap_or(path);
    let replacement = replacement.trim_end_matches('/');
    let mut changed = String::with_capacity(replacement.len() + rest.len() + 1);
    changed.push_str(replacement);
    // Nothing left and nothing put in its place: the root. Otherwise the rest begins with a slash or is empty.
    if !rest.starts_with('/') && (!rest.is_empty() || replacement.is_empty()) {
        changed.push('/');
    }
    changed.push_str(rest);
    absolute(&changed)
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.into()
    } else {
        format!("/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_replaced_by_path_elements() {
        // Rows of HTTPPathModifier's table, and some more.
        for (path, prefix, replacement, expected) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo/bar", "/foo", "/", "/bar"),
            ("/any", "", "/xyz", "/xyz/any"),
            ("/", "", "/xyz", "/xyz/"),
        ] {
            let change = ir::PathRewrite::Prefix(replacement.into());
            assert_eq!(
                changed_path(&change, path, Some(prefix)),
                expected,
                "{path}: {prefix} to {replacement}"
            );
        }
    }

    #[test]
    fn a_full_path_replaces_everything() {
        let change = ir::PathRewrite::Full("/one".into());
        assert_eq!(changed_path(&change, "/foo/bar", Some("/foo")), "/one");
    }
}
