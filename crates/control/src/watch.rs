//! File events. They are hints: what they lead to is looked up on the file system, and a re-scan every few seconds
//! finds what was missed.

use crate::files::{self, Found, Identity};
use crate::holdoff::Change;
use crate::text::Format;
use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Something that may have changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// One file.
    File(Arc<Path>),
    /// Any file: a directory changed, a link was moved, or events were lost.
    Everything,
    /// Answers of the resolver.
    Names,
    /// Objects of the cluster.
    Cluster,
}

/// Follows directories and files.
pub(crate) struct Watcher {
    inotify: Option<RecommendedWatcher>,
    events: mpsc::UnboundedReceiver<notify::Result<Event>>,
    watched: BTreeMap<PathBuf, Identity>,
    /// Whether everything that should be watched is.
    complete: bool,
    directories: BTreeMap<PathBuf, Identity>,
    /// Files that were named, and where links lead: by the path that events about them have.
    files: BTreeMap<PathBuf, Arc<Path>>,
    /// Events have absolute paths, also about what was named by a relative one.
    here: PathBuf,
}

impl Watcher {
    /// Watches nothing yet. Without inotify only the re-scan finds changes, which is logged.
    pub(crate) fn new() -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event| {
            // Nobody listens any more: the program is about to end.
            let _ = sender.send(event);
        });
        let inotify = watcher
            .inspect_err(|error| tracing::warn!(%error, "no file events; changes are found by looking every few seconds"))
            .ok();
        Self {
            inotify,
            events,
            watched: BTreeMap::new(),
            complete: false,
            directories: BTreeMap::new(),
            files: BTreeMap::new(),
            here: std::env::current_dir().unwrap_or_default(),
        }
    }

    /// Watches what was found. `true`: some directory is watched for the first time, so that something may have
    /// happened in it in between.
    pub(crate) fn follow(&mut self, found: &Found) -> bool {
        self.directories.clone_from(&found.directories);
        self.files.clear();
        for file in found.files.keys() {
            let parent = parent(file);
            if !found.directories.contains_key(parent) {
                self.files.insert(
                    parent.join(file.file_name().unwrap_or_default()),
                    Arc::clone(file),
                );
            }
            if found.links.contains(file)
                && let Ok(target) = std::fs::canonicalize(file)
            {
                self.files.insert(target, Arc::clone(file));
            }
        }
        let mut wanted = found.directories.clone();
        for file in self.files.keys() {
            let parent = parent(file);
            if let Ok(metadata) = std::fs::metadata(parent) {
                wanted.insert(parent.to_owned(), files::identity(&metadata));
            }
        }
        let Some(inotify) = &mut self.inotify else {
            return false;
        };
        // A watch is for what had the name when it began, not for what has it now.
        self.watched.retain(|path, identity| {
            let same = wanted.get(path) == Some(identity);
            if !same {
                // Most are deleted, and with them their watches.
                let _ = inotify.unwatch(path);
            }
            same
        });
        let mut fresh = false;
        self.complete = true;
        for (path, identity) in wanted {
            if self.watched.contains_key(&path) {
                continue;
            }
            match inotify.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    fresh = true;
                    self.watched.insert(path, identity);
                }
                Err(error) => {
                    self.complete = false;
                    tracing::debug!(path = %path.display(), %error, "not watched; looked at every few seconds");
                }
            }
        }
        fresh
    }

    /// Whether every change comes with an event.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The next thing that may have changed. Can be dropped at any time.
    pub(crate) async fn next(&mut self) -> Vec<(Subject, Change)> {
        loop {
            match self.events.recv().await {
                Some(event) => {
                    let subjects = self.subjects(event);
                    if !subjects.is_empty() {
                        return subjects;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    fn subjects(&mut self, event: notify::Result<Event>) -> Vec<(Subject, Change)> {
        let event = match event {
            Ok(event) if !event.need_rescan() => event,
            _ => return vec![(Subject::Everything, Change::Settled)],
        };
        let mut subjects = Vec::new();
        for path in &event.paths {
            let path = &self.as_named(path);
            let Some(change) = change(event.kind, path) else {
                continue;
            };
            if change == Change::Gone && self.watched.remove(path).is_some() {
                // The watch went with the directory; one of the same name needs a new one.
                if let Some(watcher) = &mut self.inotify {
                    let _ = watcher.unwatch(path);
                }
            }
            if let Some(subject) = self.subject(path) {
                subjects.push((subject, change));
            }
        }
        // `rename(2)` within watched directories is reported a third time, with both names.
        subjects.dedup();
        subjects
    }

    /// The path of an event, spelt as its file or directory was named: `./shop`, `shop` or absolute.
    fn as_named(&self, path: &Path) -> PathBuf {
        let known = |path: &PathBuf| {
            self.files.contains_key(path)
                || self.directories.contains_key(path)
                || self.directories.contains_key(parent(path))
        };
        let below = path.strip_prefix(&self.here).map(Path::to_owned).ok();
        // `./` first: a file `x.yaml` of directory `.` is known as `./x.yaml`.
        let spellings = below
            .into_iter()
            .flat_map(|below| [Path::new(".").join(&below), below]);
        let own = path.to_owned();
        if known(&own) {
            return own;
        }
        spellings.into_iter().find(known).unwrap_or(own)
    }

    fn subject(&self, path: &Path) -> Option<Subject> {
        if let Some(file) = self.files.get(path) {
            return Some(Subject::File(Arc::clone(file)));
        }
        if self.directories.contains_key(path) {
            return Some(Subject::Everything);
        }
        if !self.directories.contains_key(parent(path)) {
            return None;
        }
        let name = path.file_name()?;
        if name.as_encoded_bytes().starts_with(b"..") {
            // `..data` of a mounted ConfigMap or Secret: all that is visible leads through it.
            return Some(Subject::Everything);
        }
        if !files::is_visible(name) {
            return None;
        }
        if path.is_dir() {
            return Some(Subject::Everything);
        }
        Format::of(path).map(|_| Subject::File(path.into()))
    }
}

fn change(kind: EventKind, path: &Path) -> Option<Change> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Change::Settled),
        EventKind::Create(CreateKind::File) => {
            // A link is complete at once; a file is about to be written, and then closed.
            let link = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
            Some(if link { Change::Settled } else { Change::Writing })
        }
        EventKind::Modify(ModifyKind::Data(_)) => Some(Change::Writing),
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Some(Change::Gone),
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
        // A change of permissions or times, a directory, a file that was moved here.
        _ => Some(Change::Settled),
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::Watcher;
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    fn watcher(directories: &[&str], file: Option<&str>) -> Watcher {
        let mut watcher = Watcher::new();
        watcher.directories = directories
            .iter()
            .map(|directory| (PathBuf::from(directory), (0, 0)))
            .collect();
        watcher.files = file.map_or_else(BTreeMap::new, |file| {
            BTreeMap::from([(PathBuf::from(file), Arc::from(Path::new(file)))])
        });
        watcher.here = PathBuf::from("/home/me");
        watcher
    }

    #[test]
    fn an_event_is_about_the_file_as_it_was_named() {
        for (directory, event, named) in [
            ("shop", "/home/me/shop/a.yaml", "shop/a.yaml"),
            ("./shop", "/home/me/./shop/a.yaml", "./shop/a.yaml"),
            (".", "/home/me/./a.yaml", "./a.yaml"),
            ("../x", "/home/me/../x/a.yaml", "../x/a.yaml"),
            ("/home/me/shop", "/home/me/shop/a.yaml", "/home/me/shop/a.yaml"),
        ] {
            let watcher = watcher(&[directory], None);
            assert_eq!(
                watcher.as_named(Path::new(event)),
                PathBuf::from(named),
                "{directory}"
            );
        }
        let single = watcher(&[], Some("./a.yaml"));
        assert_eq!(
            single.as_named(Path::new("/home/me/a.yaml")),
            PathBuf::from("./a.yaml")
        );
    }
}
