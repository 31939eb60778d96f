//! The loop: wait for changes, translate, publish, tell.

use crate::cluster::Inbox;
use crate::dns::Names;
use crate::holdoff::{Batch, Change, Waiting};
use crate::overlay::Overlay;
use crate::report::Reporter;
use crate::saved::Saved;
use crate::store::Touched;
use crate::unserved;
use crate::watch::{Subject, Watcher};
use crate::world::{Refreshed, World};
use crate::{ApplyReport, ControlOptions, Live, Publish, Published, State};
use ir::{Diagnostic, List, Snapshot};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use telemetry::Telemetry;
use tokio::time::MissedTickBehavior;
use translate::{ObjectStatus, Services, Translator};

/// Certificates near their end are found by looking at the clock now and then.
const CLOCK: Duration = Duration::from_secs(3600);

/// How long a cluster may take to tell what there is before what was saved is served.
const PATIENCE: Duration = Duration::from_secs(5);

/// Translations until the Secrets that are referred to are known: one finds them, one has them.
const MOST_ROUNDS: usize = 3;

/// A pause between two looks at all files, in lengths of a look: 0.5 ms in a second are spent on it.
const LEAST_PAUSE: u32 = 2000;
/// As long as somebody waits who knows that an event was missed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Loads, publishes, and follows changes until it is dropped. Blocks its thread while it reads and translates, so
/// it belongs on a thread without other work.
pub async fn run(options: ControlOptions, publish: impl Publish, state: Arc<State>) {
    let started = Instant::now();
    let overlay = Overlay::new(options.endpoints, options.echo.as_deref());
    let mut world = World::new(options.paths, overlay);
    let mut watcher = Watcher::new();
    let (found, _) = world.look();
    watcher.follow(&found);
    world.load(&found);
    let mut settings = options.settings;
    if let Some(complete) = options.complete {
        complete(&mut settings);
    }
    let saved = options.state_dir.filter(|_| options.cluster.is_some());
    let mut control = Control {
        world,
        saved: saved.as_deref().map(Saved::new),
        inbox: options.cluster.map(|cluster| cluster.inbox),
        watcher,
        waiting: Waiting::new(options.hold_off),
        quiet: options.hold_off.min,
        names: Names::new(options.dns),
        translator: Translator::new(settings),
        reporter: Reporter::new(options.telemetry.clone()),
        telemetry: options.telemetry,
        publish,
        state,
        latest: Latest::default(),
    };
    // Something may have come between looking and watching.
    control
        .waiting
        .note(Subject::Everything, Change::Settled, started);
    control.first_news().await;
    control.translate().await;
    control.apply(started).await;
    control.follow(options.rescan).await;
}

struct Control<'a, P> {
    world: World<'a>,
    inbox: Option<Inbox>,
    saved: Option<Saved>,
    watcher: Watcher,
    waiting: Waiting<Subject>,
    quiet: Duration,
    names: Names,
    translator: Translator,
    reporter: Reporter,
    telemetry: Option<Arc<Telemetry>>,
    publish: P,
    state: Arc<State>,
    latest: Latest,
}

/// The latest translation and what came of it.
#[derive(Default)]
struct Latest {
    generation: u64,
    snapshot: Arc<Snapshot>,
    statuses: List<ObjectStatus>,
    services: Arc<Services>,
    /// Of the translation alone.
    findings: Arc<[Diagnostic]>,
    report: ApplyReport,
}

impl<P: Publish> Control<'_, P> {
    async fn follow(&mut self, rescan: Duration) {
        let ticks = |period| {
            let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let mut look = tokio::time::Instant::now() + rescan;
        let mut clock = ticks(CLOCK);
        loop {
            let due = self.waiting.due();
            let hold_off = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Events first: a batch must not be taken while news about it are in the queue.
                biased;
                subjects = self.watcher.next() => {
                    let now = Instant::now();
                    for (subject, change) in subjects {
                        self.waiting.note(subject, change, now);
                    }
                }
                () = arrived(&mut self.inbox) => {
                    self.waiting.note(Subject::Cluster, Change::Settled, Instant::now());
                }
                () = self.names.changed() => {
                    self.waiting.note(Subject::Names, Change::Settled, Instant::now());
                }
                () = hold_off => {
                    let now = Instant::now();
                    if let Some(batch) = self.waiting.take(now) {
                        self.take(batch, now).await;
                    }
                }
                () = tokio::time::sleep_until(look) => {
                    let now = Instant::now();
                    let touched = self.look_around(now, false);
                    look = tokio::time::Instant::now() + self.pause(rescan, now.elapsed());
                    self.settle(touched, Instant::now()).await;
                    if let Some(saved) = &mut self.saved {
                        saved.save_pending(self.world.objects_mut());
                    }
                    if !self.latest.report.failed_binds.is_empty() {
                        // Whatever held the port may have let it go.
                        self.apply(Instant::now()).await;
                    }
                }
                _ = clock.tick() => {
                    self.translate().await;
                    self.apply(Instant::now()).await;
                }
            }
        }
    }

    /// How long until the next look at all files after one that took `took`. Where every change comes with an event,
    /// looking is for what events missed, and takes no more than a small share of the time however many files there
    /// are.
    fn pause(&self, rescan: Duration, took: Duration) -> Duration {
        if self.watcher.is_complete() {
            rescan.max((took * LEAST_PAUSE).min(LONGEST_PAUSE))
        } else {
            rescan
        }
    }

    /// Looks at everything that waited, and makes it live.
    async fn take(&mut self, batch: Batch<Subject>, now: Instant) {
        let since = batch.since;
        let patient = !self.waiting.is_overdue(since, now);
        let mut touched = Touched::default();
        let mut gone = Vec::new();
        for (subject, change) in batch.changes {
            match subject {
                Subject::File(path) if change == Change::Gone => gone.push(path),
                Subject::File(path) if self.world.is_alias(&path) => {}
                Subject::File(path) => touched.and(self.refresh(&path, since, now, patient)),
                Subject::Everything => touched.and(self.look_around(since, patient)),
                Subject::Names => touched.objects |= self.take_answers(),
                Subject::Cluster => touched.and(self.take_news()),
            }
        }
        // Last, so that what moved to another file is not missing in between.
        for path in gone {
            let back = std::fs::metadata(&path).is_ok_and(|metadata| !metadata.is_dir());
            touched.and(if back {
                self.refresh(&path, since, now, patient)
            } else {
                self.world.remove(&path)
            });
        }
        self.settle(touched, since).await;
    }

    /// Finds what changed without an event about it, and reads it.
    fn look_around(&mut self, since: Instant, patient: bool) -> Touched {
        let now = Instant::now();
        let (found, mut touched) = self.world.look();
        if self.watcher.follow(&found) {
            self.waiting.note(Subject::Everything, Change::Settled, now);
        }
        let (changed, gone) = self.world.changed(&found);
        for path in changed {
            touched.and(self.refresh(&path, since, now, patient));
        }
        for path in gone {
            self.waiting.note(Subject::File(path), Change::Gone, now);
        }
        touched
    }

    fn refresh(&mut self, path: &Arc<Path>, since: Instant, now: Instant, patient: bool) -> Touched {
        match self.world.refresh(path, patient, self.quiet) {
            Refreshed::Done(touched) => touched,
            Refreshed::Unsettled => {
                self.waiting
                    .again(Subject::File(Arc::clone(path)), Change::Settled, since, now);
                Touched::default()
            }
            Refreshed::Missing => {
                self.waiting
                    .note(Subject::File(Arc::clone(path)), Change::Gone, now);
                Touched::default()
            }
        }
    }

    fn take_answers(&mut self) -> bool {
        let answers = self.names.answers();
        let resolved = &mut self.world.objects_mut().resolved;
        let changed = *resolved != answers;
        *resolved = answers;
        changed
    }

    /// Makes what was touched live, doing as little as will do.
    async fn settle(&mut self, touched: Touched, since: Instant) {
        if touched.endpoints {
            self.world.overlay();
        }
        if touched.objects {
            self.translate().await;
            self.apply(since).await;
        } else if touched.any() {
            self.tell();
        }
    }

    /// Waits until the cluster has told everything that there is: half of a configuration would take away what works.
    /// A cluster that says nothing for a while is served as it was when it was last seen, if that was saved.
    async fn first_news(&mut self) {
        let mut patience = std::pin::pin!(tokio::time::sleep(PATIENCE));
        let mut asked = self.saved.is_none();
        while !self.is_complete() {
            tokio::select! {
                biased;
                () = arrived(&mut self.inbox) => {
                    self.take_news();
                }
                () = &mut patience, if !asked => {
                    asked = true;
                    if self.recall() {
                        break;
                    }
                }
            }
        }
        self.world.overlay();
    }

    /// Whether everything is known that the cluster has.
    fn is_complete(&self) -> bool {
        self.inbox.as_ref().is_none_or(Inbox::complete)
    }

    /// Takes what was saved. Whether there was anything.
    fn recall(&mut self) -> bool {
        let Some(objects) = self.saved.as_ref().and_then(Saved::load) else {
            return false;
        };
        let count = objects.len();
        if let Some(inbox) = &mut self.inbox {
            inbox.recall(objects, self.world.objects_mut());
        }
        tracing::warn!(
            objects = count,
            "the API server does not answer; serving the configuration that was saved before the restart"
        );
        true
    }

    fn take_news(&mut self) -> Touched {
        let Some(inbox) = &mut self.inbox else {
            return Touched::default();
        };
        let knew = inbox.complete();
        let mut touched = inbox.take(self.world.objects_mut());
        // From now on it may be told as the truth.
        touched.findings |= !knew && inbox.complete();
        if touched.findings {
            self.world.set_unread(inbox.findings().cloned().collect());
        }
        touched
    }

    async fn translate(&mut self) {
        let started = Instant::now();
        let mut translation = self.world.translate(&mut self.translator, seconds_since_1970());
        // What refers to a Secret for the first time would be without it for a moment, and would say so.
        for _ in 0..MOST_ROUNDS {
            let Some(inbox) = &mut self.inbox else { break };
            if !inbox.want(&translation.named).await {
                break;
            }
            if self.take_news().objects {
                translation = self.world.translate(&mut self.translator, seconds_since_1970());
            }
        }
        self.names.want(&translation.external_names);
        self.latest.snapshot = Arc::new(translation.snapshot);
        self.latest.statuses = translation.statuses;
        self.latest.services = translation.services;
        self.latest.findings = translation.diagnostics;
        if let Some(telemetry) = &self.telemetry {
            telemetry.control().translated(started.elapsed());
        }
    }

    /// Publishes, waits until all workers have it, and tells.
    async fn apply(&mut self, since: Instant) {
        self.latest.generation += 1;
        let generation = self.latest.generation;
        let published = Published {
            generation,
            snapshot: Arc::clone(&self.latest.snapshot),
        };
        let started = Instant::now();
        let report = self.publish.publish(published).await;
        let took = since.elapsed();
        if let Some(telemetry) = &self.telemetry {
            telemetry.control().published(started.elapsed());
            telemetry.control().applied(generation, took);
            if !report.failed_binds.is_empty() {
                telemetry.control().apply_failed();
            }
        }
        // Once, when it is new: the next generations fail alike.
        for failed in &report.failed_binds {
            if !self.latest.report.failed_binds.contains(failed) {
                let (address, reason) = failed;
                tracing::error!("can't listen on {address}: {reason}");
            }
        }
        tracing::info!(generation, took = ?took, "live in all workers");
        let complete = self.is_complete();
        if let Some(saved) = &mut self.saved
            && complete
        {
            saved.save(self.world.objects_mut());
        }
        self.latest.report = report;
        self.reporter.certificates(&self.latest.snapshot);
        self.tell();
    }

    fn tell(&mut self) {
        let findings = self.world.findings(&self.latest.findings);
        self.reporter.tell(&findings, self.world.locations());
        self.state.set(Live {
            generation: self.latest.generation,
            snapshot: Arc::clone(&self.latest.snapshot),
            statuses: unserved::mark(
                &self.latest.statuses,
                &self.latest.snapshot,
                &self.latest.report.failed_binds,
            ),
            services: Arc::clone(&self.latest.services),
            diagnostics: findings,
            locations: self.world.locations().clone(),
            files_parsed: self.world.parsed(),
            error: self.latest.report.error(),
            recalled: !self.is_complete(),
        });
    }
}

/// Waits for news from the cluster, if there is one.
async fn arrived(inbox: &mut Option<Inbox>) {
    match inbox {
        Some(inbox) => inbox.arrived().await,
        None => std::future::pending().await,
    }
}

fn seconds_since_1970() -> i64 {
    jiff::Timestamp::now().as_second()
}
