//! The gateway under test: its files, its threads, and the ways to talk to it.

use crate::backend::Backends;
use crate::wiring::{Ports, Shown, ToLoopback};
use crate::{Authority, Call, Connection, DEADLINE, Expect, Load, Scrape, WebSocket};
use control::{ControlOptions, Live, State};
use proxy::DataPlane;
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use telemetry::access::{AccessLog, Format, Output};
use telemetry::{Telemetry, access};
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use translate::Settings;

/// A running gateway. It ends when dropped.
pub struct Gateway {
    directory: TempDir,
    state: Arc<State>,
    data_plane: Arc<DataPlane>,
    ports: Arc<Ports>,
    backends: Backends,
    access_log: Option<AccessLog>,
    admin: SocketAddr,
    /// Generation that was live before the last change of a file.
    before: AtomicU64,
    /// Dropped last: tells the threads to end.
    _stop: watch::Sender<()>,
}

/// What to start.
pub struct GatewayBuilder {
    files: Vec<(String, String)>,
    settings: Settings,
    workers: usize,
    access_log: Option<String>,
    watch: Option<PathBuf>,
    echo: bool,
}

impl Gateway {
    /// A gateway for these objects, live when this is ready.
    pub async fn from_yaml(yaml: &str) -> Self {
        Self::builder().file("objects.yaml", yaml).start().await
    }

    /// A gateway with more than one file, or other settings than `narthex run` without flags.
    pub fn builder() -> GatewayBuilder {
        GatewayBuilder {
            files: Vec::new(),
            settings: Settings {
                watch_ingress_without_class: true,
                ..Settings::default()
            },
            workers: 2,
            access_log: None,
            watch: None,
            echo: true,
        }
    }

    /// A GET request.
    pub fn get(&self, url: &str) -> Call {
        self.call("GET", url)
    }

    /// A request.
    pub fn call(&self, method: &str, url: &str) -> Call {
        Call::new(Arc::clone(&self.ports), method, url)
    }

    /// A WebSocket to this `http` or `https` URL.
    pub async fn websocket(&self, url: &str) -> WebSocket {
        WebSocket::open(self.get(url)).await
    }

    /// A connection without TLS to a port of the objects, for bytes of any kind.
    pub async fn connect(&self, port: u16) -> Connection {
        Connection::plain(self.address(port))
            .await
            .expect("the gateway accepts")
    }

    /// Where a port of the objects is open.
    pub fn address(&self, port: u16) -> SocketAddr {
        self.ports.address(port)
    }

    /// Where a UDP port of the objects is open.
    pub fn udp_address(&self, port: u16) -> SocketAddr {
        self.ports.udp_address(port)
    }

    /// Whether a port of the objects is served over HTTP/3 too.
    pub fn serves_http3(&self, port: u16) -> bool {
        let open = self.address(port);
        self.data_plane
            .local_http3_addresses()
            .iter()
            .any(|(_, address)| *address == open)
    }

    /// Whether a port of the objects is open.
    pub fn listens_on(&self, port: u16) -> bool {
        self.ports.find(port).is_some()
    }

    /// Sends these requests again and again, several at once, until told to stop.
    pub fn load(&self, calls: Vec<(Call, Expect)>, clients: usize) -> Load {
        Load::start(calls, clients)
    }

    /// A path in the directory of the gateway's files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join("objects").join(file)
    }

    /// Writes a file in place, as an editor that truncates does.
    pub fn write(&self, file: &str, yaml: &str) -> &Self {
        self.changing();
        std::fs::write(self.path(file), yaml).expect("the directory can be written");
        self
    }

    /// Writes a file under another name and renames it, as careful editors do.
    pub fn write_by_rename(&self, file: &str, yaml: &str) -> &Self {
        self.changing();
        let temporary = self.path(&format!(".{file}.tmp"));
        std::fs::write(&temporary, yaml).expect("the directory can be written");
        std::fs::rename(temporary, self.path(file)).expect("names are in one directory");
        self
    }

    /// Removes a file.
    pub fn remove(&self, file: &str) -> &Self {
        self.changing();
        std::fs::remove_file(self.path(file)).expect("the file exists");
        self
    }

    /// Notes that something is about to change, for [`Gateway::live`].
    pub fn changing(&self) {
        self.before.store(self.state.live().generation, Ordering::Relaxed);
    }

    /// Waits until the last change is live in all workers.
    pub async fn live(&self) -> Arc<Live> {
        let before = self.before.load(Ordering::Relaxed);
        let live = timeout(DEADLINE, self.state.newer_than(before)).await;
        live.unwrap_or_else(|_| panic!("the change did not become live; generation is still {before}"))
    }

    /// Waits until what is live fits.
    pub async fn until(&self, what: &str, fits: impl Fn(&Live) -> bool) -> Arc<Live> {
        let wait = async {
            loop {
                let live = self.state.live();
                if fits(&live) {
                    return live;
                }
                // A change that leaves the snapshot as it is makes no new generation.
                let _ = timeout(LOOK_AGAIN, self.state.newer_than(live.generation)).await;
            }
        };
        let live = timeout(DEADLINE, wait).await;
        live.unwrap_or_else(|_| panic!("it did not come to pass: {what}"))
    }

    /// What is live now.
    pub fn now(&self) -> Arc<Live> {
        self.state.live()
    }

    /// The data plane itself.
    pub fn data_plane(&self) -> &DataPlane {
        &self.data_plane
    }

    /// Requests that the echo backend of a Service answered so far.
    pub fn requests_to(&self, namespace: &str, service: &str) -> u64 {
        self.backends.requests(namespace, service)
    }

    /// What the echo backend of a Service said of the last request that it got.
    pub fn last_request_to(&self, namespace: &str, service: &str) -> Option<Value> {
        self.backends.last(namespace, service)
    }

    /// Starts a further echo backend that calls itself by this name, for EndpointSlices to refer to.
    pub fn start_backend(&self, namespace: &str, service: &str) -> SocketAddr {
        self.backends
            .start(namespace, service)
            .expect("loopback has free ports")
    }

    /// A page of the admin listener: status and body.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        let mut connection = Connection::plain(self.admin).await.expect("admin accepts");
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\n\r\n");
        connection.send(request).await.expect("admin reads");
        let response = connection.response(false).await.expect("admin answers");
        (response.code(), response.text())
    }

    /// All metrics.
    pub async fn metrics(&self) -> Scrape {
        let (status, page) = self.admin("/metrics").await;
        assert_eq!(status, 200);
        Scrape::parse(&page)
    }

    /// All metrics, as soon as they fit: an exchange is recorded when it ends, which may be after its client has read
    /// the answer.
    pub async fn metrics_when(&self, fits: impl Fn(&Scrape) -> bool) -> Scrape {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let scrape = self.metrics().await;
            if fits(&scrape) {
                return scrape;
            }
            assert!(Instant::now() < deadline, "metrics never fitted: {scrape:#?}");
        }
    }

    /// Lines of the access log, as soon as there are so many.
    pub fn access_log(&self, lines: usize) -> Vec<String> {
        let log = self
            .access_log
            .as_ref()
            .expect("the gateway was built with an access log");
        let deadline = Instant::now() + DEADLINE;
        loop {
            assert!(log.flush(DEADLINE), "the access log was not written out");
            let text =
                std::fs::read_to_string(access_log_path(self.directory.path())).expect("the log exists");
            if text.lines().count() >= lines {
                return text.lines().map(str::to_owned).collect();
            }
            assert!(Instant::now() < deadline, "not {lines} lines: {text}");
        }
    }
}

impl GatewayBuilder {
    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: &str, yaml: &str) -> Self {
        self.files.push((name.into(), yaml.into()));
        self
    }

    /// Changes the settings of the translation.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// How many workers there are; 2 otherwise.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Writes an access log in this format, for [`Gateway::access_log`].
    #[must_use]
    pub fn access_log(mut self, format: &str) -> Self {
        self.access_log = Some(format.into());
        self
    }

    /// Leaves Services without endpoints as they are.
    #[must_use]
    pub fn without_echo(mut self) -> Self {
        self.echo = false;
        self
    }

    /// Reads this directory instead of one of its own.
    #[must_use]
    pub fn watch(mut self, path: &Path) -> Self {
        self.watch = Some(path.into());
        self
    }

    /// Starts it. Ready when the first generation is live.
    pub async fn start(self) -> Gateway {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let objects = directory.path().join("objects");
        std::fs::create_dir(&objects).expect("it is empty");
        for (name, yaml) in &self.files {
            std::fs::write(objects.join(name), yaml).expect("the directory can be written");
        }
        let telemetry = Telemetry::new(self.workers);
        let access_log = self.access_log.as_deref().map(|format| {
            let format = Format::parse(format).expect("a format of the access log");
            let output = Output::File(access_log_path(directory.path()));
            access::AccessLog::start(output, format, &telemetry).expect("the directory can be written")
        });
        let data_plane = DataPlane::start(proxy::Options {
            workers: self.workers,
            telemetry: Arc::clone(&telemetry),
            access_log: access_log.clone(),
            drain_timeout: Duration::from_secs(5),
        });
        let data_plane = Arc::new(data_plane.expect("workers can be started"));
        let (state, ports) = (State::new(), Arc::<Ports>::default());
        let (stop, stopped) = watch::channel(());
        let shown = Shown {
            state: Arc::clone(&state),
            data_plane: Arc::clone(&data_plane),
            ports: Arc::clone(&ports),
            telemetry: Arc::clone(&telemetry),
        };
        let (runtime, admin) = peers(shown, stopped.clone()).await;
        let backends = Backends::new(runtime);
        let mut options = ControlOptions::new(vec![self.watch.unwrap_or(objects)]);
        options.settings = self.settings;
        if self.echo {
            options.echo = Some(Box::new(backends.clone()));
        }
        options.telemetry = Some(telemetry);
        let publish = ToLoopback {
            data_plane: Arc::clone(&data_plane),
            ports: Arc::clone(&ports),
            moved: HashMap::new(),
        };
        follow(options, publish, Arc::clone(&state), stopped);
        let gateway = Gateway {
            directory,
            state,
            data_plane,
            ports,
            backends,
            access_log,
            admin,
            before: AtomicU64::new(0),
            _stop: stop,
        };
        gateway.live().await;
        gateway
    }
}

/// Starts the thread that backends and the admin listener live on.
async fn peers(shown: Shown, mut stopped: watch::Receiver<()>) -> (Handle, SocketAddr) {
    let (ready, started) = oneshot::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("loopback has free ports");
            let address = listener.local_addr().expect("it is bound");
            let _ = ready.send((Handle::current(), address));
            tokio::select! {
                _ = admin::serve(listener, Arc::new(shown)) => {}
                _ = stopped.changed() => {}
            }
        });
    });
    started.await.expect("the thread has started")
}

/// Starts the thread that watches the files.
fn follow(options: ControlOptions, publish: ToLoopback, state: Arc<State>, mut stopped: watch::Receiver<()>) {
    thread::spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            tokio::select! {
                () = control::run(options, publish, state) => {}
                _ = stopped.changed() => {}
            }
        });
    });
}

fn access_log_path(directory: &Path) -> PathBuf {
    directory.join("access.log")
}

const LOOK_AGAIN: Duration = Duration::from_millis(5);

impl Gateway {
    /// A TLS Secret for these hosts, signed by the authority that the client trusts.
    pub fn secret(namespace: &str, name: &str, hosts: &[&str]) -> String {
        Authority::shared().secret(namespace, name, hosts)
    }
}
