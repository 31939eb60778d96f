//! Configurations with many hosts, each with the same five routes, for the proxies whose languages can say it:
//! a prefix, an exact path, an expression, a header field, an expression on a header field.

use crate::peer::{HAPROXY, HAPROXY_SYSTEM, NARTHEX, NGINX};
use std::fmt::Write as _;

/// The configuration of one proxy, with places to fill; empty for one that has none.
pub fn of(name: &str, hosts: usize) -> String {
    match name {
        NARTHEX => narthex(hosts),
        NGINX => nginx(hosts),
        HAPROXY | HAPROXY_SYSTEM => haproxy(hosts),
        _ => String::new(),
    }
}

fn narthex(hosts: usize) -> String {
    let committed = include_str!("../../../peers/narthex.yaml");
    let mut text = committed.to_owned();
    for host in 0..hosts {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r{host}, namespace: default}}\nspec:\n  \
             parentRefs: [{{name: bench}}]\n  hostnames: [h{host}.example]\n  rules:\n"
        );
        for matches in [
            "path: {type: PathPrefix, value: /api}",
            "path: {type: Exact, value: /health}",
            "path: {type: RegularExpression, value: \"/v[0-9]+/items/[a-z]+\"}",
            "headers: [{name: X-Canary, value: always}]",
            "headers: [{name: X-Agent, type: RegularExpression, value: \"mobile.*\"}]",
        ] {
            let _ = writeln!(
                text,
                "  - {{matches: [{{{matches}}}], backendRefs: [{{name: origin, port: 80}}]}}"
            );
        }
    }
    text
}

fn nginx(hosts: usize) -> String {
    let committed = include_str!("../../../peers/nginx.conf");
    // Everything up to the server, with the proxy's settings lifted out of it, so that all servers share them.
    let (before, server) = committed.split_once("    server {\n").unwrap_or((committed, ""));
    let mut text = before.to_owned();
    text.push_str("    server_names_hash_max_size 8192;\n    server_names_hash_bucket_size 64;\n");
    for line in server.lines().filter(|line| line.trim().starts_with("proxy_")) {
        let _ = writeln!(text, "{line}");
    }
    text.push_str(
        "    upstream other { server @ORIGIN@; keepalive 128; keepalive_requests 100000000; }\n    \
         map $http_x_agent $by_agent { ~^mobile.*$ origin; default other; }\n    \
         map $http_x_canary $by_field { always origin; default $by_agent; }\n",
    );
    for host in 0..hosts {
        let _ = writeln!(
            text,
            "    server {{ listen @LISTEN@; server_name h{host}.example;\n        \
             location /api {{ proxy_pass http://origin; }}\n        \
             location = /health {{ proxy_pass http://origin; }}\n        \
             location ~ ^/v[0-9]+/items/[a-z]+$ {{ proxy_pass http://origin; }}\n        \
             location / {{ proxy_pass http://$by_field; }} }}"
        );
    }
    text.push_str("}\n");
    text
}

fn haproxy(hosts: usize) -> String {
    let committed = include_str!("../../../peers/haproxy.cfg");
    let mut rules = String::new();
    let names: Vec<String> = (0..hosts).map(|host| format!("h{host}.example")).collect();
    // A line holds 64 words; lines of one name are one set, kept in a tree unless it ignores case (-i).
    for some in names.chunks(50) {
        let _ = writeln!(rules, "    acl known hdr(host),lower -m str {}", some.join(" "));
    }
    for condition in [
        "{ path /health }",
        "{ path_beg /api/ }",
        "{ path_reg ^/v[0-9]+/items/[a-z]+$ }",
        "{ hdr(x-canary) always }",
        "{ hdr_reg(x-agent) ^mobile.*$ }",
    ] {
        let _ = writeln!(rules, "    use_backend origin if known {condition}");
    }
    // Instead of what the committed file says about its one host.
    let mut text = String::new();
    for line in committed.lines() {
        if line.trim_start().starts_with("acl bench ") {
            text.push_str(&rules);
        } else if !line.contains(" if bench") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narthex_gets_five_rules_for_each_host() {
        let text = of(NARTHEX, 10);
        assert_eq!(text.matches("kind: HTTPRoute").count(), 11);
        assert_eq!(text.matches("matches: [{").count(), 50);
    }

    #[test]
    fn nginx_gets_a_server_for_each_host_with_the_shared_settings_once() {
        let text = of(NGINX, 10);
        assert_eq!(text.matches("server_name h").count(), 10);
        assert_eq!(text.matches("X-Request-ID").count(), 1);
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }

    #[test]
    fn haproxy_knows_every_host_and_no_longer_the_committed_one() {
        let text = of(HAPROXY, 120);
        assert_eq!(text.matches(".example").count(), 120);
        assert!(!text.contains("bench.example"));
    }
}
