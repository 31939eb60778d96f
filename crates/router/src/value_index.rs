//! Many rules that differ only in the value of one header field or query parameter (tenants, versions) are found
//! by that value instead of one by one.

use crate::conditions::{Request, joined};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ir::{Match, StringMatch, ValueMatch};

/// Entries by the exact value that they ask of one field or parameter.
pub(crate) struct ValueIndex {
    field: Field,
    by_value: HashMap<Box<[u8]>, Vec<u32>, RandomState>,
    /// Entries that ask for no exact value of it, in order of rank.
    others: Box<[u32]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Field {
    Header(Box<str>),
    Query(Box<str>),
}

impl ValueIndex {
    /// Over entries in order of rank, by the field that most of them ask for. `None`: it would not help.
    pub fn new<'m>(entries: impl Iterator<Item = (u32, &'m Match)> + Clone) -> Option<Self> {
        let field = most_asked(entries.clone())?;
        let mut by_value: HashMap<Box<[u8]>, Vec<u32>, RandomState> = HashMap::default();
        let mut others = Vec::new();
        for (entry, conditions) in entries {
            match field.exact_value(conditions) {
                Some(value) => by_value.entry(value.as_bytes().into()).or_default().push(entry),
                None => others.push(entry),
            }
        }
        Some(Self {
            field,
            by_value,
            others: others.into(),
        })
    }

    /// The first entry in order of rank for which `holds`. Only those that can hold are asked.
    pub fn first(&self, request: &Request<'_>, mut holds: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut with_value = self.with_value(request).iter().copied().peekable();
        let mut others = self.others.iter().copied().peekable();
        loop {
            let next = match (with_value.peek(), others.peek()) {
                (Some(a), Some(b)) if a < b => with_value.next(),
                (Some(_), None) => with_value.next(),
                (_, Some(_)) => others.next(),
                (None, None) => return None,
            }?;
            if holds(next) {
                return Some(next);
            }
        }
    }

    /// Entries that ask for the request's value.
    fn with_value(&self, request: &Request<'_>) -> &[u32] {
        let entries = match &self.field {
            Field::Header(name) => {
                let headers = request.head.headers;
                match headers.next_value(name, 0) {
                    None => None,
                    Some((position, _)) if headers.next_value(name, position + 1).is_some() => {
                        self.by_value.get(joined(headers, name).as_slice())
                    }
                    Some((_, value)) => self.by_value.get(value),
                }
            }
            Field::Query(name) => {
                let value = request.query.first(name);
                value.and_then(|value| value.decoded(|value| self.by_value.get(value)))
            }
        };
        entries.map_or(&[], Vec::as_slice)
    }
}

impl Field {
    fn exact_value<'m>(&self, conditions: &'m Match) -> Option<&'m str> {
        let (list, name) = match self {
            Self::Header(name) => (&conditions.headers, name),
            Self::Query(name) => (&conditions.query, name),
        };
        list.iter()
            .find(|condition| condition.name == **name)
            .and_then(exact)
    }
}

fn exact(condition: &ValueMatch) -> Option<&str> {
    match &condition.value {
        StringMatch::Exact(text) => Some(text),
        StringMatch::Regex(_) => None,
    }
}

/// The field that most entries want an exact value of, if it is at least half of them.
fn most_asked<'m>(entries: impl Iterator<Item = (u32, &'m Match)>) -> Option<Field> {
    let mut counts: HashMap<Field, usize, RandomState> = HashMap::default();
    let mut all = 0;
    for (_, conditions) in entries {
        all += 1;
        let headers = conditions
            .headers
            .iter()
            .filter(|condition| exact(condition).is_some());
        let query = conditions
            .query
            .iter()
            .filter(|condition| exact(condition).is_some());
        let fields = headers
            .map(|condition| Field::Header(condition.name.as_str().into()))
            .chain(query.map(|condition| Field::Query(condition.name.as_str().into())));
        for field in fields {
            *counts.entry(field).or_default() += 1;
        }
    }
    let (field, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    (count * 2 >= all).then_some(field)
}
