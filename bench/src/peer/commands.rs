//! The command line of each proxy, and the configuration that it reads.

use super::template::Places;
use super::{CADDY, ENVOY, HAPROXY, HAPROXY_SYSTEM, NARTHEX, NGINX, Peer, RELAY, Setup, TRAEFIK};

/// Writes the configuration; answers the words that start the proxy with it.
pub fn command(peer: &Peer, setup: &Setup<'_>, places: &Places<'_>) -> Result<Vec<String>, String> {
    let config = |name: &str, committed: &str| -> Result<String, String> {
        let text = setup.config.unwrap_or(committed);
        let mut text = text.to_owned();
        for (wanted, changes) in [
            (setup.http2 || setup.grpc, http2(name)),
            (setup.grpc, grpc(name)),
            (setup.http3, http3(name)),
        ] {
            if wanted {
                text = changed(&text, changes);
            }
        }
        let written = places.write(name, &text)?;
        Ok(written.display().to_string())
    };
    let workers = setup.workers.to_string();
    let mut words = vec![peer.program.display().to_string()];
    let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
    match peer.name {
        NARTHEX => {
            let committed = if setup.streams {
                include_str!("../../peers/narthex-streams.yaml")
            } else {
                include_str!("../../peers/narthex.yaml")
            };
            let file = config("narthex.yaml", committed)?;
            add(&["run", &file, "--workers", &workers]);
            if !setup.flags.contains(&"--admin-address") {
                add(&["--admin-address", "off"]);
            }
            if setup.http3 {
                add(&["--http3"]);
            }
        }
        NGINX => {
            let committed = if setup.streams {
                include_str!("../../peers/nginx-streams.conf")
            } else {
                include_str!("../../peers/nginx.conf")
            };
            let file = config("nginx.conf", committed)?;
            let folder = places.folder.display().to_string();
            // A master process adds nothing to one worker, and callgrind would follow the wrong one.
            let master = if setup.workers == 1 {
                "master_process off;"
            } else {
                "master_process on;"
            };
            add(&["-p", &folder, "-c", &file, "-g", master]);
        }
        HAPROXY | HAPROXY_SYSTEM => {
            let committed = if setup.streams {
                include_str!("../../peers/haproxy-streams.cfg")
            } else {
                include_str!("../../peers/haproxy.cfg")
            };
            let file = config("haproxy.cfg", committed)?;
            add(&["-db", "-f", &file]);
        }
        ENVOY => {
            let committed = if setup.http3 {
                include_str!("../../peers/envoy-http3.yaml")
            } else {
                include_str!("../../peers/envoy.yaml")
            };
            let file = config("envoy.yaml", committed)?;
            add(&[
                "-c",
                &file,
                "--concurrency",
                &workers,
                "--disable-hot-restart",
                "--log-level",
                "warning",
            ]);
        }
        TRAEFIK => {
            places.write(
                "traefik-routes.yaml",
                include_str!("../../peers/traefik-routes.yaml"),
            )?;
            let file = config("traefik.yaml", include_str!("../../peers/traefik.yaml"))?;
            add(&[&format!("--configFile={file}")]);
        }
        CADDY => {
            let file = config("Caddyfile", include_str!("../../peers/Caddyfile"))?;
            add(&["run", "--adapter", "caddyfile", "--config", &file]);
        }
        RELAY => add(&["relay", &places.listen.to_string(), &places.origin.to_string()]),
        other => return Err(format!("{other} has no command line")),
    }
    words.extend(setup.flags.iter().map(|flag| places.fill(flag)));
    Ok(words)
}

/// The same configuration, with HTTP/2 for clients: some have to be told, on each port, which version they meet there.
fn http2(name: &str) -> Changes {
    match name {
        "nginx.conf" => &[
            ("listen @LISTEN@ reuseport", "listen @LISTEN@ http2 reuseport"),
            ("listen @TLS@ ssl reuseport", "listen @TLS@ ssl http2 reuseport"),
            (
                "keepalive_requests 100000000;\n    client",
                "keepalive_requests 100000000;\n    http2_max_concurrent_streams 128;\n    client",
            ),
        ],
        "haproxy.cfg" => &[
            ("bind @LISTEN@\n", "bind @LISTEN@ proto h2\n"),
            ("alpn http/1.1", "alpn h2"),
        ],
        "envoy.yaml" => &[
            ("codec_type: HTTP1", "codec_type: HTTP2"),
            ("alpn_protocols: [http/1.1]", "alpn_protocols: [h2]"),
        ],
        _ => &[],
    }
}

/// With HTTP/2 for the origin too, and what else calls of gRPC need.
fn grpc(name: &str) -> Changes {
    match name {
        "narthex.yaml" => &[(
            "{ports: [{port: 80}]}",
            "{ports: [{port: 80, appProtocol: kubernetes.io/h2c}]}",
        )],
        "nginx.conf" => &[
            (
                "location / { proxy_pass http://",
                "location / { grpc_pass grpc://",
            ),
            ("        proxy_set_header Host", "        grpc_set_header Host"),
            ("        proxy_set_header X-", "        grpc_set_header X-"),
        ],
        "haproxy.cfg" => &[("server origin @ORIGIN@", "server origin @ORIGIN@ proto h2")],
        _ => &[],
    }
}

/// With HTTP/3 for clients, where it is not on by itself (Caddy), a flag (Narthex) or a configuration of its own (Envoy).
fn http3(name: &str) -> Changes {
    match name {
        "traefik.yaml" => &[(r#"{address: "@TLS@"}"#, r#"{address: "@TLS@", http3: {}}"#)],
        _ => &[],
    }
}

/// What to replace by what in a configuration.
type Changes = &'static [(&'static str, &'static str)];

fn changed(text: &str, changes: Changes) -> String {
    let replace = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
    changes.iter().fold(text.to_owned(), replace)
}
