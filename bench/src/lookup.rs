//! Cost of one routing lookup by size and kind of table.
//!
//! Instructions come from callgrind, which counts only inside `look_up_all`, so building the table costs nothing in
//! the figure; nanoseconds from a run of the same program without it.

use ir::{
    Action, Bind, BindAddress, HostPattern, Layer, Listener, Match, Origin, PathMatch, Route, Rule,
    StringMatch, Transport, ValueMatch,
};
use router::{Head, Socket};
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Prints the table of sizes. `--fast` leaves callgrind out.
pub fn run(words: &[String]) -> Result<(), String> {
    let fast = words.iter().any(|word| word == "--fast");
    println!(
        "{:<26}{:>8}  {:>12}{:>8}{:>10}{:>12}{:>12}",
        "table", "rules", "instructions", "", "ns", "build ms", "change ms"
    );
    for (kind, sizes) in TABLES {
        let mut smallest = None;
        for &size in *sizes {
            let started = Instant::now();
            let case = case(kind, size)?;
            let socket = Socket::build(&case.bind, None, &mut |_: &Arc<Route>| ());
            let built = started.elapsed();
            let changed = change(&case, &socket);
            let nanoseconds = time(&case, &socket);
            let instructions = if fast { None } else { count(kind, size)? };
            let ratio = instructions.map(|count| count / *smallest.get_or_insert(count));
            println!(
                "{:<26}{:>8}  {:>12}{:>8}{:>10.0}{:>12.1}{:>12.1}",
                description(kind),
                size,
                instructions.map_or("-".into(), |count| format!("{count:.0}")),
                ratio.map_or(String::new(), |ratio| format!("x{ratio:.2}")),
                nanoseconds,
                built.as_secs_f64() * 1e3,
                changed.as_secs_f64() * 1e3,
            );
        }
    }
    Ok(())
}

/// Part of [`run`]: looks up COUNT requests in a table of KIND and SIZE.
pub fn look_up(words: &[String]) -> Result<(), String> {
    let [kind, size, count] = words else {
        return Err("wants KIND SIZE COUNT".into());
    };
    let number = |word: &String| word.parse().map_err(|_| format!("{word} is not a number"));
    let case = case(kind, number(size)?)?;
    let socket = Socket::build(&case.bind, None, &mut |_: &Arc<Route>| ());
    let heads = case.heads();
    // Once before counting: a regex set may build parts of its automaton on first use.
    look_up_all(&socket, &heads, heads.len());
    look_up_counted(&socket, &heads, number(count)?);
    Ok(())
}

/// Callgrind counts in here.
#[inline(never)]
fn look_up_counted(socket: &Socket<()>, heads: &[Head<'_>], count: usize) {
    look_up_all(black_box(socket), heads, count);
}

fn look_up_all(socket: &Socket<()>, heads: &[Head<'_>], count: usize) {
    for head in heads.iter().cycle().take(count) {
        black_box(socket.find(black_box(head)));
    }
}

/// Kind and sizes.
const TABLES: &[(&str, &[usize])] = &[
    ("hosts", &[10, 100, 1_000, 10_000]),
    ("paths", &[10, 100, 1_000, 10_000]),
    ("regexes", &[10, 100, 1_000]),
    ("headers", &[10, 100, 1_000, 10_000]),
    ("typical", &[50, 500, 5_000, 50_000]),
];

fn description(kind: &str) -> &'static str {
    match kind {
        "hosts" => "N hosts, 1 rule each",
        "paths" => "1 host, N prefixes",
        "regexes" => "1 host, N expressions",
        "headers" => "1 path, N header values",
        _ => "N/5 hosts, 5 mixed rules",
    }
}

/// A socket and requests spread over all of it.
struct Case {
    bind: Bind,
    requests: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
}

impl Case {
    fn heads(&self) -> Vec<Head<'_>> {
        self.requests
            .iter()
            .map(|(host, path)| Head {
                method: "GET",
                host,
                path,
                query: None,
                headers: &self.headers,
            })
            .collect()
    }
}

fn case(kind: &str, size: usize) -> Result<Case, String> {
    let exact = |name: String| vec![HostPattern::Exact(name.into())];
    let mut tenant = String::new();
    let mut requests = Vec::new();
    // The same few positions of every table, so that sizes can be compared.
    let positions = (0..16).map(|n| n * (size - 1) / 15);
    let routes: Vec<Route> = match kind {
        "hosts" => {
            requests.extend(positions.map(|n| (format!("host-{n:05}.example.com"), "/api/items".to_owned())));
            (0..size)
                .map(|n| route(n, exact(format!("host-{n:05}.example.com")), vec![prefix("")]))
                .collect()
        }
        "paths" => {
            requests
                .extend(positions.map(|n| ("example.com".to_owned(), format!("/service-{n:05}/api/items"))));
            let matches = (0..size)
                .map(|n| prefix(&format!("/service-{n:05}/api")))
                .collect();
            vec![route(0, exact("example.com".into()), matches)]
        }
        "regexes" => {
            requests
                .extend(positions.map(|n| ("example.com".to_owned(), format!("/service-{n:05}/items/42"))));
            let matches = (0..size)
                .map(|n| path(PathMatch::Regex(format!("/service-{n:05}/[a-z]+/[0-9]+"))))
                .collect();
            vec![route(0, exact("example.com".into()), matches)]
        }
        "headers" => {
            tenant = format!("tenant-{}", size / 2);
            requests.push(("example.com".to_owned(), "/api/items".to_owned()));
            let matches = (0..size)
                .map(|n| with_header(prefix("/api"), &format!("tenant-{n}")))
                .collect();
            vec![route(0, exact("example.com".into()), matches)]
        }
        "typical" => {
            let hosts = size / 5;
            for n in (0..16).map(|n| n * (hosts - 1) / 15) {
                for path in [
                    "/",
                    "/login",
                    "/api/v2/items",
                    "/users/42/avatar",
                    "/static/app.js",
                ] {
                    requests.push((format!("host-{n:05}.example.com"), path.to_owned()));
                }
            }
            (0..hosts)
                .map(|n| route(n, exact(format!("host-{n:05}.example.com")), typical()))
                .collect()
        }
        other => return Err(format!("no such table: {other}")),
    };
    Ok(Case {
        bind: bind(routes),
        requests,
        headers: headers(tenant),
    })
}

fn typical() -> Vec<Match> {
    vec![
        prefix(""),
        path(PathMatch::Exact("/login".into())),
        with_header(prefix("/api/v2"), "canary"),
        prefix("/api"),
        path(PathMatch::Regex("/users/[0-9]+/avatar".into())),
    ]
}

/// What a browser sends.
fn headers(tenant: String) -> Vec<(&'static str, String)> {
    vec![
        ("Host", "example.com".into()),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)".into()),
        (
            "Accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8".into(),
        ),
        ("Accept-Language", "en-US,en;q=0.5".into()),
        ("Accept-Encoding", "gzip, deflate, br".into()),
        ("X-Tenant", tenant),
        ("Cookie", "session=0123456789abcdef".into()),
        ("Connection", "keep-alive".into()),
    ]
}

fn bind(routes: Vec<Route>) -> Bind {
    let listener = Listener {
        clients: None,
        tls_policy: ir::TlsPolicy::default(),
        identity: None,
        origin: Origin::new("Gateway", "bench", "gateway"),
        layer: Layer::Gateway,
        hostname: HostPattern::Any,
        tls: vec![],
        routes: routes.into_iter().map(Arc::new).collect(),
    };
    Bind {
        address: BindAddress { ip: None, port: 80 },
        public_port: None,
        transport: Transport::Http,
        proxy_protocol: false,
        listeners: vec![Arc::new(listener)],
        default_certificates: vec![],
        streams: Vec::new(),
    }
}

/// One rule per match.
fn route(number: usize, hostnames: Vec<HostPattern>, matches: Vec<Match>) -> Route {
    let origin = Origin::new("HTTPRoute", "bench", format!("route-{number}"));
    let rule = |(index, conditions): (usize, Match)| Rule {
        origin: origin.section(format!("rules[{index}]")),
        index: index as u32,
        matches: [conditions].into(),
        filters: [].into(),
        action: Action::Answer,
        timeouts: None,
        retry: None,
        grpc: false,
    };
    Route {
        created: 0,
        hostnames: hostnames.into(),
        rules: matches.into_iter().enumerate().map(rule).collect(),
        origin: origin.clone(),
    }
}

fn path(path: PathMatch) -> Match {
    Match {
        path,
        method: None,
        headers: vec![],
        query: vec![],
    }
}

fn prefix(text: &str) -> Match {
    path(PathMatch::Prefix(text.to_owned()))
}

fn with_header(mut conditions: Match, value: &str) -> Match {
    conditions.headers.push(ValueMatch {
        name: "x-tenant".into(),
        value: StringMatch::Exact(value.to_owned()),
    });
    conditions
}

/// Time to build the table again after one route changed.
fn change(case: &Case, socket: &Socket<()>) -> Duration {
    let mut bind = case.bind.clone();
    let mut listener = (*bind.listeners[0]).clone();
    let first = listener
        .routes
        .iter()
        .next()
        .map(|route| (route.origin.clone(), (**route).clone()));
    if let Some((origin, copy)) = first {
        listener
            .routes
            .insert(|route| route.origin.cmp(&origin), Arc::new(copy));
    }
    bind.listeners[0] = Arc::new(listener);
    let started = Instant::now();
    let changed = black_box(Socket::build(&bind, Some(socket), &mut |_: &Arc<Route>| ()));
    let time = started.elapsed();
    drop(changed);
    time
}

/// Nanoseconds per lookup: the best of several runs, since others only ever make it slower.
fn time(case: &Case, socket: &Socket<()>) -> f64 {
    let heads = case.heads();
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        look_up_all(socket, &heads, TIMED);
        best = best.min(started.elapsed());
    }
    best.as_nanos() as f64 / TIMED as f64
}

/// Instructions per lookup; `None` without valgrind.
fn count(kind: &str, size: usize) -> Result<Option<f64>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let run = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*look_up_counted*",
        ])
        .arg(program)
        .args(["look-up", kind, &size.to_string(), &COUNTED.to_string()])
        .output();
    let Ok(output) = run else { return Ok(None) };
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse::<f64>().ok());
    match collected {
        Some(collected) if output.status.success() => Ok(Some(collected / COUNTED as f64)),
        _ => Err(format!("callgrind gave no figure:\n{said}")),
    }
}

const TIMED: usize = 20_000;
const COUNTED: usize = 8_000;
