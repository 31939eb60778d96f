use super::*;

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "a.example"),
    (":path", "/x?y"),
];

fn read(fields: &[(&str, &str)]) -> Result<String, Unread> {
    let (mut raw, mut head) = (Buffer::default(), RequestHead::default());
    let limits = ir::Limits::default();
    let mut reader = RequestReader::new(Version::Http2, &limits, &mut raw, &mut head);
    for (name, value) in fields {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        reader.take(Kind::of(name, value), name, value);
    }
    reader.finish(true, || "key".into())?;
    Ok(String::from_utf8_lossy(raw.filled()).into_owned())
}

fn fault(outcome: &Result<String, Unread>) -> Option<Fault> {
    match outcome {
        Err(Unread::Fault { fault, .. }) => Some(*fault),
        _ => None,
    }
}

fn connect(protocol: &str) -> Vec<(&str, &str)> {
    vec![
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "http"),
        (":authority", "a.example"),
        (":path", "/chat"),
    ]
}

#[test]
fn a_protocol_that_is_no_token_or_another_http_is_refused() {
    assert_eq!(
        read(&connect("websocket")).unwrap(),
        "GET /chat HTTP/1.1\r\nhost: a.example\r\nupgrade: websocket\r\nsec-websocket-key: key\r\n"
    );
    for protocol in ["", "a b", "a, b", "ä", "h2c", "H2", "HTTP/1.1"] {
        assert_eq!(
            fault(&read(&connect(protocol))),
            Some(Fault::BadRequest),
            "{protocol:?}"
        );
    }
    assert_eq!(read(&connect("websocket\r\nx: y")), Err(Unread::Malformed));
}

#[test]
fn crumbs_of_cookies_become_one_line_and_host_gives_way_to_the_authority() {
    let fields = [
        (":method", "GET"),
        (":authority", "a.example:8080"),
        (":scheme", "http"),
        (":path", "/x?y"),
        ("cookie", "a=1"),
        ("accept", "*/*"),
        ("cookie", "b=2"),
        ("host", "A.example:8080"),
    ];
    assert_eq!(
        read(&fields).unwrap(),
        "GET /x?y HTTP/1.1\r\nhost: a.example:8080\r\naccept: */*\r\ncookie: a=1; b=2\r\n"
    );
}

#[test]
fn an_authority_that_is_none_or_that_host_contradicts_is_refused() {
    let with_host = |authority: Option<&str>, hosts: &[&str]| {
        let mut fields = vec![GET[0], GET[1], GET[3]];
        if let Some(authority) = authority {
            fields.push((":authority", authority));
        }
        fields.extend(hosts.iter().map(|host| ("host", *host)));
        read(&fields)
    };
    assert!(with_host(None, &["a.example"]).is_ok());
    assert!(with_host(Some("a.example"), &["a.example"]).is_ok());
    for (authority, hosts) in [
        (None, &[][..]),
        (None, &["a.example", "a.example"]),
        (Some("a.example"), &["a.example", "a.example"]),
        (Some("a.example"), &["b.example"]),
        (Some("a.example"), &["a.example:81"]),
        (Some("user@a.example"), &[]),
        (Some(""), &[]),
        (None, &["user@a.example"]),
        (None, &["a b"]),
    ] {
        let outcome = with_host(authority, hosts);
        assert_eq!(
            fault(&outcome),
            Some(Fault::BadRequest),
            "{authority:?} {hosts:?}"
        );
    }
}

type Fields = Vec<(&'static str, &'static str)>;

#[test]
fn malformed_requests_are_told_from_well_formed_ones() {
    let with = |more: &[(&'static str, &'static str)]| [&GET[..], more].concat();
    let without = |at: usize| {
        let mut fields = GET.to_vec();
        fields.remove(at);
        fields
    };
    let table: &[(&str, Fields, bool)] = &[
        ("whole", GET.to_vec(), true),
        ("no method", without(0), false),
        ("no scheme", without(1), false),
        ("no path", without(3), false),
        ("an empty path", [&GET[..3], &[(":path", "")]].concat(), false),
        ("a second path", with(&[(":path", "/")]), false),
        ("an unknown pseudo-header", with(&[(":x", "")]), false),
        ("a response's", with(&[(":status", "200")]), false),
        (
            "one behind a field",
            [&GET[..3], &[("a", "b")], &GET[3..]].concat(),
            false,
        ),
        ("a capital letter", with(&[("Accept", "x")]), false),
        ("an empty name", with(&[("", "x")]), false),
        ("a line end in a value", with(&[("a", "b\r\nc: d")]), false),
        ("Connection", with(&[("connection", "close")]), false),
        (
            "Transfer-Encoding",
            with(&[("transfer-encoding", "chunked")]),
            false,
        ),
        ("TE", with(&[("te", "trailers")]), true),
        ("TE of another kind", with(&[("te", "gzip")]), false),
        (
            "CONNECT with a path",
            [&[(":method", "CONNECT")], &GET[2..]].concat(),
            false,
        ),
        ("a protocol with GET", with(&[(":protocol", "websocket")]), false),
    ];
    for (what, fields, good) in table {
        assert_eq!(read(fields) != Err(Unread::Malformed), *good, "{what}");
    }
}

#[test]
fn what_breaks_our_rules_is_answered() {
    let long = "x".repeat(100_000);
    let with = |more: (&'static str, &str)| fault(&read(&[&GET[..], &[(more.0, &*long)], &[more]].concat()));
    assert_eq!(with(("a", "b")), Some(Fault::HeadTooLarge));
    let path = |path: &str| fault(&read(&[&GET[..3], &[(":path", path)]].concat()));
    assert_eq!(
        path(&format!("/{}", &long[..9000])),
        Some(Fault::RequestLineTooLong)
    );
    for bad in ["x", "*", "/a#b", "/ä", "/a b"] {
        assert_eq!(path(bad), Some(Fault::BadRequest), "{bad}");
    }
    assert_eq!(path("/"), None);
    let tunnel = [(":method", "CONNECT"), (":authority", "a:1")];
    assert_eq!(fault(&read(&tunnel)), Some(Fault::ConnectRefused));
    let spaced = fault(&read(&[&GET[..], &[("a", " b")]].concat()));
    assert_eq!(spaced, Some(Fault::BadRequest));
}
