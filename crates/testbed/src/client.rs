//! Requests and what tests say about their answers.

use crate::Connection;
use crate::wiring::Ports;
use rustls::ClientConfig;
use std::fmt::{self, Write as _};
use std::io;
use std::pin::Pin;
use std::sync::Arc;

/// A request in the making. Await it to send it on a connection of its own; a failure on the way is a panic.
#[derive(Clone)]
pub struct Call {
    ports: Arc<Ports>,
    tls: Option<Arc<ClientConfig>>,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Where a URL leads.
struct Target<'u> {
    tls: bool,
    /// As in the URL, with the port if it has one.
    authority: &'u str,
    host: &'u str,
    port: u16,
    path: &'u str,
}

impl Call {
    pub(crate) fn new(ports: Arc<Ports>, method: &str, url: &str) -> Self {
        Self {
            ports,
            tls: None,
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a field. `Host` replaces the URL's.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends a body, with its length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Speaks TLS as this client.
    #[must_use]
    pub fn client(mut self, client: &Arc<ClientConfig>) -> Self {
        self.tls = Some(Arc::clone(client));
        self
    }

    /// Sends it on a connection of its own.
    pub async fn send(self) -> io::Result<Response> {
        let mut connection = self.connect().await?;
        self.send_on(&mut connection).await
    }

    /// Sends it on an open connection and reads the answer.
    pub async fn send_on(&self, connection: &mut Connection) -> io::Result<Response> {
        connection.send(self.bytes()).await?;
        connection.response(self.method == "HEAD").await
    }

    /// Opens the connection that the URL asks for.
    pub async fn connect(&self) -> io::Result<Connection> {
        let target = Target::of(&self.url);
        let address = self.ports.address(target.port);
        if target.tls {
            match &self.tls {
                Some(client) => Connection::tls_as(address, target.host, Arc::clone(client)).await,
                None => Connection::tls(address, target.host).await,
            }
        } else {
            Connection::plain(address).await
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let target = Target::of(&self.url);
        // Writing to a String does not fail.
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, target.path);
        let has = |wanted: &str| {
            self.headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        if !has("host") {
            let _ = write!(head, "Host: {}\r\n", target.authority);
        }
        if !self.body.is_empty() && !has("transfer-encoding") {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head += "\r\n";
        [head.as_bytes(), &self.body].concat()
    }
}

/// `GET http://a.example/x`
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

impl IntoFuture for Call {
    type Output = Response;
    type IntoFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let what = self.to_string();
            match self.send().await {
                Ok(response) => response,
                Err(error) => panic!("{what}: {error}"),
            }
        })
    }
}

impl<'u> Target<'u> {
    fn of(url: &'u str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a URL with a scheme");
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => panic!("{url}: http or https"),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().expect("a port")),
            None => (authority, if tls { 443 } else { 80 }),
        };
        Self {
            tls,
            authority,
            host,
            port,
            path,
        }
    }
}

// What was expected holds or the test has failed; the answer is handed on for further expectations only.
#[allow(clippy::return_self_not_must_use)]
impl Response {
    /// The status.
    pub fn code(&self) -> u16 {
        self.status
    }

    /// First value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {}", self.text()),
        }
    }

    /// Name of the Service whose echo backend answered, if one did.
    pub fn service(&self) -> Option<String> {
        let value: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(value["service"].as_str()?.to_owned())
    }

    /// Expects this status.
    #[track_caller]
    pub fn status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Expects the answer of this Service's echo backend.
    #[track_caller]
    pub fn backend(self, service: &str) -> Self {
        assert_eq!(
            self.service().as_deref(),
            Some(service),
            "status {}: {}",
            self.status,
            self.text()
        );
        self
    }

    /// Expects a field with this value.
    #[track_caller]
    pub fn has(self, name: &str, value: &str) -> Self {
        assert_eq!(self.header(name), Some(value), "{name} of {:?}", self.headers);
        self
    }

    /// Expects no such field.
    #[track_caller]
    pub fn lacks(self, name: &str) -> Self {
        assert_eq!(self.header(name), None, "{name}");
        self
    }

    /// Expects that the backend got the request with this path (and query).
    #[track_caller]
    pub fn upstream_path(self, path: &str) -> Self {
        assert_eq!(self.json()["path"], path);
        self
    }

    /// Expects that the backend got a field with this value; several of a name are joined with a comma.
    #[track_caller]
    pub fn upstream_header(self, name: &str, value: &str) -> Self {
        let headers = &self.json()["headers"];
        assert_eq!(headers[name], value, "{name} of {headers}");
        self
    }

    /// Expects that the backend got no such field.
    #[track_caller]
    pub fn upstream_lacks(self, name: &str) -> Self {
        let headers = &self.json()["headers"];
        assert!(headers.get(name).is_none(), "{name} of {headers}");
        self
    }
}
