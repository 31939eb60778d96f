//! `narthex run`: the whole system, put together.
//!
//! ```text
//! files ─► control (a thread) ─► ToDataPlane ─► proxy::DataPlane (a thread per worker) ─► telemetry
//!             └─► control::State ─► AdminSource ─► admin            echo backends (a thread)
//! main thread: greeting, admin, signals, drain
//! ```

mod admin_source;
mod cluster;
mod curl;
mod greeting;
mod listening;
mod progress;
mod publish;

use crate::check;
use crate::echo::Builtin;
use crate::exit::Exit;
use crate::flags::{self, LogFormat, Run};
use crate::output::{self, BAD, styled};
use crate::settings;
use crate::signals::Signals;
use crate::values::OrOff;
use admin_source::AdminSource;
use control::{Cluster, ControlOptions, EchoAddresses, Farewell, HoldOff, State};
use proxy::DataPlane;
use publish::ToDataPlane;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use telemetry::access::{Format, Output};
use telemetry::{AccessLog, Telemetry};
use tokio::runtime::{Builder, Runtime};

/// Serves until a signal comes.
pub fn run(flags: &Run, color: flags::Color) -> Exit {
    match start(flags, color) {
        Ok(system) => system.main.block_on(system.parts.serve(flags)),
        Err((exit, problem)) => {
            anstream::eprintln!("{}: {problem}", styled(BAD, "error"));
            exit
        }
    }
}

/// What runs, and the runtimes that must outlive it.
struct System {
    main: Runtime,
    parts: Parts,
    /// Where the echo backends run; they end when it is dropped.
    _echo: Option<Runtime>,
}

/// What runs.
struct Parts {
    data_plane: Arc<DataPlane>,
    state: Arc<State>,
    telemetry: Arc<Telemetry>,
    access_log: Option<AccessLog>,
    /// To be said to the cluster at the end.
    farewell: Option<Farewell>,
}

/// Why it can't start: exit code and sentence.
type Failure = (Exit, String);

fn start(flags: &Run, color: flags::Color) -> Result<System, Failure> {
    start_log(flags, color)?;
    let server = cluster::server(flags).map_err(|problem| (Exit::Unreadable, problem))?;
    for path in &flags.paths {
        readable(path)?;
    }
    let workers = flags.workers.map_or_else(proxy::sys::usable_cpus, usize::from);
    let telemetry = Telemetry::new(workers);
    let access_log = start_access_log(flags, &telemetry)?;
    let data_plane = DataPlane::start(proxy::Options {
        workers,
        telemetry: Arc::clone(&telemetry),
        access_log: access_log.clone(),
        drain_timeout: flags.drain_timeout.0,
    });
    let data_plane = Arc::new(data_plane.map_err(|error| cannot("start the workers", &error))?);
    let echo = if flags.settings.echo {
        Some(echo_runtime()?)
    } else {
        None
    };
    let state = State::new();
    let mut cluster = match server {
        Some(server) => Some(
            cluster::connect(flags, server, &state, &telemetry)
                .map_err(|problem| (Exit::Unreadable, problem))?,
        ),
        None => None,
    };
    let farewell = cluster.as_mut().map(Cluster::farewell);
    start_control(flags, cluster, &telemetry, &data_plane, echo.as_ref(), &state)?;
    let main = Builder::new_current_thread().enable_all().build();
    Ok(System {
        main: main.map_err(|error| cannot("start", &error))?,
        parts: Parts {
            data_plane,
            state,
            telemetry,
            access_log,
            farewell,
        },
        _echo: echo,
    })
}

impl Parts {
    /// The main thread: says what is served, answers the admin listener, waits for the end.
    async fn serve(mut self, flags: &Run) -> Exit {
        let mut signals = Signals::new();
        let admin = Arc::new(AdminSource::new(
            Arc::clone(&self.state),
            Arc::clone(&self.data_plane),
            Arc::clone(&self.telemetry),
        ));
        let admin_address = match serve_admin(flags, &admin).await {
            Ok(address) => address,
            Err(problem) => {
                anstream::eprintln!("{}: {problem}", styled(BAD, "error"));
                return Exit::NotListening;
            }
        };
        let live = tokio::select! {
            live = progress::shown(self.state.newer_than(0)) => live,
            () = signals.next() => {
                self.say_farewell();
                return Exit::Success;
            }
        };
        let open = self.data_plane.local_addresses();
        let open_udp = self.data_plane.local_udp_addresses();
        let failed = listening::missing(&live.snapshot, &open);
        // In a cluster, whoever made the Gateway is told; others may come.
        let alone = self.farewell.is_none();
        if alone && !failed.is_empty() && open.is_empty() && open_udp.is_empty() {
            anstream::eprintln!(
                "{}: no address could be listened on, so there is nothing to do",
                styled(BAD, "error")
            );
            return Exit::NotListening;
        }
        // Not here: probes are answered by this thread.
        let (snapshot, known) = (Arc::clone(&live.snapshot), Arc::clone(&live.diagnostics));
        let more = tokio::task::spawn_blocking(move || check::of_the_whole(&snapshot, &known)).await;
        let more = more.unwrap_or_else(|error| {
            tracing::error!(%error, "the findings about the whole are not told");
            Vec::new()
        });
        output::print(&greeting::text(
            flags,
            &live,
            &open,
            &open_udp,
            &self.data_plane.local_http3_addresses(),
            admin_address,
            &more,
        ));
        if let Some(access_log) = &self.access_log {
            tokio::spawn(reopen_on_request(access_log.clone()));
        }
        signals.next().await;
        admin.drain();
        // Another replica takes over while this one finishes its requests.
        self.say_farewell();
        let exit = self.drain(flags, &mut signals).await;
        if let Some(access_log) = &self.access_log {
            access_log.flush(Duration::from_secs(1));
        }
        exit
    }

    fn say_farewell(&mut self) {
        if let Some(farewell) = self.farewell.take() {
            farewell.say();
        }
    }

    async fn drain(&self, flags: &Run, signals: &mut Signals) -> Exit {
        let limit = ir::duration::display(flags.drain_timeout.0);
        anstream::eprintln!("draining for at most {limit}; a second signal ends at once");
        let outcome = tokio::select! {
            outcome = self.data_plane.drain() => outcome,
            () = signals.next() => {
                self.data_plane.stop_now();
                anstream::eprintln!("ended at once by a second signal");
                return Exit::Cut;
            }
        };
        if outcome.cut == 0 {
            anstream::eprintln!("drained: every request was finished");
            return Exit::Success;
        }
        let cut = output::counted(outcome.cut as usize, "connection");
        anstream::eprintln!("drained: {cut} cut off after {limit}");
        Exit::Cut
    }
}

/// Control reads and translates on a thread of its own: it may block there without holding up anything else.
fn start_control(
    flags: &Run,
    cluster: Option<Cluster>,
    telemetry: &Arc<Telemetry>,
    data_plane: &Arc<DataPlane>,
    echo: Option<&Runtime>,
    state: &Arc<State>,
) -> Result<(), Failure> {
    // Gathering randomness for its key takes longer than reading a few files.
    let certificate = std::thread::spawn(settings::self_signed);
    let mut options = ControlOptions::new(flags.paths.clone());
    options.cluster = cluster;
    options.state_dir.clone_from(&flags.cluster.state_dir);
    options.settings = settings::from_flags(&flags.settings, settings::stand_in());
    options.complete = Some(Box::new(move |settings| {
        settings.fallback_certificate = match certificate.join() {
            Ok(Ok(certificate)) => Some(certificate),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot make a certificate for hosts that have none: they are not served over TLS");
                None
            }
            Err(panic) => std::panic::resume_unwind(panic),
        };
    }));
    options.endpoints.clone_from(&flags.settings.endpoint);
    options.echo =
        echo.map(|runtime| Box::new(Builtin::new(runtime.handle().clone())) as Box<dyn EchoAddresses>);
    options.hold_off = HoldOff {
        min: flags.hold_off.0,
        max: flags.hold_off_limit.0,
    };
    options.telemetry = Some(Arc::clone(telemetry));
    let publish = ToDataPlane::new(Arc::clone(data_plane));
    let state = Arc::clone(state);
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| cannot("start", &error))?;
    std::thread::Builder::new()
        .name("control".into())
        .spawn(move || runtime.block_on(control::run(options, publish, state)))
        .map_err(|error| cannot("start a thread", &error))?;
    Ok(())
}

fn echo_runtime() -> Result<Runtime, Failure> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).thread_name("echo").enable_all().build();
    runtime.map_err(|error| cannot("start the echo backends", &error))
}

async fn serve_admin(flags: &Run, source: &Arc<AdminSource>) -> Result<Option<std::net::SocketAddr>, String> {
    let OrOff::On(address) = flags.admin_address else {
        return Ok(None);
    };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| {
        format!("can't listen on {address} for --admin-address: {error}\n  hint: choose another, or `off`")
    })?;
    let address = listener.local_addr().unwrap_or(address);
    let source: Arc<dyn admin::Source> = Arc::<AdminSource>::clone(source);
    tokio::spawn(admin::serve(listener, source));
    Ok(Some(address))
}

fn start_log(flags: &Run, color: flags::Color) -> Result<(), Failure> {
    let format = match flags.log_format {
        LogFormat::Text => telemetry::logs::LogFormat::Text,
        LogFormat::Json => telemetry::logs::LogFormat::Json,
    };
    telemetry::logs::init(format, &flags.log_level, output::colours_on_stderr(color))
        .map_err(|problem| (Exit::Unreadable, problem))
}

fn start_access_log(flags: &Run, telemetry: &Telemetry) -> Result<Option<AccessLog>, Failure> {
    let output = match flags.access_log.as_str() {
        "off" => return Ok(None),
        "stdout" => Output::Stdout,
        file => Output::File(file.into()),
    };
    let problem = |problem: &dyn std::fmt::Display| (Exit::Unreadable, format!("the access log: {problem}"));
    let format = Format::parse(&flags.access_log_format).map_err(|error| problem(&error))?;
    match AccessLog::start(output, format, telemetry) {
        Ok(log) => Ok(Some(log)),
        Err(error) => Err(problem(&error)),
    }
}

/// Log rotation, as every server does it: SIGUSR1 opens the file anew.
async fn reopen_on_request(access_log: AccessLog) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut signal) = signal(SignalKind::user_defined1()) else {
        return;
    };
    while signal.recv().await.is_some() {
        access_log.reopen();
    }
}

fn readable(path: &Path) -> Result<(), Failure> {
    if path == Path::new("-") {
        return Ok(());
    }
    match crate::configuration::openable(path) {
        Ok(()) => Ok(()),
        Err(error) => Err((
            Exit::Unreadable,
            format!("can't read {}: {error}", path.display()),
        )),
    }
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> Failure {
    (Exit::NotListening, format!("can't {what}: {error}"))
}
