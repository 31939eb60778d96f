//! What an echo backend answers: a description of the request, or what the end of its path asks for.

use super::Identity;
use super::body::Body;
use super::websocket;
use crate::values::Duration;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;
use std::collections::BTreeMap;

/// Answers one request.
pub async fn answer(mut request: Request<Incoming>, identity: &Identity) -> Response<Body> {
    if websocket::is_asked_for(request.headers()) {
        return websocket::accept(&mut request);
    }
    let body_bytes = count(request.body_mut()).await;
    match Control::of(request.uri().path()) {
        Some(Control::Status(status)) => described(&request, identity, body_bytes, status),
        Some(Control::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            described(&request, identity, body_bytes, StatusCode::OK)
        }
        Some(Control::Bytes(length)) => plain("application/octet-stream", Body::filled(length)),
        Some(Control::Stream) => plain("text/plain", Body::lines(STREAM_LINES, STREAM_PAUSE)),
        None => described(&request, identity, body_bytes, StatusCode::OK),
    }
}

/// What the end of a path asks for, so that it also works behind a rule for a prefix: `/cart/status/503`.
#[derive(Debug, PartialEq, Eq)]
enum Control {
    /// `/status/503`
    Status(StatusCode),
    /// `/delay/2s`
    Delay(std::time::Duration),
    /// `/bytes/1048576`
    Bytes(u64),
    /// `/stream`
    Stream,
}

impl Control {
    fn of(path: &str) -> Option<Self> {
        let mut segments = path.rsplit('/');
        let last = segments.next()?;
        if last == "stream" {
            return Some(Self::Stream);
        }
        match segments.next()? {
            // 1xx is no final answer.
            "status" => {
                let status = StatusCode::from_bytes(last.as_bytes()).ok()?;
                (!status.is_informational()).then_some(Self::Status(status))
            }
            "delay" => Some(Self::Delay(last.parse::<Duration>().ok()?.0.min(LONGEST_DELAY))),
            "bytes" => Some(Self::Bytes(last.parse().ok()?)),
            _ => None,
        }
    }
}

/// What a request looked like from here.
#[derive(Serialize)]
struct Description<'a> {
    service: &'a str,
    namespace: &'a str,
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    host: Option<&'a str>,
    protocol: String,
    tls: Option<()>,
    headers: BTreeMap<&'a str, Vec<String>>,
    #[serde(rename = "bodyBytes")]
    body_bytes: u64,
}

fn described(
    request: &Request<Incoming>,
    identity: &Identity,
    body_bytes: u64,
    status: StatusCode,
) -> Response<Body> {
    let uri = request.uri();
    let description = Description {
        service: &identity.service,
        namespace: &identity.namespace,
        method: request.method().as_str(),
        path: uri.path(),
        query: uri.query(),
        host: request
            .headers()
            .get(http::header::HOST)
            .and_then(|host| host.to_str().ok()),
        protocol: format!("{:?}", request.version()),
        tls: None,
        headers: values_by_name(request.headers()),
        body_bytes,
    };
    let mut text = serde_json::to_vec_pretty(&description).expect("strings and numbers are always JSON");
    text.push(b'\n');
    // 204 and 304 have no body (RFC 9110 §15.3.5, §15.4.5).
    let body = if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        Body::whole(Vec::new())
    } else {
        Body::whole(text)
    };
    let mut response = plain("application/json", body);
    *response.status_mut() = status;
    response
}

fn plain(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn values_by_name(headers: &HeaderMap) -> BTreeMap<&str, Vec<String>> {
    let mut values: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        values.entry(name.as_str()).or_default().push(text);
    }
    values
}

async fn count(body: &mut Incoming) -> u64 {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, |chunk| chunk.len() as u64);
    }
    bytes
}

const STREAM_LINES: u32 = 10;
const STREAM_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);
const LONGEST_DELAY: std::time::Duration = std::time::Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::Control;
    use http::StatusCode;
    use std::time::Duration;

    #[test]
    fn the_end_of_the_path_says_what_to_do() {
        for (path, control) in [
            ("/", None),
            ("/status", None),
            (
                "/status/503",
                Some(Control::Status(StatusCode::SERVICE_UNAVAILABLE)),
            ),
            ("/cart/status/204", Some(Control::Status(StatusCode::NO_CONTENT))),
            ("/status/101", None),
            ("/status/9", None),
            ("/delay/1m30s", Some(Control::Delay(Duration::from_secs(90)))),
            ("/delay/24h", Some(Control::Delay(Duration::from_secs(600)))),
            ("/bytes/1048576", Some(Control::Bytes(1 << 20))),
            ("/bytes/-1", None),
            ("/a/stream", Some(Control::Stream)),
            ("/stream/", None),
        ] {
            assert_eq!(Control::of(path), control, "{path}");
        }
    }
}
