//! The request to explain, as a command line or a line of a file gives it.

use super::curl;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A request, as far as routing looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// `https` rather than `http`.
    pub tls: bool,
    /// Not HTTP at all.
    pub stream: Option<StreamKind>,
    /// Host of the URL as given: what the client connects to, and its SNI.
    pub authority: String,
    /// Port of the URL, if it names one.
    pub port: Option<u16>,
    /// Path as given; begins with `/`, or is `*`.
    pub path: String,
    /// Query without `?`.
    pub query: Option<String>,
    /// Header fields; `Host` among them only if it was given.
    pub headers: Vec<(String, String)>,
}

/// What is asked about besides HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// `tls://name:port`
    Tls,
    /// `tcp://:port`
    Tcp,
    /// `udp://:port`
    Udp,
}

/// A request as a line of JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRequest {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

impl Request {
    /// From the words after the flags: `METHOD URL`, `URL`, or one word with a whole `curl` command.
    pub fn from_words(words: &[String], fields: &[String]) -> Result<Self, String> {
        let mut request = match words {
            [line] if line.trim_start().starts_with("curl ") => curl::read(line)?,
            // `GET` alone is a method whose URL was forgotten, not a host.
            [word] if METHODS.contains(&word.as_str()) => {
                return Err(format!(
                    "`{word}` names no URL; a request is METHOD URL, as in {word} http://shop.example/cart"
                ));
            }
            [url] => Self::new("GET", url)?,
            [method, url] => Self::new(method, url)?,
            _ => return Err("a request is METHOD URL, or URL alone for GET".into()),
        };
        for text in fields {
            request.headers.push(field(text)?);
        }
        Ok(request)
    }

    /// From a line of a file: JSON, a `curl` command, or `METHOD URL` and header fields in quotes or brackets.
    pub fn from_line(line: &str) -> Result<Self, String> {
        let line = line.trim();
        if line.starts_with('{') {
            let json: JsonRequest = serde_json::from_str(line).map_err(|error| error.to_string())?;
            let mut request = Self::new(&json.method, &json.url)?;
            request.headers.extend(json.headers);
            return Ok(request);
        }
        if line.starts_with("curl ") {
            return curl::read(line);
        }
        let words = curl::words(line)?;
        match words.as_slice() {
            [url] if url.contains('/') => Self::new("GET", url),
            [method, url, fields @ ..] => {
                let mut request = Self::new(method, url)?;
                for text in fields {
                    let text = text
                        .strip_prefix('[')
                        .and_then(|rest| rest.strip_suffix(']'))
                        .unwrap_or(text);
                    request.headers.push(field(text)?);
                }
                Ok(request)
            }
            _ => Err(
                "a line is METHOD URL and header fields in quotes, or JSON with method, url and headers"
                    .into(),
            ),
        }
    }

    /// From a method and a URL; without a scheme it is `http`.
    pub fn new(method: &str, url: &str) -> Result<Self, String> {
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(format!(
                "`{method}` is not a method; a request is METHOD URL, as in GET http://shop.example/cart"
            ));
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let (tls, stream) = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => (false, None),
            "https" | "wss" => (true, None),
            "tls" => (true, Some(StreamKind::Tls)),
            "tcp" => (false, Some(StreamKind::Tcp)),
            "udp" => (false, Some(StreamKind::Udp)),
            other => return Err(format!("`{other}` is not http, https, tls, tcp or udp")),
        };
        // What follows `#` stays with the client (RFC 3986 §3.5).
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = split_port(authority)?;
        if stream.is_some() && port.is_none() && (!tls || host.is_empty()) {
            return Err(format!("`{url}` names no port, as tcp://:5432 does"));
        }
        if host.is_empty() && (stream.is_none() || tls) {
            return Err(format!(
                "`{url}` names no host; a URL looks like http://shop.example/cart"
            ));
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Ok(Self {
            method: if stream.is_some() {
                "open".into()
            } else {
                method.to_owned()
            },
            tls,
            stream,
            authority: host.to_owned(),
            port,
            path: if path.is_empty() {
                "/".into()
            } else {
                path.to_owned()
            },
            query,
            headers: Vec::new(),
        })
    }

    /// Value of `Host`: the field if it was given, else what a client makes of the URL.
    pub fn host(&self) -> String {
        let given = self
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("host"));
        match (given, self.port) {
            (Some((_, value)), _) => value.clone(),
            (None, Some(port)) => format!("{}:{port}", self.authority),
            (None, None) => self.authority.clone(),
        }
    }

    /// `http` or `https`, or what it is else.
    pub fn scheme(&self) -> &'static str {
        match self.stream {
            Some(StreamKind::Tls) => "tls",
            Some(StreamKind::Tcp) => "tcp",
            Some(StreamKind::Udp) => "udp",
            None if self.tls => "https",
            None => "http",
        }
    }

    /// The URL as it was understood.
    pub fn url(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let query = self
            .query
            .as_ref()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let path = if self.stream.is_some() { "" } else { &self.path };
        format!("{}://{}{port}{path}{query}", self.scheme(), self.authority)
    }
}

/// `name: value`
pub fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("`{text}` is not a header field; write `name: value`"))?;
    let name = name.trim();
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("`{name}` is not the name of a header field"));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    if authority.starts_with('[') && !authority.contains(']') {
        return Err(format!("`{authority}` lacks the `]` that ends an IPv6 address"));
    }
    let after = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[after..].find(':') {
        None => Ok((authority, None)),
        Some(colon) => {
            let port = &authority[after + colon + 1..];
            let host = &authority[..after + colon];
            if port.is_empty() {
                return Ok((host, None));
            }
            let number = port.parse().map_err(|_| format!("`{port}` is not a port"))?;
            Ok((host, Some(number)))
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn get() -> String {
    "GET".into()
}

/// Those that someone may write without a URL.
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT",
];

#[cfg(test)]
mod tests {
    use super::Request;

    #[test]
    fn a_url_is_taken_apart_without_changing_its_path() {
        let request = Request::new("GET", "HTTPS://user:pw@Shop.example:8443/a%2Fb/../c?x=1#top").unwrap();
        assert!(request.tls);
        assert_eq!(request.authority, "Shop.example");
        assert_eq!(request.port, Some(8443));
        assert_eq!(request.path, "/a%2Fb/../c");
        assert_eq!(request.query.as_deref(), Some("x=1"));
        assert_eq!(request.host(), "Shop.example:8443");
    }

    #[test]
    fn short_forms_mean_what_curl_would_do() {
        let request = Request::new("GET", "[::1]:8080?a").unwrap();
        assert_eq!((request.authority.as_str(), request.port), ("[::1]", Some(8080)));
        assert_eq!(
            (request.path.as_str(), request.query.as_deref()),
            ("/", Some("a"))
        );
    }

    #[test]
    fn what_is_no_request_is_refused_with_a_reason() {
        for (method, url, part) in [
            ("G T", "http://a/", "not a method"),
            ("GET", "ftp://a/", "`ftp`"),
            ("GET", "/cart", "no host"),
            ("GET", "http://a:x/", "not a port"),
            ("GET", "http://[::1/", "lacks the `]`"),
        ] {
            let error = Request::new(method, url).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_method_without_a_url_is_not_taken_for_a_host() {
        let error = Request::from_words(&["GET".into()], &[]).unwrap_err();
        assert!(error.contains("names no URL"), "{error}");
        assert!(Request::from_words(&["shop.example".into()], &[]).is_ok());
    }

    #[test]
    fn lines_are_words_json_or_curl() {
        let expected = Request {
            headers: vec![("x-beta".into(), "yes".into())],
            ..Request::new("POST", "http://a.example/b").unwrap()
        };
        for line in [
            "POST http://a.example/b 'x-beta: yes'",
            "POST http://a.example/b [x-beta:yes]",
            r#"{"method": "POST", "url": "http://a.example/b", "headers": {"x-beta": "yes"}}"#,
            "curl -X POST -H 'x-beta: yes' http://a.example/b",
        ] {
            assert_eq!(Request::from_line(line), Ok(expected.clone()), "{line}");
        }
        assert!(Request::from_line("hello").is_err());
    }
}
