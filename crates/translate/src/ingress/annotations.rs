//! The annotations of ingress-nginx: one row each, and what is told about those that are not honoured.

use crate::input::Key;
use crate::scope::Scope;
use api::networking::{Ingress, NGINX_PREFIX};
use ir::{Code, Diagnostic, Severity};

/// Reports every ingress-nginx annotation of an Ingress that is not honoured.
pub(super) fn report(scope: &mut Scope<'_>, ingress: &Ingress) {
    let origin = Key::of(&ingress.metadata).origin("Ingress");
    for (annotation, _) in ingress.metadata.annotations.iter() {
        let Some(name) = annotation.strip_prefix(NGINX_PREFIX) else {
            continue;
        };
        let finding = |message| {
            let field = format!("metadata.annotations[{annotation:?}]");
            Diagnostic::new(Code::AnnotationNotHonoured, origin.clone(), field, message)
        };
        let row = TABLE.binary_search_by(|row| row.name.cmp(name)).ok();
        match row.map(|index| &TABLE[index]) {
            Some(Row {
                state: State::Honoured,
                ..
            }) => {}
            Some(Row {
                about,
                state: State::NotYet,
                ..
            }) => {
                let finding = finding(format!("{name} ({about}) is not honoured yet"));
                scope.report(finding.hint(
                    "Remove it if the Ingress works without; else keep the Ingress on its present controller for now",
                ));
            }
            Some(Row {
                about,
                state: State::NotYetAGuard,
                ..
            }) => {
                let message = format!(
                    "{name} ({about}) is not honoured yet: requests that it would refuse are let through"
                );
                let mut finding = finding(message);
                finding.severity = Severity::Error;
                scope.report(finding.hint("Keep such an Ingress on its present controller for now"));
            }
            None if GONE.contains(&name) => {
                let message = format!("{name} was taken out of ingress-nginx and has no effect there either");
                scope.report(finding(message).hint("Remove it"));
            }
            None => {
                let finding = finding(format!("{name} is not an annotation of ingress-nginx"));
                scope.report(match nearest(name) {
                    Some(row) => finding.hint(format!("Did you mean {}?", row.name)),
                    None => finding.hint("Remove it"),
                });
            }
        }
    }
}

/// Whether the Ingress wants plain requests for its TLS hosts redirected; yes unless `ssl-redirect` says no.
/// Only words that ingress-nginx takes count, anything else leaves the default.
pub(super) fn ssl_redirect(scope: &mut Scope<'_>, ingress: &Ingress) -> bool {
    let name = format!("{NGINX_PREFIX}ssl-redirect");
    let Some(value) = ingress.metadata.annotations.get(&name) else {
        return true;
    };
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
        "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
        _ => {
            let origin = Key::of(&ingress.metadata).origin("Ingress");
            let field = format!("metadata.annotations[{name:?}]");
            let message = format!("{value:?} is neither true nor false; plain requests are redirected");
            let finding = Diagnostic::new(Code::AnnotationInvalid, origin, field, message);
            scope.report(finding.hint("Write \"true\" or \"false\", with the quotes"));
            true
        }
    }
}

/// An annotation of ingress-nginx.
struct Row {
    /// Without prefix.
    name: &'static str,
    /// What it is about, in a few words.
    about: &'static str,
    /// What becomes of it here.
    state: State,
}

enum State {
    /// Does here what it does there.
    Honoured,
    /// Reported; the Ingress works as if it were not there.
    NotYet,
    /// Likewise, and that lets requests through which it would have refused.
    NotYetAGuard,
}

/// The known annotation with the most similar name, if it is similar at all.
fn nearest(name: &str) -> Option<&'static Row> {
    let rows = TABLE.iter().map(|row| (distance(name, row.name), row));
    let (distance, row) = rows.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + row.name.len() / 5).then_some(row)
}

/// How many characters must be put in, taken out or changed to make `a` into `b` (Levenshtein).
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (left, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[left + 1];
            row[left + 1] = changed.min(diagonal + 1).min(row[left] + 1);
        }
    }
    row[b.len()]
}

/// Sorted by name.
#[rustfmt::skip] // a table: one line per row
const TABLE: &[Row] = &[
    Row { name: "affinity", about: "session affinity", state: State::NotYet },
    Row { name: "affinity-canary-behavior", about: "session affinity", state: State::NotYet },
    Row { name: "affinity-mode", about: "session affinity", state: State::NotYet },
    Row { name: "allowlist-source-range", about: "access by client address", state: State::NotYetAGuard },
    Row { name: "app-root", about: "redirect of /", state: State::NotYet },
    Row { name: "auth-always-set-cookie", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-cache-duration", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-cache-key", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-keepalive", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-keepalive-requests", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-keepalive-share-vars", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-keepalive-timeout", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-method", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-proxy-set-headers", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-realm", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-request-redirect", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-response-headers", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-secret", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-secret-type", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-signin", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-signin-redirect-param", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-snippet", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-tls-error-page", about: "client certificates", state: State::NotYetAGuard },
    Row { name: "auth-tls-match-cn", about: "client certificates", state: State::NotYetAGuard },
    Row { name: "auth-tls-pass-certificate-to-upstream", about: "client certificates", state: State::NotYetAGuard },
    Row { name: "auth-tls-secret", about: "client certificates", state: State::NotYetAGuard },
    Row { name: "auth-tls-verify-client", about: "client certificates", state: State::NotYetAGuard },
    Row { name: "auth-tls-verify-depth", about: "client certificates", state: State::NotYetAGuard },
    Row { name: "auth-type", about: "authentication", state: State::NotYetAGuard },
    Row { name: "auth-url", about: "authentication", state: State::NotYetAGuard },
    Row { name: "backend-protocol", about: "protocol to the backend", state: State::NotYet },
    Row { name: "canary", about: "canary release", state: State::NotYet },
    Row { name: "canary-by-cookie", about: "canary release", state: State::NotYet },
    Row { name: "canary-by-header", about: "canary release", state: State::NotYet },
    Row { name: "canary-by-header-pattern", about: "canary release", state: State::NotYet },
    Row { name: "canary-by-header-value", about: "canary release", state: State::NotYet },
    Row { name: "canary-weight", about: "canary release", state: State::NotYet },
    Row { name: "canary-weight-total", about: "canary release", state: State::NotYet },
    Row { name: "client-body-buffer-size", about: "buffers", state: State::NotYet },
    Row { name: "configuration-snippet", about: "raw nginx configuration", state: State::NotYet },
    Row { name: "connection-proxy-header", about: "request headers", state: State::NotYet },
    Row { name: "cors-allow-credentials", about: "cross-origin requests", state: State::NotYet },
    Row { name: "cors-allow-headers", about: "cross-origin requests", state: State::NotYet },
    Row { name: "cors-allow-methods", about: "cross-origin requests", state: State::NotYet },
    Row { name: "cors-allow-origin", about: "cross-origin requests", state: State::NotYet },
    Row { name: "cors-expose-headers", about: "cross-origin requests", state: State::NotYet },
    Row { name: "cors-max-age", about: "cross-origin requests", state: State::NotYet },
    Row { name: "custom-headers", about: "response headers", state: State::NotYet },
    Row { name: "custom-http-errors", about: "error pages", state: State::NotYet },
    Row { name: "default-backend", about: "error pages", state: State::NotYet },
    Row { name: "denylist-source-range", about: "access by client address", state: State::NotYetAGuard },
    Row { name: "disable-proxy-intercept-errors", about: "error pages", state: State::NotYet },
    Row { name: "enable-access-log", about: "logs", state: State::NotYet },
    Row { name: "enable-cors", about: "cross-origin requests", state: State::NotYet },
    Row { name: "enable-global-auth", about: "authentication", state: State::NotYetAGuard },
    Row { name: "enable-modsecurity", about: "web application firewall", state: State::NotYetAGuard },
    Row { name: "enable-opentelemetry", about: "tracing", state: State::NotYet },
    Row { name: "enable-owasp-core-rules", about: "web application firewall", state: State::NotYetAGuard },
    Row { name: "enable-rewrite-log", about: "logs", state: State::NotYet },
    Row { name: "fastcgi-index", about: "protocol to the backend", state: State::NotYet },
    Row { name: "fastcgi-params-configmap", about: "protocol to the backend", state: State::NotYet },
    Row { name: "force-ssl-redirect", about: "redirect to HTTPS", state: State::NotYet },
    Row { name: "from-to-www-redirect", about: "redirects", state: State::NotYet },
    Row { name: "http2-push-preload", about: "HTTP/2 push", state: State::NotYet },
    Row { name: "limit-allowlist", about: "request limits", state: State::NotYetAGuard },
    Row { name: "limit-burst-multiplier", about: "request limits", state: State::NotYetAGuard },
    Row { name: "limit-connections", about: "request limits", state: State::NotYetAGuard },
    Row { name: "limit-rate", about: "bandwidth limit", state: State::NotYet },
    Row { name: "limit-rate-after", about: "bandwidth limit", state: State::NotYet },
    Row { name: "limit-rpm", about: "request limits", state: State::NotYetAGuard },
    Row { name: "limit-rps", about: "request limits", state: State::NotYetAGuard },
    Row { name: "limit-whitelist", about: "request limits", state: State::NotYetAGuard },
    Row { name: "load-balance", about: "load balancing", state: State::NotYet },
    Row { name: "mirror-host", about: "mirroring", state: State::NotYet },
    Row { name: "mirror-request-body", about: "mirroring", state: State::NotYet },
    Row { name: "mirror-target", about: "mirroring", state: State::NotYet },
    Row { name: "modsecurity-snippet", about: "web application firewall", state: State::NotYetAGuard },
    Row { name: "modsecurity-transaction-id", about: "web application firewall", state: State::NotYetAGuard },
    Row { name: "opentelemetry-operation-name", about: "tracing", state: State::NotYet },
    Row { name: "opentelemetry-trust-incoming-span", about: "tracing", state: State::NotYet },
    Row { name: "permanent-redirect", about: "redirects", state: State::NotYet },
    Row { name: "permanent-redirect-code", about: "redirects", state: State::NotYet },
    Row { name: "preserve-trailing-slash", about: "redirect to HTTPS", state: State::NotYet },
    Row { name: "proxy-body-size", about: "size of request bodies", state: State::NotYet },
    Row { name: "proxy-buffer-size", about: "buffers", state: State::NotYet },
    Row { name: "proxy-buffering", about: "buffers", state: State::NotYet },
    Row { name: "proxy-buffers-number", about: "buffers", state: State::NotYet },
    Row { name: "proxy-busy-buffers-size", about: "buffers", state: State::NotYet },
    Row { name: "proxy-connect-timeout", about: "timeouts and tries", state: State::NotYet },
    Row { name: "proxy-cookie-domain", about: "rewriting of responses", state: State::NotYet },
    Row { name: "proxy-cookie-path", about: "rewriting of responses", state: State::NotYet },
    Row { name: "proxy-http-version", about: "protocol to the backend", state: State::NotYet },
    Row { name: "proxy-max-temp-file-size", about: "buffers", state: State::NotYet },
    Row { name: "proxy-next-upstream", about: "timeouts and tries", state: State::NotYet },
    Row { name: "proxy-next-upstream-timeout", about: "timeouts and tries", state: State::NotYet },
    Row { name: "proxy-next-upstream-tries", about: "timeouts and tries", state: State::NotYet },
    Row { name: "proxy-read-timeout", about: "timeouts and tries", state: State::NotYet },
    Row { name: "proxy-redirect-from", about: "rewriting of responses", state: State::NotYet },
    Row { name: "proxy-redirect-to", about: "rewriting of responses", state: State::NotYet },
    Row { name: "proxy-request-buffering", about: "buffers", state: State::NotYet },
    Row { name: "proxy-send-timeout", about: "timeouts and tries", state: State::NotYet },
    Row { name: "proxy-ssl-ciphers", about: "TLS to the backend", state: State::NotYet },
    Row { name: "proxy-ssl-name", about: "TLS to the backend", state: State::NotYet },
    Row { name: "proxy-ssl-protocols", about: "TLS to the backend", state: State::NotYet },
    Row { name: "proxy-ssl-secret", about: "TLS to the backend", state: State::NotYet },
    Row { name: "proxy-ssl-server-name", about: "TLS to the backend", state: State::NotYet },
    Row { name: "proxy-ssl-verify", about: "TLS to the backend", state: State::NotYet },
    Row { name: "proxy-ssl-verify-depth", about: "TLS to the backend", state: State::NotYet },
    Row { name: "relative-redirects", about: "redirects", state: State::NotYet },
    Row { name: "rewrite-target", about: "rewriting and regular expressions", state: State::NotYet },
    Row { name: "satisfy", about: "authentication", state: State::NotYetAGuard },
    Row { name: "server-alias", about: "more hosts", state: State::NotYet },
    Row { name: "server-snippet", about: "raw nginx configuration", state: State::NotYet },
    Row { name: "service-upstream", about: "load balancing", state: State::NotYet },
    Row { name: "session-cookie-change-on-failure", about: "session affinity", state: State::NotYet },
    Row { name: "session-cookie-conditional-samesite-none", about: "session affinity", state: State::NotYet },
    Row { name: "session-cookie-domain", about: "session affinity", state: State::NotYet },
    Row { name: "session-cookie-expires", about: "session affinity", state: State::NotYet },
    Row { name: "session-cookie-max-age", about: "session affinity", state: State::NotYet },
    Row { name: "session-cookie-name", about: "session affinity", state: State::NotYet },
    Row { name: "session-cookie-path", about: "session affinity", state: State::NotYet },
    Row { name: "session-cookie-samesite", about: "session affinity", state: State::NotYet },
    Row { name: "session-cookie-secure", about: "session affinity", state: State::NotYet },
    Row { name: "ssl-ciphers", about: "TLS parameters", state: State::NotYet },
    Row { name: "ssl-passthrough", about: "TLS passthrough", state: State::NotYet },
    Row { name: "ssl-prefer-server-ciphers", about: "TLS parameters", state: State::NotYet },
    Row { name: "ssl-redirect", about: "redirect to HTTPS", state: State::Honoured },
    Row { name: "stream-snippet", about: "raw nginx configuration", state: State::NotYet },
    Row { name: "temporal-redirect", about: "redirects", state: State::NotYet },
    Row { name: "temporal-redirect-code", about: "redirects", state: State::NotYet },
    Row { name: "upstream-hash-by", about: "load balancing", state: State::NotYet },
    Row { name: "upstream-hash-by-subset", about: "load balancing", state: State::NotYet },
    Row { name: "upstream-hash-by-subset-size", about: "load balancing", state: State::NotYet },
    Row { name: "upstream-vhost", about: "request headers", state: State::NotYet },
    Row { name: "use-port-in-redirects", about: "redirect to HTTPS", state: State::NotYet },
    Row { name: "use-regex", about: "rewriting and regular expressions", state: State::NotYet },
    Row { name: "whitelist-source-range", about: "access by client address", state: State::NotYetAGuard },
    Row { name: "x-forwarded-prefix", about: "request headers", state: State::NotYet },
];

/// Names that older releases of ingress-nginx had. They are still found in manifests.
const GONE: &[&str] = &[
    "add-base-url",
    "base-url-scheme",
    "enable-influxdb",
    "enable-opentracing",
    "global-rate-limit",
    "global-rate-limit-ignored-cidrs",
    "global-rate-limit-key",
    "global-rate-limit-window",
    "grpc-backend",
    "influxdb-host",
    "influxdb-measurement",
    "influxdb-port",
    "influxdb-server-name",
    "lua-resty-waf",
    "opentracing-trust-incoming-span",
    "secure-backends",
    "secure-verify-ca-secret",
    "session-cookie-hash",
    "ssl-redirect-code",
];

#[cfg(test)]
mod tests {
    use super::{TABLE, distance, nearest};

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(TABLE.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn a_misspelt_name_finds_its_neighbour_and_an_unrelated_one_does_not() {
        let near = |name| nearest(name).map(|row| row.name);
        assert_eq!(near("ssl-redirekt"), Some("ssl-redirect"));
        assert_eq!(near("rewrite-targets"), Some("rewrite-target"));
        assert_eq!(near("something-else-entirely"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
