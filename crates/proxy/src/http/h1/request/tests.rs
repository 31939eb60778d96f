//! Every rule of strictness as a row, with the clause it comes from.

use super::*;

fn parse(text: &str) -> Result<RequestHead, Fault> {
    parse_with(text.as_bytes(), &ir::Limits::default())
}

fn parse_with(bytes: &[u8], limits: &ir::Limits) -> Result<RequestHead, Fault> {
    let mut head = RequestHead::default();
    let whole = parse_request(bytes, limits, &mut head);
    // However the bytes are cut, the answer is the same.
    let mut piecewise = RequestHead::default();
    let mut last = Ok(None);
    for end in 1..=bytes.len() {
        last = parse_request(&bytes[..end], limits, &mut piecewise);
        if last != Ok(None) {
            break;
        }
    }
    assert_eq!(whole, last, "{}", String::from_utf8_lossy(bytes));
    whole.map(|end| {
        assert!(end.is_some(), "incomplete: {}", String::from_utf8_lossy(bytes));
        head
    })
}

#[test]
fn a_plain_request_is_read() {
    let text = "GET /a/b?c=d HTTP/1.1\r\nHost: a.example:8080\r\nAccept: */*\r\n\r\n";
    let head = parse(text).expect("valid");
    let raw = text.as_bytes();
    assert_eq!(head.method.of_bytes(raw), b"GET");
    assert_eq!(head.path.of_bytes(raw), b"/a/b");
    assert_eq!(head.query.map(|query| query.of_bytes(raw)), Some(&b"c=d"[..]));
    assert_eq!(head.authority.of_bytes(raw), b"a.example:8080");
    assert_eq!(head.body, BodyLength::Empty);
    assert!(head.persistent());
}

#[test]
fn what_servers_read_differently_is_refused() {
    let rows: &[(&str, &str, Fault)] = &[
        (
            "RFC 9112 §2.2 bare LF",
            "GET / HTTP/1.1\nHost: a\n\n",
            Fault::BadRequest,
        ),
        (
            "§2.2 bare LF after a field",
            "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§2.2 bare CR in a value",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3 two spaces",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        ("§3 no version", "GET /\r\nHost: a\r\n\r\n", Fault::BadRequest),
        (
            "§3 space in target",
            "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.1 method is a token",
            "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§2.3 version 2.0",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            Fault::Version,
        ),
        (
            "§2.3 version 1.2",
            "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§2.3 version in lower case",
            "GET / http/1.1\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "HTTP/2 preface",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            Fault::Version,
        ),
        ("§3.2 no Host", "GET / HTTP/1.1\r\n\r\n", Fault::BadRequest),
        (
            "§3.2 two Hosts",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2 empty Host",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2 list in Host",
            "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2 user in Host",
            "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2 path in Host",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2 bad port",
            "GET / HTTP/1.1\r\nHost: a:80b\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2 port too large",
            "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2 bad Host in HTTP/1.0",
            "GET / HTTP/1.0\r\nHost: a b\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2.2 Host against target",
            "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2.2 port against target",
            "GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2.2 absolute without Host",
            "GET http://a/ HTTP/1.1\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2.2 user in target",
            "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2.2 other scheme",
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2.3 CONNECT",
            "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
            Fault::ConnectRefused,
        ),
        (
            "§3.2.4 asterisk with GET",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "RFC 3986 fragment",
            "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "RFC 3986 8-bit",
            "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§3.2 relative target",
            "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§5.1 space before colon",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§5.1 empty name",
            "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§5.1 name not a token",
            "GET / HTTP/1.1\r\nHost: a\r\nA[]: b\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§5 line without colon",
            "GET / HTTP/1.1\r\nHost: a\r\nAB\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§5.2 obs-fold",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "§2.2 space before first field",
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "RFC 9110 §5.5 NUL",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "RFC 9110 §5.5 DEL",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "RFC 9110 §5.5 BEL",
            "GET / HTTP/1.1\r\nHost: a\r\nX: \x07\r\n\r\n",
            Fault::BadRequest,
        ),
        (
            "RFC 9110 §10.1.1",
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n",
            Fault::Expectation,
        ),
    ];
    for (rule, text, fault) in rows {
        assert_eq!(parse(text).map(|_| ()), Err(*fault), "{rule}: {text:?}");
    }
}

#[test]
fn a_body_has_one_framing_or_the_request_is_refused() {
    let framings: &[(&str, &str)] = &[
        (
            "RFC 9112 §6.3 both",
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
        ),
        (
            "§6.3 both, the other way",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
        ),
        ("§6.3 two lengths", "Content-Length: 3\r\nContent-Length: 4"),
        (
            "§6.3 the same length twice",
            "Content-Length: 3\r\nContent-Length: 3",
        ),
        ("§6.3 a list of lengths", "Content-Length: 3, 3"),
        ("RFC 9110 §8.6 sign", "Content-Length: +3"),
        ("RFC 9110 §8.6 negative", "Content-Length: -3"),
        ("RFC 9110 §8.6 hex", "Content-Length: 0x3"),
        ("RFC 9110 §8.6 empty", "Content-Length:"),
        ("RFC 9110 §8.6 overflow", "Content-Length: 18446744073709551616"),
        ("§6.1 another coding", "Transfer-Encoding: gzip"),
        ("§6.1 two codings", "Transfer-Encoding: gzip, chunked"),
        ("§6.1 chunked not last", "Transfer-Encoding: chunked, identity"),
        (
            "§6.1 chunked twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ),
        (
            "§6.1 chunked in two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ),
        ("§6.1 a word like it", "Transfer-Encoding: xchunked"),
        ("§6.1 quoted", "Transfer-Encoding: \"chunked\""),
        ("§6.1 with a parameter", "Transfer-Encoding: chunked;a=b"),
        ("§6.1 vertical tab", "Transfer-Encoding: \x0bchunked"),
        ("§6.1 empty", "Transfer-Encoding:"),
        ("§6.1 empty element", "Transfer-Encoding: ,chunked"),
    ];
    for (rule, framing) in framings {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        assert_eq!(parse(&text).map(|_| ()), Err(Fault::BadRequest), "{rule}");
    }
    // RFC 9112 §6.1: HTTP/1.0 with Transfer-Encoding.
    let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse(old).map(|_| ()), Err(Fault::BadRequest));
    // White space around the value is none of it (§5.1).
    let fine =
        parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \t Chunked\t \r\n\r\n").expect("valid");
    assert_eq!(fine.body, BodyLength::Chunked);
}

#[test]
fn absolute_form_gives_authority_and_path() {
    for (target, path, query) in [
        ("http://a.example/x?y", &b"/x"[..], Some(&b"y"[..])),
        ("HTTP://A.example", b"", None),
        ("http://a.example?y", b"", Some(b"y")),
        ("https://a.example/", b"/", None),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let head = parse(&text).expect(target);
        assert_eq!(head.form, Target::Absolute);
        assert_eq!(head.path.of_bytes(text.as_bytes()), path);
        assert_eq!(head.query.map(|query| query.of_bytes(text.as_bytes())), query);
        assert!(
            head.authority
                .of_bytes(text.as_bytes())
                .eq_ignore_ascii_case(b"a.example")
        );
    }
}

#[test]
fn unusual_but_valid_heads_are_read() {
    for text in [
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:\r\n\r\n",
        "GET /?a={b}|c HTTP/1.1\r\nHost: a_b.example\r\n\r\n",
        "M-SEARCH / HTTP/1.1\r\nHost:a\r\nEmpty:\r\nTab:\ta\t\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\r\n\r\n",
    ] {
        parse(text).expect(text);
    }
}

#[test]
fn an_upgrade_needs_its_connection_option_and_never_is_h2c() {
    let upgrade = |fields: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        parse(&text).expect("valid").upgrade
    };
    assert!(upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: websocket"));
    assert!(!upgrade("Upgrade: websocket"));
    assert!(!upgrade("Connection: upgrade\r\nUpgrade: h2c"));
    assert!(!upgrade("Connection: upgrade\r\nUpgrade: websocket, H2C"));
    assert!(!upgrade(
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5"
    ));
}

#[test]
fn sizes_beyond_the_limits_have_their_own_faults() {
    let limits = ir::Limits {
        request_line: 30,
        header_bytes: 60,
        header_count: 3,
        ..ir::Limits::default()
    };
    let fault = |text: &str| parse_with(text.as_bytes(), &limits).map(|_| ()).err();
    assert_eq!(
        fault("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n"),
        Some(Fault::RequestLineTooLong)
    );
    assert_eq!(
        fault(&format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(60)
        )),
        Some(Fault::HeadTooLarge)
    );
    assert_eq!(
        fault("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\nA: b\r\n\r\n"),
        Some(Fault::HeadTooLarge)
    );
    assert_eq!(fault("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\n\r\n"), None);
}

#[test]
fn noise_is_refused_at_its_first_byte() {
    let mut head = RequestHead::default();
    let hello = [0x16, 0x03, 0x01];
    assert_eq!(
        parse_request(&hello[..1], &ir::Limits::default(), &mut head),
        Err(Fault::BadRequest)
    );
}

#[test]
fn a_plain_host_is_what_the_router_would_make_of_it() {
    for host in [
        "a",
        "a.example",
        "x-1.a.example",
        "a.",
        "a..b",
        "A",
        "a:80",
        "[::1]",
        "a_b",
        ".a",
    ] {
        let head = parse(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).expect("valid");
        let mut room = String::new();
        let normal = router::host::normalise(host.as_bytes(), &mut room);
        assert_eq!(
            head.plain_host,
            matches!(host, "a" | "a.example" | "x-1.a.example"),
            "{host}"
        );
        if head.plain_host {
            assert_eq!(normal.map(|normal| normal.name), Ok(host));
        }
    }
}
