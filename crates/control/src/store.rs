//! All objects of all files, and what is wrong with files and the shape of objects. A file is replaced as a whole;
//! an object that says the same as before keeps its `Arc`, so that nothing downstream sees a change.

use crate::locations::{Index, Locations, Place, Spot};
use crate::shape::{self, Unknown};
use crate::text::{Item, Outcome, SyntaxError};
use ir::{Code, Diagnostic};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use translate::{Key, Object, Objects};

/// The objects, by where they come from and by what they are.
#[derive(Default)]
pub(crate) struct Store {
    objects: Objects,
    files: BTreeMap<Arc<Path>, Contents>,
    /// Files with something to be told about them.
    remarkable: BTreeSet<Arc<Path>>,
    /// Other places of objects that stand in several files, in order of path. The first of all is in use: where that
    /// is, [`Locations`] knows.
    others: BTreeMap<Id, Vec<Candidate>>,
    locations: Locations,
    /// Each once, for all objects.
    namespaces: HashSet<Arc<str>>,
}

/// What a change of a file changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Some object is new, different or gone.
    pub objects: bool,
    /// Some of these were Services or EndpointSlices.
    pub endpoints: bool,
    /// Some finding is new or gone.
    pub findings: bool,
}

/// Kind and key.
pub(crate) type Id = (&'static str, Key);

#[derive(Default)]
struct Contents {
    ids: Vec<Id>,
    findings: Vec<(Diagnostic, Place)>,
    unknown: Vec<Unknown>,
    /// Why the file can't be read now; the rest is from when it could.
    broken: Option<Box<(Diagnostic, Place)>>,
}

struct Candidate {
    spot: Spot,
    object: Box<Object>,
}

impl Store {
    /// The objects in use.
    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The objects in use, to add what does not come from files.
    pub(crate) fn objects_mut(&mut self) -> &mut Objects {
        &mut self.objects
    }

    /// Takes the objects out; the store is of no use afterwards.
    pub(crate) fn into_objects(self) -> Objects {
        self.objects
    }

    /// Where everything stands.
    pub(crate) fn locations(&self) -> &Locations {
        &self.locations
    }

    /// Files whose objects are here.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.files.keys()
    }

    /// Replaces what a file holds.
    pub(crate) fn replace(&mut self, file: &Arc<Path>, text: &str, items: Vec<Item>) -> Touched {
        let mut new = Contents::default();
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for (position, item) in items.into_iter().enumerate() {
            let Item {
                mark,
                document,
                base,
                outcome,
            } = item;
            let place = Place::new(file, mark);
            match outcome {
                Outcome::Object { mut object, unread } => {
                    let namespace = self.namespace(&object.meta().namespace);
                    object.meta_mut().namespace = namespace;
                    let id = (object.kind(), object.key());
                    let findings = unread
                        .into_iter()
                        .map(|field| shape::unread_field(file, &object, field));
                    new.findings.extend(findings);
                    if !seen.insert(id.clone()) {
                        let earlier = "it stands in this file already; the first one is used";
                        new.findings.push((shape::duplicate(&id, earlier), place));
                        continue;
                    }
                    let spot = Spot {
                        file: Arc::clone(file),
                        mark,
                        document,
                        position: u32::try_from(position).unwrap_or(u32::MAX),
                        base: (!base.is_empty()).then(|| Box::new(base.into())),
                    };
                    found.push((id, spot, object));
                }
                Outcome::Invalid {
                    origin,
                    path,
                    mark,
                    message,
                } => {
                    let diagnostic = Diagnostic::new(Code::InvalidObject, origin, path, message);
                    new.findings.push((diagnostic, Place::new(file, mark)));
                }
                Outcome::Unknown { api_version, origin } => new.unknown.push(Unknown {
                    api_version,
                    origin,
                    place,
                }),
            }
        }
        new.ids = found.iter().map(|(id, ..)| id.clone()).collect();
        let old = self.files.remove(file).unwrap_or_default();
        let mut touched = Touched {
            findings: old.findings != new.findings || old.unknown != new.unknown || old.broken.is_some(),
            ..Touched::default()
        };
        let locations = self.locations.clone();
        let mut index = locations.write();
        index.remember(file, text);
        for id in old.ids {
            if !seen.contains(&id) {
                self.withdraw(&id, file, &mut index, &mut touched);
            }
        }
        for (id, spot, object) in found {
            self.offer(id, spot, object, &mut index, &mut touched);
        }
        self.remark(file, &new);
        self.files.insert(Arc::clone(file), new);
        touched
    }

    /// A file can't be read: what it held stays.
    pub(crate) fn fail(&mut self, file: &Arc<Path>, error: &SyntaxError) -> Touched {
        let contents = self.files.entry(Arc::clone(file)).or_default();
        let kept = if contents.ids.is_empty() {
            ""
        } else {
            "; what it held before stays in use"
        };
        let mark = error.mark;
        let message = format!("{}{kept}", error.reason);
        let diagnostic = Diagnostic::new(Code::UnreadableFile, shape::file(file), "", message)
            .hint(shape::syntax_hint(&error.reason));
        let broken = Some(Box::new((diagnostic, Place::new(file, mark))));
        let findings = contents.broken != broken;
        contents.broken = broken;
        self.remarkable.insert(Arc::clone(file));
        Touched {
            findings,
            ..Touched::default()
        }
    }

    /// A file is gone, and with it what it held.
    pub(crate) fn remove(&mut self, file: &Arc<Path>) -> Touched {
        let Some(old) = self.files.remove(file) else {
            return Touched::default();
        };
        self.remarkable.remove(file);
        let mut touched = Touched {
            findings: !old.findings.is_empty() || !old.unknown.is_empty() || old.broken.is_some(),
            ..Touched::default()
        };
        let locations = self.locations.clone();
        let mut index = locations.write();
        index.sources.remove(file);
        for id in old.ids {
            self.withdraw(&id, file, &mut index, &mut touched);
        }
        touched
    }

    /// Findings about files and the shape of objects, also made known to [`Locations`].
    pub(crate) fn findings(&self) -> Vec<Diagnostic> {
        let mut findings: Vec<(Diagnostic, Place)> = Vec::new();
        let mut unknown: BTreeMap<(&str, &str), &Unknown> = BTreeMap::new();
        for contents in self.remarkable.iter().filter_map(|file| self.files.get(file)) {
            findings.extend(contents.findings.iter().cloned());
            findings.extend(contents.broken.as_deref().cloned());
            for object in &contents.unknown {
                // Once per kind: the first one, by path of the file.
                unknown
                    .entry((&object.origin.kind, &object.api_version))
                    .or_insert(object);
            }
        }
        findings.extend(unknown.into_values().map(Unknown::finding));
        for (id, others) in &self.others {
            let file = self.locations.file(id);
            let message = format!(
                "it stands in {} already, which is the one that is used",
                file.as_deref().unwrap_or(Path::new("another file")).display()
            );
            for other in others {
                findings.push((
                    shape::duplicate(id, &message),
                    Place::new(&other.spot.file, other.spot.mark),
                ));
            }
        }
        let diagnostics = findings
            .iter()
            .map(|(diagnostic, _)| diagnostic.clone())
            .collect();
        self.locations.write().findings = findings.into_iter().collect();
        diagnostics
    }

    /// Takes an object of a file into account.
    fn offer(&mut self, id: Id, spot: Spot, object: Object, index: &mut Index, touched: &mut Touched) {
        let used = index.objects.entry(id.0).or_default();
        let Some(first) = used.get(&id.1) else {
            used.insert(id.1, spot);
            self.put(object, touched);
            return;
        };
        if first.file < spot.file {
            touched.findings |= self.others.entry(id).or_default().offer(Candidate {
                spot,
                object: Box::new(object),
            });
            return;
        }
        if first.file == spot.file {
            touched.findings |= first.position != spot.position && self.others.contains_key(&id);
            used.insert(id.1, spot);
        } else if let Some(spot) = used.insert(id.1.clone(), spot)
            && let Some(object) = self.objects.get(id.0, &id.1).map(Box::new)
        {
            touched.findings |= self
                .others
                .entry(id)
                .or_default()
                .offer(Candidate { spot, object });
        }
        self.put(object, touched);
    }

    /// A file does not hold an object any more; another file's takes its place, if there is one.
    fn withdraw(&mut self, id: &Id, file: &Arc<Path>, index: &mut Index, touched: &mut Touched) {
        let used = index.objects.entry(id.0).or_default();
        let is_first = used.get(&id.1).is_some_and(|first| first.file == *file);
        let next = match self.others.get_mut(id) {
            Some(others) => {
                touched.findings = true;
                let next = if is_first {
                    Some(others.remove(0))
                } else {
                    others.retain(|other| other.spot.file != *file);
                    None
                };
                if others.is_empty() {
                    self.others.remove(id);
                }
                next
            }
            None => None,
        };
        match next {
            Some(next) => {
                used.insert(id.1.clone(), next.spot);
                self.put(*next.object, touched);
            }
            None if is_first => {
                used.remove(&id.1);
                self.objects.remove(id.0, &id.1);
                touched.object(id.0);
            }
            None => {}
        }
    }

    fn put(&mut self, object: Object, touched: &mut Touched) {
        let kind = object.kind();
        if self.objects.insert(object) {
            touched.object(kind);
        }
    }

    fn remark(&mut self, file: &Arc<Path>, contents: &Contents) {
        let nothing =
            contents.findings.is_empty() && contents.unknown.is_empty() && contents.broken.is_none();
        if nothing {
            self.remarkable.remove(file);
        } else {
            self.remarkable.insert(Arc::clone(file));
        }
    }

    fn namespace(&mut self, name: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.namespaces.get(name) {
            return Arc::clone(known);
        }
        self.namespaces.insert(Arc::clone(name));
        Arc::clone(name)
    }
}

/// The places of an object beside the one that is in use.
trait Others {
    /// Adds one, or replaces the one of the same file. Whether findings about them are different now.
    fn offer(&mut self, candidate: Candidate) -> bool;
}

impl Others for Vec<Candidate> {
    fn offer(&mut self, candidate: Candidate) -> bool {
        match self.binary_search_by(|other| other.spot.file.cmp(&candidate.spot.file)) {
            Ok(at) => {
                let moved = self[at].spot.position != candidate.spot.position;
                self[at] = candidate;
                moved
            }
            Err(at) => {
                self.insert(at, candidate);
                true
            }
        }
    }
}

impl Touched {
    /// Whether anything is different.
    pub(crate) fn any(self) -> bool {
        self.objects || self.findings
    }

    /// Adds what another change touched.
    pub(crate) fn and(&mut self, other: Self) {
        self.objects |= other.objects;
        self.endpoints |= other.endpoints;
        self.findings |= other.findings;
    }

    /// Adds an object of a kind.
    pub(crate) fn object(&mut self, kind: &str) {
        self.objects = true;
        self.endpoints |= matches!(kind, "Service" | "EndpointSlice" | "XBackend" | "Pod");
    }
}

#[cfg(test)]
mod tests;
