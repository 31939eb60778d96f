//! Which files there are, which of them changed, and what they say. Remembers of each file what it looked like when
//! it was read last, so that only changed files are read again.

use crate::text::tree::Mark;
use crate::text::{Format, SyntaxError};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Standard input, as a path.
pub(crate) const STDIN: &str = "-";
/// Larger than any cluster's dump that is worth translating; a guard against a path that is not meant.
const SIZE_LIMIT: u64 = 256 << 20;
/// How often a file may change while it is read for the first time.
const TRIES: u32 = 5;
/// A file that had content and is empty now is being rewritten, usually. After this time it is empty for good.
const EMPTY_GRACE: Duration = Duration::from_secs(1);

/// The files below some paths.
#[derive(Debug)]
pub(crate) struct Files {
    roots: Vec<PathBuf>,
    known: BTreeMap<Arc<Path>, Stamp>,
}

/// What there is now.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files and what they look like.
    pub files: BTreeMap<Arc<Path>, Stamp>,
    /// Those that are links.
    pub links: BTreeSet<Arc<Path>>,
    /// Directories that were looked into.
    pub directories: BTreeMap<PathBuf, Identity>,
    /// What could not be looked at, and why.
    pub failures: BTreeMap<PathBuf, String>,
}

/// Device and inode: tells a file or directory from another one that takes its name.
pub(crate) type Identity = (u64, u64);

/// What a file looks like from outside. Equal: not changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    identity: Identity,
    size: u64,
    modified: (i64, i64),
}

/// What came of reading a file.
#[derive(Debug)]
pub(crate) enum Contents {
    /// Its text.
    Text(String),
    /// It is no text; the place of the first byte that is none.
    NotText(SyntaxError),
    /// It can't be read.
    Failed(String),
    /// It is not there.
    Gone,
    /// Somebody is writing it right now.
    Unsettled,
}

impl Files {
    /// Nothing is read yet.
    pub(crate) fn new(roots: Vec<PathBuf>) -> Self {
        Self {
            roots,
            known: BTreeMap::new(),
        }
    }

    /// Paths that were given.
    pub(crate) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Looks at every path, without reading any file.
    pub(crate) fn find(&self) -> Found {
        let mut found = Found::default();
        for root in &self.roots {
            if root.as_os_str() == STDIN {
                continue;
            }
            match fs::metadata(root) {
                Ok(metadata) if metadata.is_dir() => walk(root, &metadata, &mut Vec::new(), &mut found),
                // A pipe is read once, like standard input.
                Ok(metadata) if !metadata.is_file() && self.known.contains_key(root.as_path()) => {
                    let stamp = self.known[root.as_path()];
                    found.files.insert(root.as_path().into(), stamp);
                }
                Ok(metadata) => {
                    let link = fs::symlink_metadata(root).is_ok_and(|metadata| metadata.is_symlink());
                    found.file(root, link, &metadata);
                }
                Err(error) => {
                    found.failures.insert(root.clone(), reason(&error));
                }
            }
        }
        // A file that can be reached by two names is read once.
        let mut seen = HashSet::new();
        found.files.retain(|_, stamp| seen.insert(stamp.identity));
        found
    }

    /// Files that look different from when they were read, and files that are gone.
    pub(crate) fn changed(&self, found: &Found) -> (Vec<Arc<Path>>, Vec<Arc<Path>>) {
        let changed = found
            .files
            .iter()
            .filter(|(path, stamp)| self.known.get(*path) != Some(stamp))
            .map(|(path, _)| Arc::clone(path))
            .collect();
        let gone = self
            .known
            .keys()
            .filter(|path| !found.files.contains_key(*path) && path.as_os_str() != STDIN)
            .cloned()
            .collect();
        (changed, gone)
    }

    /// Reads a file and remembers what it looks like. With `patient`, a file that was written within `quiet` is
    /// unsettled.
    pub(crate) fn read(&mut self, path: &Arc<Path>, patient: bool, quiet: Duration) -> Contents {
        let before = self.known.get(path).copied();
        let (stamp, bytes) = match read(path) {
            Ok(Some(read)) => read,
            Ok(None) => return Contents::Unsettled,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Contents::Gone,
            Err(error) => return Contents::Failed(reason(&error)),
        };
        let emptied = stamp.size == 0 && before.is_some_and(|before| before.size > 0);
        if (patient && stamp.is_younger_than(quiet)) || (emptied && stamp.is_younger_than(EMPTY_GRACE)) {
            return Contents::Unsettled;
        }
        self.known.insert(Arc::clone(path), stamp);
        text(bytes)
    }

    /// Whether a new name leads to a file that is known by another one, and still there under it.
    pub(crate) fn is_alias(&self, path: &Path) -> bool {
        if self.known.contains_key(path) {
            return false;
        }
        let Ok(metadata) = fs::metadata(path) else {
            return false;
        };
        let stamp = Stamp::of(&metadata);
        let others = self.known.iter().filter(|(_, known)| known.is_file_of(&stamp));
        others
            .map(|(other, _)| fs::metadata(other))
            .any(|metadata| metadata.is_ok_and(|metadata| Stamp::of(&metadata).is_file_of(&stamp)))
    }

    /// A file was read by [`read_now`].
    pub(crate) fn remember(&mut self, path: &Arc<Path>, stamp: Stamp) {
        self.known.insert(Arc::clone(path), stamp);
    }

    /// A file is gone.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.known.remove(path);
    }
}

/// Reads a file for the first time, with what it looks like.
pub(crate) fn read_now(path: &Path) -> (Option<Stamp>, Contents) {
    for _ in 0..TRIES {
        match read(path) {
            Ok(Some((stamp, bytes))) => return (Some(stamp), text(bytes)),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (None, Contents::Gone),
            Err(error) => return (None, Contents::Failed(reason(&error))),
        }
    }
    (None, Contents::Failed("it changes while it is read".into()))
}

/// Reads standard input to its end.
pub(crate) fn read_stdin() -> Contents {
    let mut bytes = Vec::new();
    match io::stdin().lock().take(SIZE_LIMIT).read_to_end(&mut bytes) {
        Ok(_) => text(bytes),
        Err(error) => Contents::Failed(reason(&error)),
    }
}

/// How a file is written, judging by its name, and for standard input by its first character.
pub(crate) fn format(path: &Path, text: &str) -> Format {
    match Format::of(path) {
        Some(format) => format,
        None if text.trim_start().starts_with(['{', '[']) => Format::Json,
        None => Format::Yaml,
    }
}

/// Whether a directory's entry is looked at: no hidden ones, among them `..data` of mounted ConfigMaps, whose visible
/// names are links into it.
pub(crate) fn is_visible(name: &std::ffi::OsStr) -> bool {
    !name.as_encoded_bytes().starts_with(b".")
}

impl Found {
    fn file(&mut self, path: &Path, link: bool, metadata: &Metadata) {
        let path: Arc<Path> = path.into();
        if link {
            self.links.insert(Arc::clone(&path));
        }
        self.files.insert(path, Stamp::of(metadata));
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            identity: identity(metadata),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    fn is_file_of(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    fn is_younger_than(&self, age: Duration) -> bool {
        let Ok(seconds) = u64::try_from(self.modified.0) else {
            return false;
        };
        let nanos = u32::try_from(self.modified.1).unwrap_or(0);
        let modified = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        // A time in the future says nothing.
        modified.elapsed().is_ok_and(|elapsed| elapsed < age)
    }
}

/// `inside`: the directories on the way here, so that a link to one of them is not followed in circles.
fn walk(directory: &Path, metadata: &Metadata, inside: &mut Vec<Identity>, found: &mut Found) {
    let identity = identity(metadata);
    if inside.contains(&identity) {
        return;
    }
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            found.failures.insert(directory.to_owned(), reason(&error));
            return;
        }
    };
    found.directories.insert(directory.to_owned(), identity);
    inside.push(identity);
    for entry in entries.flatten() {
        if !is_visible(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        // Follows links; one that leads nowhere is as good as no file.
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            walk(&path, &metadata, inside, found);
        } else if metadata.is_file() && Format::of(&path).is_some() {
            let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            found.file(&path, link, &metadata);
        }
    }
    inside.pop();
}

/// See [`Identity`].
pub(crate) fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// `None`: it changed while it was being read.
fn read(path: &Path) -> io::Result<Option<(Stamp, Vec<u8>)>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if metadata.len() > SIZE_LIMIT {
        return Err(io::Error::other(format!("larger than {} MiB", SIZE_LIMIT >> 20)));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    (&mut file).take(SIZE_LIMIT).read_to_end(&mut bytes)?;
    let stamp = Stamp::of(&metadata);
    let settled = !metadata.is_file() || Stamp::of(&file.metadata()?) == stamp;
    Ok(settled.then_some((stamp, bytes)))
}

fn text(bytes: Vec<u8>) -> Contents {
    match String::from_utf8(bytes) {
        Ok(text) => Contents::Text(text),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let valid = String::from_utf8_lossy(valid);
            let line = valid.matches('\n').count() + 1;
            let column = valid.chars().rev().take_while(|c| *c != '\n').count() + 1;
            Contents::NotText(SyntaxError {
                mark: Mark {
                    line: u32::try_from(line).unwrap_or(u32::MAX),
                    column: u32::try_from(column).unwrap_or(u32::MAX),
                },
                reason: "not UTF-8".into(),
            })
        }
    }
}

/// The reason without the number: `No such file or directory`.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
