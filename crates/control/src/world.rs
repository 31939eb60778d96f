//! Files, what they hold, and what is added to it: everything that a translation needs, kept up to date.

use crate::Locations;
use crate::files::{self, Contents, Files, Found};
use crate::overlay::{Overlaid, Overlay};
use crate::store::{Store, Touched};
use crate::text::{self, Mark, SyntaxError};
use ir::Diagnostic;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
}

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
            self.take(&path, files::read_stdin());
        }
        for path in found.files.keys() {
            self.refresh(path, false, Duration::ZERO);
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
            contents => Refreshed::Done(self.take(path, contents)),
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
        touched
    }

    /// Brings the endpoints of flags and echo up to date; needed after Services or slices changed.
    pub(crate) fn overlay(&mut self) {
        if !self.overlay.is_empty() {
            self.overlaid = self.overlay.apply(self.store.objects(), &self.overlaid.slices);
        }
    }

    /// Translates.
    pub(crate) fn translate(&mut self, translator: &mut Translator, now: i64) -> Translation {
        self.swap();
        let translation = translator.translate(self.store.objects(), now);
        self.swap();
        translation
    }

    /// Findings about files, the shape of objects and flags, together with those of a translation, sorted.
    pub(crate) fn findings(&self, translated: &[Diagnostic]) -> Vec<Diagnostic> {
        let mut findings = self.store.findings();
        findings.extend_from_slice(&self.overlaid.diagnostics);
        findings.extend_from_slice(translated);
        findings.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        findings.dedup();
        findings
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

    fn take(&mut self, path: &Arc<Path>, contents: Contents) -> Touched {
        let text = match contents {
            Contents::Text(text) => text,
            Contents::NotText(error) => return self.store.fail(path, &error),
            Contents::Failed(reason) => {
                self.failed.insert(path.to_path_buf());
                return self.store.fail(path, &at_start(&reason));
            }
            Contents::Gone | Contents::Unsettled => return Touched::default(),
        };
        self.parsed += 1;
        match text::items(&text, files::format(path, &text)) {
            Ok(items) => self.store.replace(path, &text, items),
            Err(error) => self.store.fail(path, &error),
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
