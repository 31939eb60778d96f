//! Streams that end early, each with its code.

use super::{client, echo, front, nobody};
use http::Request;
use narthex_testbed::Gateway;
use narthex_testbed::http2::Http2Backend;
use narthex_testbed::http3::{Broken, Http3, frame, headers, number};
use narthex_testbed::scripted::ScriptedBackend;
use proxy::http::h3::Code;
use tokio::sync::mpsc;

pub(super) const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "one.example"),
    (":path", "/"),
];

fn post(url: &str) -> Request<()> {
    Request::post(url).body(()).unwrap()
}

#[tokio::test]
async fn a_client_that_cancels_cancels_at_its_endpoint() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let tell_two = tell.clone();
    let one = ScriptedBackend::start(move |mut peer| {
        let tell = tell.clone();
        async move {
            peer.head().await.unwrap();
            tell.send("asked".to_owned()).unwrap();
            peer.closed().await;
            tell.send("closed".into()).unwrap();
        }
    })
    .await;
    let two = Http2Backend::start(move |mut received| {
        let tell = tell_two.clone();
        async move {
            tell.send("asked".to_owned()).unwrap();
            let reason = received.reset().await;
            tell.send(format!("{reason:?}")).unwrap();
        }
    })
    .await;
    let gw = front(one.address, two.address).start().await;
    for (host, end) in [("one", "closed"), ("two", "Some(CANCEL)")] {
        let client = client(&gw).await;
        let url = format!("https://{host}.example/");
        let request = Request::get(&url).body(()).unwrap();
        let mut asked = client.ask(&request, true).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), "asked");
        asked.cancel();
        assert_eq!(told.recv().await.unwrap(), end);
        // With content still to come.
        let mut asked = client.ask(&post(&url), false).await.unwrap();
        asked.send("some", false).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), "asked");
        asked.cancel();
        assert_eq!(told.recv().await.unwrap(), end);
        // The connection goes on.
        assert_eq!(client.get("https://nowhere.example/").await.status, 404);
        // A client that is gone altogether.
        let _asked = client.ask(&request, true).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), "asked");
        client
            .connection
            .close(quinn::VarInt::from_u32(Code::NO_ERROR.0), b"");
        assert_eq!(told.recv().await.unwrap(), end);
    }
    gw.metrics_when(|scrape| scrape.sum("narthex_faults_total", &["code=\"client-gone\""]) >= 6.0)
        .await;
}

#[tokio::test]
async fn a_response_that_breaks_off_is_reset() {
    let one = ScriptedBackend::start(|mut peer| async move {
        peer.head().await.unwrap();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            .await;
    })
    .await;
    let gw = front(one.address, nobody()).start().await;
    let client = client(&gw).await;
    let request = Request::get("https://one.example/").body(()).unwrap();
    let mut asked = client.ask(&request, true).await.unwrap();
    // A reset may overtake what was sent before it.
    let end = loop {
        match asked.next().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert_eq!(end, Err(Broken::Reset(u64::from(Code::INTERNAL_ERROR.0))));
    assert_eq!(client.get("https://two.example/").await.status, 502);
}

#[tokio::test]
async fn an_answer_that_comes_early_ends_the_upload() {
    let gw = echo().start().await;
    let client = client(&gw).await;
    let mut asked = client
        .ask(&post("https://nowhere.example/"), false)
        .await
        .unwrap();
    asked.send("some", false).await.unwrap();
    let stopped = asked.send.stopped();
    let answer = asked.answer().await.unwrap();
    assert_eq!(answer.status, 404);
    let code = stopped.await.unwrap();
    assert_eq!(
        code.map(quinn::VarInt::into_inner),
        Some(u64::from(Code::NO_ERROR.0))
    );
}

/// Opens a request's stream with these bytes, ends it, and tells how it was broken off.
async fn stream_end(client: &Http3, bytes: &[u8]) -> Broken {
    let mut asked = client.raw(bytes).await.unwrap();
    let _ = asked.send.finish();
    loop {
        match asked.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("answered"),
            Err(broken) => return broken,
        }
    }
}

#[tokio::test]
async fn a_malformed_request_costs_its_stream_and_nothing_else() {
    let gw = echo().start().await;
    let client = client(&gw).await;
    let with = |more: &[(&'static str, &'static str)]| headers(&[&GET[..], more].concat()).to_vec();
    let table: &[(&str, Vec<u8>, Code)] = &[
        ("no method", headers(&GET[1..]).to_vec(), Code::MESSAGE_ERROR),
        ("no path", headers(&GET[..3]).to_vec(), Code::MESSAGE_ERROR),
        ("a pseudo-header twice", with(&GET[3..]), Code::MESSAGE_ERROR),
        ("an unknown one", with(&[(":x", "y")]), Code::MESSAGE_ERROR),
        (
            "one behind a field",
            headers(&[&[("a", "b")], &GET[..]].concat()).to_vec(),
            Code::MESSAGE_ERROR,
        ),
        ("a capital letter", with(&[("A", "b")]), Code::MESSAGE_ERROR),
        (
            "a field of the connection",
            with(&[("connection", "x")]),
            Code::MESSAGE_ERROR,
        ),
        ("a line end", with(&[("a", "b\r\nc: d")]), Code::MESSAGE_ERROR),
        (
            "less content than said",
            [with(&[("content-length", "5")]), frame(0, b"abc").to_vec()].concat(),
            Code::MESSAGE_ERROR,
        ),
        (
            "more content than said",
            [with(&[("content-length", "2")]), frame(0, b"abc").to_vec()].concat(),
            Code::MESSAGE_ERROR,
        ),
        (
            "a pseudo-header in the trailer",
            [
                with(&[]),
                frame(0, b"abc").to_vec(),
                headers(&[(":path", "/")]).to_vec(),
            ]
            .concat(),
            Code::MESSAGE_ERROR,
        ),
        ("nothing", Vec::new(), Code::REQUEST_INCOMPLETE),
        (
            "nothing but what is unknown",
            frame(0x21, b"x").to_vec(),
            Code::REQUEST_INCOMPLETE,
        ),
    ];
    for (what, bytes, code) in table {
        let end = stream_end(&client, bytes).await;
        assert_eq!(end, Broken::Reset(u64::from(code.0)), "{what}");
    }
    // Answered, as over HTTP/2: RFC 9114 §4.1.2 leaves it to us.
    for (what, bytes, status) in [
        ("no authority", headers(&[GET[0], GET[1], GET[3]]), 400),
        (
            "two hosts",
            headers(&[&GET[..], &[("host", "other.example")]].concat()),
            400,
        ),
        (
            "too many fields",
            headers(&[&GET[..], &[("a", "b"); 120]].concat()),
            431,
        ),
        (
            "too long a field",
            headers(&[&GET[..], &[("a", &*"x".repeat(50_000))]].concat()),
            431,
        ),
        (
            "a long path",
            headers(&[
                GET[0],
                GET[1],
                GET[2],
                (":path", &*format!("/{}", "x".repeat(9000))),
            ]),
            414,
        ),
    ] {
        let mut asked = client.raw(&bytes).await.unwrap();
        let _ = asked.send.finish();
        let answer = asked.answer().await;
        assert_eq!(answer.map(|answer| answer.status), Ok(status), "{what}");
    }
    assert_eq!(client.get("https://one.example/").await.status, 200);
}

pub(super) async fn assert_code(gw: &Gateway, code: &str) {
    let label = format!("code=\"{code}\"");
    gw.metrics_when(|scrape| scrape.sum("narthex_faults_total", &[&label]) >= 1.0)
        .await;
}

#[tokio::test]
async fn a_client_gets_no_more_fields_than_it_takes() {
    let gw = echo().start().await;
    for (most, answered) in [(4096, true), (60, false)] {
        let client = Http3::bare(gw.address(443), "one.example").await;
        // `SETTINGS_MAX_FIELD_SECTION_SIZE` on the control stream, which may arrive after the request.
        let settings = frame(4, &[&number(6)[..], &number(most)].concat());
        let _control = client.uni(&[&number(0)[..], &settings].concat()).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let request = Request::get("https://one.example/").body(()).unwrap();
        let answer = client.ask(&request, true).await.unwrap().answer().await;
        assert_eq!(answer.is_ok(), answered, "{most}");
    }
    // It is the endpoint's answer that is too large, and not a client that went.
    assert_code(&gw, "response-head-too-large").await;
}
