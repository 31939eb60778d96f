//! The objects of a cluster on disk, for a restart while the API server is away.
//!
//! One file, `objects.json`: a line that names the format, then an object per line. Only its owner may read it: it holds
//! the Secrets that are referred to.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use translate::{Object, Objects};

/// Saves on a thread of its own: disks can be slow.
pub(crate) struct Saved {
    file: PathBuf,
    newest: Option<Sender<Objects>>,
    /// When objects were last handed over, and whether there were others since then.
    handed: Option<Instant>,
    pending: bool,
    thread: Option<JoinHandle<()>>,
}

impl Saved {
    /// In a folder, which is made if there is none.
    pub fn new(folder: &Path) -> Self {
        let file = folder.join("objects.json");
        let (newest, arriving) = channel();
        let target = file.clone();
        let thread = std::thread::Builder::new().name("save".into());
        let thread = thread.spawn(move || keep(&target, &arriving));
        let thread = thread.inspect_err(|error| tracing::error!(%error, "the configuration can't be saved"));
        Self {
            file,
            newest: Some(newest),
            handed: None,
            pending: false,
            thread: thread.ok(),
        }
    }

    /// Saves now or, if that was done a moment ago, when [`Self::save_pending`] is called: a copy of thousands of objects
    /// for each change would be too much.
    pub fn save(&mut self, objects: &Objects) {
        self.pending = true;
        self.save_pending(objects);
    }

    /// Saves what had to wait.
    pub fn save_pending(&mut self, objects: &Objects) {
        let early = self.handed.is_some_and(|handed| handed.elapsed() < PAUSE);
        if !self.pending || early {
            return;
        }
        self.pending = false;
        self.handed = Some(Instant::now());
        if let Some(newest) = &self.newest {
            // Without its thread, which told why.
            let _ = newest.send(objects.clone());
        }
    }

    /// What was saved last; `None`: nothing.
    pub fn load(&self) -> Option<Vec<Object>> {
        match read(&self.file) {
            Ok(objects) => Some(objects),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(file = %self.file.display(), %error, "the saved configuration can't be read");
                None
            }
        }
    }
}

/// Waits until everything is saved.
impl Drop for Saved {
    fn drop(&mut self) {
        self.newest = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was told when it happened.
            let _ = thread.join();
        }
    }
}

/// Writes what arrives; of several that wait, the newest.
fn keep(file: &Path, arriving: &Receiver<Objects>) {
    let mut told = false;
    while let Ok(objects) = arriving.recv() {
        match write(file, arriving.try_iter().last().as_ref().unwrap_or(&objects)) {
            Ok(()) => told = false,
            Err(error) => {
                // Once, until it works again.
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(file = %file.display(), %error, "the configuration can't be saved");
                }
            }
        }
    }
}

fn write(file: &Path, objects: &Objects) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let unfinished = file.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = BufWriter::new(options.open(&unfinished)?);
    writeln!(out, "{FORMAT}")?;
    objects.write_lines(&mut out)?;
    out.into_inner()
        .map_err(std::io::IntoInnerError::into_error)?
        .sync_all()?;
    std::fs::rename(unfinished, file)
}

fn read(file: &Path) -> std::io::Result<Vec<Object>> {
    let wrong = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let mut lines = BufReader::new(File::open(file)?).lines();
    match lines.next().transpose()? {
        Some(format) if format == FORMAT => {}
        _ => return Err(wrong("it is not of this program's version".into())),
    }
    let mut objects = Vec::new();
    for line in lines {
        let value: serde_json::Value = serde_json::from_str(&line?)?;
        objects.extend(Object::from_value(&value)?);
    }
    Ok(objects)
}

/// First line of the file. To be changed when an older program would misread what follows.
const FORMAT: &str = r#"{"format":"narthex objects 1"}"#;
/// Least time between two writes.
const PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_was_saved_at_the_end_is_there_again_and_nobody_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state");
        let mut objects = Objects::default();
        for object in [
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"},
                "type": "kubernetes.io/tls", "data": {"tls.key": "AAECAw=="}}),
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i", "generation": 3},
                "spec": {"rules": [{"host": "a.example"}]}}),
        ] {
            objects.insert(Object::from_value(&object).unwrap().unwrap());
        }
        let mut saved = Saved::new(&folder);
        assert_eq!(saved.load(), None);
        saved.save(&Objects::default());
        saved.save(&objects);
        assert!(saved.pending, "saved twice in a moment");
        saved.handed = None;
        saved.save_pending(&objects);
        assert!(!saved.pending);
        drop(saved);
        let mode = std::fs::metadata(folder.join("objects.json"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let mut again = Objects::default();
        for object in Saved::new(&folder).load().unwrap() {
            again.insert(object);
        }
        let lines = |objects: &Objects| {
            let mut lines = Vec::new();
            objects.write_lines(&mut lines).unwrap();
            String::from_utf8(lines).unwrap()
        };
        assert_eq!(lines(&again), lines(&objects));
        assert!(lines(&again).contains("AAECAw=="));
    }
}
