//! The closed loop over HTTP/2: so many connections, each with so many streams under way, every answer checked.

use super::connection::Connector;
use super::{Kind, Load, Outcome, Until};
use crate::origin::BODY;
use h2::client::SendRequest;
use http::{Request, Uri};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// Connections of a load, which stay over its windows.
pub struct Streams {
    runtime: tokio::runtime::Runtime,
    local: LocalSet,
    shared: Rc<Shared>,
    connectors: Vec<Connector>,
    open: Vec<SendRequest<bytes::Bytes>>,
    per_connection: usize,
}

/// What all streams see.
struct Shared {
    uri: Uri,
    bytes: u64,
    /// The message of a call; unset for GETs.
    message: Option<bytes::Bytes>,
    began: Cell<Instant>,
    until: Cell<Until>,
    begun: Cell<u64>,
    outcome: RefCell<Outcome>,
    latencies: RefCell<Vec<u32>>,
}

impl Streams {
    /// Opens no connection yet. `bytes` of each answer's body are expected.
    pub fn new(load: &Load, bytes: u64, per_connection: usize) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let connector = |_| Connector::for_http2(load.target, &load.host, load.tls.as_deref());
        let scheme = if load.tls.is_some() { "https" } else { "http" };
        let path = load.paths.first().ok_or("a load needs a path")?;
        let uri = format!("{scheme}://{}{path}", load.host);
        Ok(Self {
            runtime,
            local: LocalSet::new(),
            shared: Rc::new(Shared {
                uri: uri.parse().map_err(|error| format!("{uri}: {error}"))?,
                bytes,
                message: matches!(load.kind, Kind::Calls { .. }).then(message),
                began: Cell::new(Instant::now()),
                until: Cell::new(Until::Requests(0)),
                begun: Cell::new(0),
                outcome: RefCell::default(),
                latencies: RefCell::default(),
            }),
            connectors: (0..load.connections).map(connector).collect::<Result<_, _>>()?,
            open: Vec::new(),
            per_connection,
        })
    }

    /// Sends until then.
    pub fn window(&mut self, until: Until) -> Result<Outcome, String> {
        let Self {
            runtime,
            local,
            shared,
            connectors,
            open,
            per_connection,
        } = self;
        local
            .block_on(runtime, async {
                for connector in connectors.iter().skip(open.len()) {
                    open.push(connect(connector).await?);
                }
                shared.begun.set(0);
                shared.until.set(until);
                shared.began.set(Instant::now());
                let tasks: Vec<_> = open
                    .iter()
                    .flat_map(|ask| std::iter::repeat_n(ask, *per_connection))
                    .map(|ask| tokio::task::spawn_local(stream(Rc::clone(shared), ask.clone())))
                    .collect();
                for task in tasks {
                    task.await.map_err(io::Error::other)?;
                }
                Ok::<_, io::Error>(())
            })
            .map_err(|error| error.to_string())?;
        let mut outcome = shared.outcome.take();
        outcome.elapsed = shared.began.get().elapsed();
        outcome.set_latencies(shared.latencies.take());
        Ok(outcome)
    }
}

async fn connect(connector: &Connector) -> io::Result<SendRequest<bytes::Bytes>> {
    let (stream, _) = connector.connect().await?;
    let mut builder = h2::client::Builder::new();
    // Large answers wait for nobody but the proxy.
    builder
        .initial_window_size(4 << 20)
        .initial_connection_window_size(16 << 20);
    let (ask, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(ask)
}

/// One stream after the other, through one window.
async fn stream(shared: Rc<Shared>, ask: SendRequest<bytes::Bytes>) {
    while shared.more() {
        let start = Instant::now();
        let limited = tokio::time::timeout(LIMIT, exchange(&shared, ask.clone()));
        let result = limited
            .await
            .unwrap_or_else(|_| Err(io::Error::other(format!("no answer within {LIMIT:?}"))));
        match result {
            Ok(()) => {
                shared.outcome.borrow_mut().answered += 1;
                let micros = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
                shared.latencies.borrow_mut().push(micros);
            }
            Err(error) => shared.outcome.borrow_mut().fail(error),
        }
    }
}

async fn exchange(shared: &Shared, ask: SendRequest<bytes::Bytes>) -> io::Result<()> {
    let mut request = Request::new(());
    *request.uri_mut() = shared.uri.clone();
    *request.version_mut() = http::Version::HTTP_2;
    let fields = request.headers_mut();
    fields.insert("user-agent", http::HeaderValue::from_static("bench"));
    fields.insert("accept", http::HeaderValue::from_static("*/*"));
    if shared.message.is_some() {
        *request.method_mut() = http::Method::POST;
        let fields = request.headers_mut();
        fields.insert("content-type", http::HeaderValue::from_static("application/grpc"));
        fields.insert("te", http::HeaderValue::from_static("trailers"));
    }
    let mut ask = ask.ready().await.map_err(io::Error::other)?;
    let (response, mut content) = ask
        .send_request(request, shared.message.is_none())
        .map_err(io::Error::other)?;
    if let Some(message) = &shared.message {
        content
            .send_data(message.clone(), true)
            .map_err(io::Error::other)?;
    }
    let response = response.await.map_err(io::Error::other)?;
    if response.status() != 200 {
        return Err(io::Error::other(format!("status {}", response.status())));
    }
    let mut body = response.into_body();
    let mut read = 0;
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(io::Error::other)?;
        read += piece.len() as u64;
        let given = body.flow_control().release_capacity(piece.len());
        given.map_err(io::Error::other)?;
    }
    if shared.message.is_some() {
        let trailer = body.trailers().await.map_err(io::Error::other)?;
        let status = trailer.as_ref().and_then(|trailer| trailer.get("grpc-status"));
        if status.is_none_or(|status| status != "0") {
            return Err(io::Error::other(format!("a call ended with {status:?}")));
        }
    }
    if read == shared.bytes {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "{read} bytes instead of {}",
            shared.bytes
        )))
    }
}

/// As many bytes as an answer has.
fn message() -> bytes::Bytes {
    let mut message = vec![0; 5];
    message[1..].copy_from_slice(&(BODY as u32 - 5).to_be_bytes());
    message.resize(BODY, b'x');
    message.into()
}

impl Shared {
    /// Takes one exchange out of the budget.
    fn more(&self) -> bool {
        let number = self.begun.get();
        self.begun.set(number + 1);
        let more = match self.until.get() {
            Until::Requests(count) => number < count,
            Until::Elapsed(length) => self.began.get().elapsed() < length,
        };
        // A proxy that answers nothing right ends the window.
        more && self.outcome.borrow().failed < 100
    }
}

/// Longer than any answer may take: under valgrind they take long.
const LIMIT: Duration = Duration::from_secs(60);
