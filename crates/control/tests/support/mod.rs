//! A control loop over real files, with a publisher that keeps what it is given.
#![allow(dead_code)] // each test binary uses its part of it
#![allow(clippy::unwrap_used)] // in a test

use narthex_control::{ApplyReport, ControlOptions, Live, Publish, Published, State};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;

/// Longest wait for something that should come at once.
const DEADLINE: Duration = Duration::from_secs(30);

/// A directory of files, followed.
pub struct Followed {
    pub directory: TempDir,
    pub state: Arc<State>,
    pub published: Arc<Mutex<Vec<Published>>>,
    stop: watch::Sender<()>,
}

struct Keep(Arc<Mutex<Vec<Published>>>);

impl Publish for Keep {
    async fn publish(&mut self, published: Published) -> ApplyReport {
        self.0.lock().unwrap().push(published);
        ApplyReport::default()
    }
}

impl Followed {
    /// Writes files, starts to follow them, and waits for the first generation.
    pub async fn start(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            write(&directory.path().join(name), text);
        }
        let paths = vec![directory.path().to_owned()];
        Self::with(directory, ControlOptions::new(paths)).await
    }

    /// Starts to follow what the options name, and waits for the first generation.
    pub async fn with(directory: TempDir, mut options: ControlOptions) -> Self {
        options.settings.watch_ingress_without_class = true;
        let state = State::new();
        let published = Arc::new(Mutex::new(Vec::new()));
        let (stop, mut stopped) = watch::channel(());
        let (of_loop, keep) = (Arc::clone(&state), Keep(Arc::clone(&published)));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = narthex_control::run(options, keep, of_loop) => {}
                    _ = stopped.changed() => {}
                }
            });
        });
        let followed = Self {
            directory,
            state,
            published,
            stop,
        };
        followed.until(|live| live.generation > 0).await;
        followed
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        write(&self.path(name), text);
    }

    pub async fn until(&self, condition: impl FnMut(&Live) -> bool) -> Arc<Live> {
        let waited = tokio::time::timeout(DEADLINE, self.state.until(condition)).await;
        let Ok(live) = waited else {
            let live = self.state.live();
            panic!(
                "not within {DEADLINE:?}; live: {:?} {:#?}",
                hosts(&live),
                live.diagnostics
            );
        };
        live
    }

    /// Waits until exactly these hosts are served.
    pub async fn until_hosts(&self, wanted: &[&str]) -> Arc<Live> {
        self.until(|live| hosts(live) == wanted).await
    }

    /// Hosts of every generation that was published so far.
    pub fn history(&self) -> Vec<Vec<String>> {
        let published = self.published.lock().unwrap();
        published
            .iter()
            .map(|published| hosts_of(&published.snapshot))
            .collect()
    }
}

pub fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// An Ingress for one host.
pub fn ingress(name: &str, host: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\nspec:\n  rules:\n  - host: {host}\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            name: web\n            port:\n              number: 80\n"
    )
}

/// Hosts that are served, sorted.
pub fn hosts(live: &Live) -> Vec<String> {
    hosts_of(&live.snapshot)
}

pub fn hosts_of(snapshot: &ir::Snapshot) -> Vec<String> {
    let mut hosts: Vec<String> = routes(snapshot)
        .flat_map(|route| route.hostnames.iter())
        .map(ToString::to_string)
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

pub fn routes(snapshot: &ir::Snapshot) -> impl Iterator<Item = &Arc<ir::Route>> {
    let listeners = snapshot.binds.iter().flat_map(|bind| bind.listeners.iter());
    listeners.flat_map(|listener| listener.routes.iter())
}

/// `code file:line:column field` of each finding.
pub fn findings(live: &Live, directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in live.diagnostics.iter() {
        let mut line = finding.code.to_string();
        if let Some(place) = live.locations.place(finding) {
            let file = place.file.strip_prefix(directory).unwrap_or(&place.file);
            let _ = write!(line, " {}:{}:{}", file.display(), place.line, place.column);
        }
        if !finding.field.is_empty() {
            let _ = write!(line, " {}", finding.field);
        }
        lines.push(line);
    }
    lines
}
