//! Files, what they hold, and what is added to it: everything that a translation needs, kept up to date.

use crate::Locations;
use crate::files::{self, Contents, Files, Found, Stamp};
use crate::overlay::{Overlaid, Overlay};
use crate::store::{Store, Touched};
use crate::text::{self, Item, Mark, SyntaxError};
use ir::Diagnostic;
use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, available_parallelism};
use std::time::Duration;
use translate::{Objects, Translation, Translator};

/// The configuration as it is now.
pub(crate) struct World<'a> {
    files: Files,
    store: Store,
    overlay: Overlay<'a>,
    overlaid: Overlaid,
    /// Paths that could not be looked at the last time.
    failed: BTreeSet<PathBuf>,
    parsed: u64,
    /// Objects of the cluster that can't be read.
    unread: Vec<Diagnostic>,
    /// What was told last, and the findings of the translation in it; unset once others changed.
    told: Option<(Findings, Findings)>,
}

type Findings = Arc<[Diagnostic]>;

/// What came of looking at a file again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// It is taken into account.
    Done(Touched),
    /// Somebody is writing it right now.
    Unsettled,
    /// It is not there. What it held stays until [`World::remove`].
    Missing,
}

impl<'a> World<'a> {
    /// Nothing is read yet.
    pub(crate) fn new(paths: Vec<PathBuf>, overlay: Overlay<'a>) -> Self {
        Self {
            files: Files::new(paths),
            store: Store::default(),
            overlay,
            overlaid: Overlaid::default(),
            failed: BTreeSet::new(),
            parsed: 0,
            unread: Vec::new(),
            told: None,
        }
    }

    /// Reads everything for the first time.
    pub(crate) fn load(&mut self, found: &Found) {
        if self
            .files
            .roots()
            .iter()
            .any(|root| root.as_os_str() == files::STDIN)
        {
            let path: Arc<Path> = Path::new(files::STDIN).into();
            let parsed = Parsed::new(&path, files::read_stdin());
            self.take(&path, parsed);
        }
        for (path, stamp, parsed) in parse_all(found) {
            if let Some(stamp) = stamp {
                self.files.remember(path, stamp);
            }
            self.take(path, parsed);
        }
        self.overlay();
    }

    /// Looks at every path without reading any file; failures become findings.
    pub(crate) fn look(&mut self) -> (Found, Touched) {
        let found = self.files.find();
        let mut touched = Touched::default();
        for (path, reason) in &found.failures {
            touched.and(self.store.fail(&path.as_path().into(), &at_start(reason)));
        }
        let healed: Vec<PathBuf> = self
            .failed
            .iter()
            .filter(|path| !found.failures.contains_key(*path) && !found.files.contains_key(path.as_path()))
            .cloned()
            .collect();
        for path in healed {
            touched.and(self.store.remove(&path.as_path().into()));
        }
        self.failed = found.failures.keys().cloned().collect();
        self.touch(touched);
        (found, touched)
    }

    /// Files that look different from when they were read, and files that are gone. What is below a path that
    /// can't be looked at is not gone: it is unknown.
    pub(crate) fn changed(&self, found: &Found) -> (Vec<Arc<Path>>, Vec<Arc<Path>>) {
        let (changed, mut gone) = self.files.changed(found);
        gone.retain(|path| !found.failures.keys().any(|failed| path.starts_with(failed)));
        (changed, gone)
    }

    /// Reads a file again.
    pub(crate) fn refresh(&mut self, path: &Arc<Path>, patient: bool, quiet: Duration) -> Refreshed {
        match self.files.read(path, patient, quiet) {
            Contents::Unsettled => Refreshed::Unsettled,
            Contents::Gone => Refreshed::Missing,
            contents => Refreshed::Done(self.take(path, Parsed::new(path, contents))),
        }
    }

    /// Whether a new path is another name of a file that was read.
    pub(crate) fn is_alias(&self, path: &Path) -> bool {
        self.files.is_alias(path)
    }

    /// A file is gone, and with it what it held. A path that was given by name is missed from then on.
    pub(crate) fn remove(&mut self, path: &Arc<Path>) -> Touched {
        self.files.forget(path);
        let mut touched = self.store.remove(path);
        if self.files.roots().iter().any(|root| **root == **path) {
            self.failed.insert(path.to_path_buf());
            touched.and(self.store.fail(path, &at_start("No such file or directory")));
        }
        self.touch(touched);
        touched
    }

    /// Brings the endpoints of flags and echo up to date; needed after Services or slices changed.
    pub(crate) fn overlay(&mut self) {
        if !self.overlay.is_empty() {
            self.overlay.apply(self.store.objects(), &mut self.overlaid);
            self.told = None;
        }
    }

    /// Translates.
    pub(crate) fn translate(&mut self, translator: &mut Translator, now: i64) -> Translation {
        self.swap();
        let translation = translator.translate(self.store.objects(), now);
        self.swap();
        translation
    }

    /// Findings about files, the shape of objects and flags, together with those of a translation, sorted. The same
    /// allocation as long as nothing changes.
    pub(crate) fn findings(&mut self, translated: &Arc<[Diagnostic]>) -> Arc<[Diagnostic]> {
        if let Some((with, told)) = &self.told
            && Arc::ptr_eq(with, translated)
        {
            return Arc::clone(told);
        }
        let mut findings = self.store.findings();
        findings.extend_from_slice(&self.overlaid.diagnostics);
        findings.extend_from_slice(&self.unread);
        findings.extend_from_slice(translated);
        findings.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        findings.dedup();
        let findings: Arc<[Diagnostic]> = findings.into();
        self.told = Some((Arc::clone(translated), Arc::clone(&findings)));
        findings
    }

    /// Says which objects of the cluster can't be read.
    pub(crate) fn set_unread(&mut self, unread: Vec<Diagnostic>) {
        self.unread = unread;
        self.told = None;
    }

    /// The objects, to add what does not come from files.
    pub(crate) fn objects_mut(&mut self) -> &mut Objects {
        self.store.objects_mut()
    }

    /// Where everything stands.
    pub(crate) fn locations(&self) -> &Locations {
        self.store.locations()
    }

    /// Files that were read.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let files = self.store.files().filter(|path| !self.failed.contains(&***path));
        files.map(|path| path.to_path_buf()).collect()
    }

    /// How many files were parsed since the start.
    pub(crate) fn parsed(&self) -> u64 {
        self.parsed
    }

    /// Takes the objects out, as translation sees them.
    pub(crate) fn into_objects(mut self) -> Objects {
        self.swap();
        self.store.into_objects()
    }

    fn take(&mut self, path: &Arc<Path>, parsed: Parsed) -> Touched {
        let touched = match parsed {
            Parsed::Items(text, items) => {
                self.parsed += 1;
                self.store.replace(path, &text, items)
            }
            Parsed::Broken(error) => {
                self.parsed += 1;
                self.store.fail(path, &error)
            }
            Parsed::Failed(reason) => {
                self.failed.insert(path.to_path_buf());
                self.store.fail(path, &at_start(&reason))
            }
            Parsed::Nothing => Touched::default(),
        };
        self.touch(touched);
        touched
    }

    fn touch(&mut self, touched: Touched) {
        if touched.findings {
            self.told = None;
        }
    }

    /// Exchanges the slices of the files for those with the overlay, and back.
    fn swap(&mut self) {
        if !self.overlay.is_empty() {
            std::mem::swap(
                &mut self.store.objects_mut().endpoint_slices,
                &mut self.overlaid.slices,
            );
        }
    }
}

/// A file taken apart.
enum Parsed {
    Items(String, Vec<Item>),
    Broken(SyntaxError),
    Failed(String),
    Nothing,
}

impl Parsed {
    fn new(path: &Path, contents: Contents) -> Self {
        match contents {
            Contents::Text(text) => match text::items(&text, files::format(path, &text)) {
                Ok(items) => Self::Items(text, items),
                Err(error) => Self::Broken(error),
            },
            Contents::NotText(error) => Self::Broken(error),
            Contents::Failed(reason) => Self::Failed(reason),
            Contents::Gone | Contents::Unsettled => Self::Nothing,
        }
    }
}

/// Reads and parses files on several threads: at the start nothing is served until all of them are read.
fn parse_all(found: &Found) -> Vec<(&Arc<Path>, Option<Stamp>, Parsed)> {
    let paths: Vec<&Arc<Path>> = found.files.keys().collect();
    let parse = |path: &Arc<Path>| {
        let (stamp, contents) = files::read_now(path);
        (stamp, Parsed::new(path, contents))
    };
    let threads = available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let share = paths.len().div_ceil(threads).max(LEAST_SHARE);
    thread::scope(|scope| {
        let start = |paths| scope.spawn(move || each(paths, parse));
        let threads: Vec<_> = paths.chunks(share).map(start).collect();
        let finished = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        finished.flatten().collect()
    })
}

fn each<'p>(
    paths: &[&'p Arc<Path>],
    parse: impl Fn(&Arc<Path>) -> (Option<Stamp>, Parsed),
) -> Vec<(&'p Arc<Path>, Option<Stamp>, Parsed)> {
    let parsed = paths.iter().map(|path| {
        let (stamp, parsed) = parse(path);
        (*path, stamp, parsed)
    });
    parsed.collect()
}

/// Beyond this the disk and the store are what is waited for.
const MOST_THREADS: usize = 8;
/// Files that are not worth a thread of their own.
const LEAST_SHARE: usize = 64;

fn at_start(reason: &str) -> SyntaxError {
    SyntaxError {
        mark: Mark { line: 1, column: 1 },
        reason: reason.to_owned(),
    }
}

fn sort_key(diagnostic: &Diagnostic) -> (&ir::Origin, &str, ir::Code, &str) {
    (
        &diagnostic.origin,
        &diagnostic.field,
        diagnostic.code,
        &diagnostic.message,
    )
}
