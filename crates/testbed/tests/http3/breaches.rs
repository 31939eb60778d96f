//! What breaks the rules of the connection.

use super::ends::{GET, assert_code};
use super::{client, echo};
use http::Request;
use narthex_testbed::http3::{Broken, Http3, frame, head, headers, number};
use proxy::http::h3::Code;

#[tokio::test]
async fn what_breaks_the_connection_is_named_and_harms_no_other() {
    let gw = echo().start().await;
    let bystander = client(&gw).await;
    let get = headers(&GET).to_vec();
    let settings = || [number(0).to_vec(), frame(4, b"").to_vec()].concat();
    let section = |bytes: &[u8]| On::Request(frame(1, &[&[0, 0], bytes].concat()).to_vec());
    let typed = |kind: u64, bytes: &[u8]| [&number(kind)[..], bytes].concat();
    let table = vec![
        // RFC 9114 §4.1, §7.
        (
            "content first",
            On::Request(frame(0, b"x").to_vec()),
            Code::FRAME_UNEXPECTED,
        ),
        (
            "settings on a request's stream",
            On::Request(frame(4, b"").to_vec()),
            Code::FRAME_UNEXPECTED,
        ),
        (
            "GOAWAY there",
            On::Request([get.clone(), frame(7, &[0]).to_vec()].concat()),
            Code::FRAME_UNEXPECTED,
        ),
        (
            "a push promise",
            On::Request(frame(5, &[0]).to_vec()),
            Code::FRAME_UNEXPECTED,
        ),
        (
            "CANCEL_PUSH there",
            On::Request(frame(3, &[0]).to_vec()),
            Code::FRAME_UNEXPECTED,
        ),
        (
            "MAX_PUSH_ID there",
            On::Request(frame(13, &[0]).to_vec()),
            Code::FRAME_UNEXPECTED,
        ),
        (
            "PRIORITY of HTTP/2",
            On::Request(frame(2, &[0; 5]).to_vec()),
            Code::FRAME_UNEXPECTED,
        ),
        (
            "PING of HTTP/2",
            On::Request(frame(6, &[0; 8]).to_vec()),
            Code::FRAME_UNEXPECTED,
        ),
        (
            "a frame that is cut",
            On::Request(get[..get.len() - 1].to_vec()),
            Code::FRAME_ERROR,
        ),
        (
            "no settings",
            On::Uni(typed(0, &frame(7, &[0]))),
            Code::MISSING_SETTINGS,
        ),
        (
            "settings twice",
            On::Control(frame(4, b"").to_vec()),
            Code::FRAME_UNEXPECTED,
        ),
        (
            "content on the control stream",
            On::Control(frame(0, b"x").to_vec()),
            Code::FRAME_UNEXPECTED,
        ),
        ("a head there", On::Control(get.clone()), Code::FRAME_UNEXPECTED),
        (
            "PING of HTTP/2 there",
            On::Control(frame(6, &[0; 8]).to_vec()),
            Code::FRAME_UNEXPECTED,
        ),
        (
            "a setting of HTTP/2",
            On::Uni(typed(0, &frame(4, &[2, 0]))),
            Code::SETTINGS_ERROR,
        ),
        (
            "a setting twice",
            On::Uni(typed(0, &frame(4, &[6, 1, 6, 1]))),
            Code::SETTINGS_ERROR,
        ),
        (
            "settings that are cut",
            On::Uni(typed(0, &frame(4, &[6]))),
            Code::FRAME_ERROR,
        ),
        (
            "GOAWAY of two numbers",
            On::Control(frame(7, &[0, 0]).to_vec()),
            Code::FRAME_ERROR,
        ),
        (
            "GOAWAY that takes back",
            On::Control([frame(7, &[1]), frame(7, &[2])].concat()),
            Code::ID_ERROR,
        ),
        (
            "MAX_PUSH_ID that takes back",
            On::Control([frame(13, &[2]), frame(13, &[1])].concat()),
            Code::ID_ERROR,
        ),
        (
            "a push cancelled that never was",
            On::Control(frame(3, &[0]).to_vec()),
            Code::ID_ERROR,
        ),
        // §6.2.
        (
            "a second control stream",
            On::Twice(settings()),
            Code::STREAM_CREATION_ERROR,
        ),
        (
            "a second encoder stream",
            On::Twice(number(2).to_vec()),
            Code::STREAM_CREATION_ERROR,
        ),
        (
            "a second decoder stream",
            On::Twice(number(3).to_vec()),
            Code::STREAM_CREATION_ERROR,
        ),
        (
            "a push stream of a client",
            On::Uni(typed(1, &[0])),
            Code::STREAM_CREATION_ERROR,
        ),
        (
            "a control stream that ends",
            On::Ended(settings()),
            Code::CLOSED_CRITICAL_STREAM,
        ),
        (
            "an encoder stream that ends",
            On::Ended(number(2).to_vec()),
            Code::CLOSED_CRITICAL_STREAM,
        ),
        (
            "a decoder stream that ends",
            On::Ended(number(3).to_vec()),
            Code::CLOSED_CRITICAL_STREAM,
        ),
        // RFC 9204.
        (
            "the dynamic table",
            section(&[0x80]),
            Code::QPACK_DECOMPRESSION_FAILED,
        ),
        (
            "a name of it",
            section(&[0x40, 0]),
            Code::QPACK_DECOMPRESSION_FAILED,
        ),
        (
            "behind the base",
            section(&[0x10]),
            Code::QPACK_DECOMPRESSION_FAILED,
        ),
        (
            "beyond the static table",
            section(&[0xff, 36]),
            Code::QPACK_DECOMPRESSION_FAILED,
        ),
        (
            "an insert count",
            On::Request(frame(1, &[2, 0, 0x80]).to_vec()),
            Code::QPACK_DECOMPRESSION_FAILED,
        ),
        (
            "a section without prefix",
            On::Request(frame(1, &[]).to_vec()),
            Code::QPACK_DECOMPRESSION_FAILED,
        ),
        (
            "an endless number",
            section(&[0xff; 14]),
            Code::QPACK_DECOMPRESSION_FAILED,
        ),
        (
            "a string that is cut",
            section(&[0x51, 9, b'/']),
            Code::QPACK_DECOMPRESSION_FAILED,
        ),
        (
            "bad Huffman",
            section(&[0x51, 0x81, 0xff]),
            Code::QPACK_DECOMPRESSION_FAILED,
        ),
        (
            "a table that was not offered",
            On::Uni(typed(2, &[0x3f, 1])),
            Code::QPACK_ENCODER_STREAM_ERROR,
        ),
        (
            "an insert",
            On::Uni(typed(2, &[0xc1, 1, b'x'])),
            Code::QPACK_ENCODER_STREAM_ERROR,
        ),
        (
            "a duplicate",
            On::Uni(typed(2, &[0])),
            Code::QPACK_ENCODER_STREAM_ERROR,
        ),
        (
            "an acknowledgement of nothing",
            On::Uni(typed(3, &[0x80])),
            Code::QPACK_DECODER_STREAM_ERROR,
        ),
        (
            "an increment",
            On::Uni(typed(3, &[1])),
            Code::QPACK_DECODER_STREAM_ERROR,
        ),
    ];
    let count = table.len();
    for (what, on, code) in table {
        let client = Http3::bare(gw.address(443), "one.example").await;
        let mut kept = Vec::new();
        match on {
            On::Request(bytes) => {
                let mut asked = client.raw(&bytes).await.unwrap();
                let _ = asked.send.finish();
                let end = client.closed().await;
                assert_eq!(end, Broken::Closed(u64::from(code.0)), "{what}");
                continue;
            }
            On::Uni(bytes) => kept.push(client.uni(&bytes).await),
            On::Control(bytes) => kept.push(client.uni(&[settings(), bytes].concat()).await),
            On::Twice(bytes) => {
                kept.push(client.uni(&bytes).await);
                kept.push(client.uni(&bytes).await);
            }
            On::Ended(bytes) => {
                let mut stream = client.uni(&bytes).await;
                let _ = stream.finish();
                kept.push(stream);
            }
        }
        assert_eq!(client.closed().await, Broken::Closed(u64::from(code.0)), "{what}");
    }
    assert_eq!(bystander.get("https://one.example/").await.status, 200);
    gw.metrics_when(|scrape| scrape.sum("narthex_faults_total", &["code=\"bad-frames\""]) >= count as f64)
        .await;
}

#[tokio::test]
async fn what_means_nothing_is_passed_over() {
    let gw = echo().start().await;
    let client = client(&gw).await;
    let mut kept = vec![
        client.uni(&[&number(0x21)[..], b"whatever"].concat()).await,
        client.uni(&number(2)).await,
        client.uni(&[&number(3)[..], &[0x40, 0x7f, 0x05]].concat()).await,
    ];
    // One that ends before its type.
    client.uni(&[0x40]).await.finish().unwrap();
    // The gateway wants no more of the first.
    let code = kept[0].stopped().await.unwrap();
    assert_eq!(
        code.map(quinn::VarInt::into_inner),
        Some(u64::from(Code::STREAM_CREATION_ERROR.0))
    );
    let request = head(&Request::post("https://one.example/").body(()).unwrap());
    let bytes = [
        &frame(0x21, b"before")[..],
        &request,
        &frame(0x40, b"between"),
        &frame(0, b"hello"),
        &frame(0, b""),
        &frame(0xf_0700, b"u=1"),
        &frame(0, b" world"),
        &frame(0x21, b"behind"),
    ];
    let mut asked = client.raw(&bytes.concat()).await.unwrap();
    asked.send.finish().unwrap();
    let answer = asked.answer().await.unwrap();
    assert!(answer.text().contains("\"bodyBytes\":11"), "{}", answer.text());
    kept.clear();
}

#[tokio::test]
async fn floods_close_their_connection() {
    let gw = echo().start().await;
    let load = Broken::Closed(u64::from(Code::EXCESSIVE_LOAD.0));
    // Frames that mean nothing.
    let client = Http3::bare(gw.address(443), "one.example").await;
    let settings = [number(0).to_vec(), frame(4, b"").to_vec()].concat();
    let _control = client
        .uni(&[settings, frame(0x21, b"").repeat(3000)].concat())
        .await;
    assert_eq!(client.closed().await, load);
    // Requests that are taken back (CVE-2023-44487).
    let client = super::client(&gw).await;
    let request = Request::post("https://one.example/").body(()).unwrap();
    let flood = async {
        for _ in 0..2000 {
            let Ok(mut asked) = client.ask(&request, false).await else {
                break;
            };
            asked.cancel();
        }
    };
    tokio::select! {
        () = flood => assert_eq!(client.closed().await, load),
        end = client.closed() => assert_eq!(end, load),
    }
    let client = super::client(&gw).await;
    assert_eq!(client.get("https://one.example/").await.status, 200);
    assert_code(&gw, "flood").await;
}

/// What closes a connection: bytes on a request's stream, or on one in one direction.
enum On {
    Request(Vec<u8>),
    Uni(Vec<u8>),
    /// Behind the settings on the control stream.
    Control(Vec<u8>),
    /// Two of them.
    Twice(Vec<u8>),
    /// It ends.
    Ended(Vec<u8>),
}
