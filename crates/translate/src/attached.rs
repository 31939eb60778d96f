//! Routes by the listener they are attached to, kept from one translation to the next: a changed route touches its
//! own listeners and no other.

use crate::gateway::{Place, RouteUnit};
use ir::{List, Origin, Route, StreamRoute};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// Routes by listener.
#[derive(Debug)]
pub(crate) struct Attached<R> {
    slots: HashMap<Place, Slot<R>>,
}

/// A route of any kind.
pub(crate) trait Attachable {
    /// The object.
    fn origin(&self) -> &Origin;
}

/// The routes of one listener.
#[derive(Debug)]
struct Slot<R> {
    /// In order of their keys.
    routes: List<R>,
    /// Accepted routes, the number that the status shows.
    count: i32,
    /// Whether `routes` changed since they were last listed.
    touched: bool,
}

impl<R> Default for Attached<R> {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
        }
    }
}

impl<R> Default for Slot<R> {
    fn default() -> Self {
        Self {
            routes: List::default(),
            count: 0,
            touched: false,
        }
    }
}

impl<R: Attachable> Attached<R> {
    /// Replaces what a route gave before by what it gives now. Whether that makes a difference.
    pub fn replace(&mut self, old: Option<&RouteUnit<R>>, new: Option<&RouteUnit<R>>) -> bool {
        if let (Some(old), Some(new)) = (old, new)
            && old.route.as_ref().map(Arc::as_ptr) == new.route.as_ref().map(Arc::as_ptr)
            && old.attached == new.attached
            && old.accepted == new.accepted
        {
            return false;
        }
        if let Some(old) = old {
            for place in &*old.accepted {
                self.slot(place).count -= 1;
            }
            for (place, route) in placed(old) {
                let slot = self.slot(place);
                slot.touched |= slot.routes.remove(|other| order(other, route));
            }
        }
        if let Some(new) = new {
            for place in &*new.accepted {
                self.slot(place).count += 1;
            }
            for (place, route) in placed(new) {
                let slot = self.slot(place);
                slot.routes.insert(|other| order(other, route), Arc::clone(route));
                slot.touched = true;
            }
        }
        true
    }

    /// Accepted routes of a listener.
    pub fn count(&self, place: &Place) -> i32 {
        self.slots.get(place).map_or(0, |slot| slot.count)
    }

    /// The routes of a listener, in order of their keys; `None` if they are what they were when last asked for.
    pub fn list(&mut self, place: &Place) -> Option<List<R>> {
        let slot = self.slots.get_mut(place)?;
        std::mem::take(&mut slot.touched).then(|| slot.routes.clone())
    }

    /// The routes of a listener, whether they changed or not.
    pub fn list_anyway(&self, place: &Place) -> List<R> {
        let slot = self.slots.get(place);
        slot.map(|slot| slot.routes.clone()).unwrap_or_default()
    }

    /// Forgets listeners without routes, perhaps gone. Asked for when every listener that is served was listed.
    pub fn forget_empty(&mut self) {
        self.slots
            .retain(|_, slot| slot.count > 0 || !slot.routes.is_empty());
    }

    fn slot(&mut self, place: &Place) -> &mut Slot<R> {
        self.slots.entry(place.clone()).or_default()
    }
}

/// A unit's route with each of its places.
fn placed<R>(unit: &RouteUnit<R>) -> impl Iterator<Item = (&Place, &Arc<R>)> {
    let places = unit.attached.iter();
    places.flat_map(|place| unit.route.iter().map(move |route| (place, route)))
}

/// By key, then by kind: a listener that changes its protocol has routes of two kinds for a moment, perhaps of one name.
fn order<R: Attachable>(a: &R, b: &Arc<R>) -> Ordering {
    let (a, b) = (a.origin(), b.origin());
    let key = (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name));
    key.then_with(|| a.kind.cmp(&b.kind))
}

impl Attachable for Route {
    fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl Attachable for StreamRoute {
    fn origin(&self) -> &Origin {
        &self.origin
    }
}
