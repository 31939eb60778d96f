//! The open downstream connections of one worker: counted, limited, closed when idle for too long, when their bind is
//! gone, when others need the room, or for a drain.

use crate::connection::{Control, Occupation, SocketSlot};
use crate::time::Instant;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Notify;

/// All connections of a worker.
#[derive(Debug)]
pub struct Connections {
    entries: RefCell<Vec<Option<Entry>>>,
    free: RefCell<Vec<usize>>,
    open: Cell<usize>,
    limit: Cell<usize>,
    ended: Cell<u64>,
    /// A listener may wait for room, a drain for the last connection.
    changed: Notify,
}

#[derive(Debug)]
struct Entry {
    control: Rc<Control>,
    slot: SocketSlot,
}

/// A connection's place. Dropping it frees the place.
#[derive(Debug)]
pub struct Seat {
    connections: Rc<Connections>,
    index: usize,
}

impl Connections {
    /// No connections, and room for `limit`.
    pub fn new(limit: usize) -> Rc<Self> {
        Rc::new(Self {
            entries: RefCell::default(),
            free: RefCell::default(),
            open: Cell::new(0),
            limit: Cell::new(limit.max(1)),
            ended: Cell::new(0),
            changed: Notify::new(),
        })
    }

    /// Changes how many there may be. Those that are open stay.
    pub fn set_limit(&self, limit: usize) {
        self.limit.set(limit.max(1));
        self.changed.notify_waiters();
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// How many ended since the start.
    pub fn ended(&self) -> u64 {
        self.ended.get()
    }

    /// Whether one more may be accepted.
    pub fn has_room(&self) -> bool {
        self.open.get() < self.limit.get()
    }

    /// Returns when a connection has ended or the limit has changed, and whenever idle times are looked at.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes in a connection.
    pub fn seat(self: &Rc<Self>, control: Rc<Control>, slot: SocketSlot) -> Seat {
        let entry = Some(Entry { control, slot });
        let mut entries = self.entries.borrow_mut();
        let index = if let Some(index) = self.free.borrow_mut().pop() {
            entries[index] = entry;
            index
        } else {
            entries.push(entry);
            entries.len() - 1
        };
        self.open.set(self.open.get() + 1);
        Seat {
            connections: Rc::clone(self),
            index,
        }
    }

    /// Closes the longest idle ones: a sixty-fourth of all, at least one, so that the search for them is rare. Returns
    /// how many; 0: all are busy.
    pub fn make_room(&self) -> usize {
        let mut idle: Vec<(Instant, Rc<Control>)> = self
            .controls(|_| true)
            .into_iter()
            .filter_map(|control| match control.occupation() {
                Occupation::Idle { since, .. } if !control.closing() => Some((since, control)),
                _ => None,
            })
            .collect();
        let count = (self.limit.get() / 64).max(1).min(idle.len());
        if count == 0 {
            return 0;
        }
        idle.select_nth_unstable_by_key(count - 1, |(since, _)| *since);
        for (_, control) in &idle[..count] {
            control.close();
        }
        count
    }

    /// Ends the wait of those that are idle for too long.
    pub fn expire(&self, now: Instant) {
        for control in self.controls(|_| true) {
            control.expire(now);
        }
        // Whoever waits for room looks again: a connection may have fallen idle.
        self.changed.notify_waiters();
    }

    /// Asks every connection to close when its exchange is over; the idle ones at once.
    pub fn close_all(&self) {
        for control in self.controls(|_| true) {
            control.close();
        }
    }

    /// The same for those of binds that are gone.
    pub fn close_where(&self, gone: impl Fn(SocketSlot) -> bool) {
        for control in self.controls(gone) {
            control.close();
        }
    }

    /// A list of its own, because closing may wake code that seats or unseats.
    fn controls(&self, which: impl Fn(SocketSlot) -> bool) -> Vec<Rc<Control>> {
        let entries = self.entries.borrow();
        entries
            .iter()
            .flatten()
            .filter(|entry| which(entry.slot))
            .map(|entry| Rc::clone(&entry.control))
            .collect()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let all = &self.connections;
        all.entries.borrow_mut()[self.index] = None;
        all.free.borrow_mut().push(self.index);
        all.open.set(all.open.get() - 1);
        all.ended.set(all.ended.get() + 1);
        all.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Wait;
    use std::time::Duration;

    fn idle_control(since: Instant) -> Rc<Control> {
        let control = Rc::new(Control::default());
        let until = since + Duration::from_secs(60);
        control.set(Occupation::Idle {
            since,
            until,
            wait: Wait::Long,
        });
        control
    }

    #[test]
    fn a_full_worker_has_room_again_when_a_connection_ends() {
        let all = Connections::new(2);
        let slot = SocketSlot(0);
        let first = all.seat(Rc::default(), slot);
        let _second = all.seat(Rc::default(), slot);
        assert!(!all.has_room());
        drop(first);
        assert!(all.has_room());
        assert_eq!((all.open(), all.ended()), (1, 1));
        let _third = all.seat(Rc::default(), slot);
        assert_eq!(all.entries.borrow().len(), 2, "places are used again");
    }

    #[test]
    fn room_is_made_by_the_longest_idle_and_never_by_a_busy_one() {
        let all = Connections::new(3);
        let start = Instant::now();
        let controls = [
            idle_control(start + Duration::from_secs(2)),
            idle_control(start + Duration::from_secs(1)),
            Rc::default(),
        ];
        let seats: Vec<Seat> = controls
            .iter()
            .map(|control| all.seat(Rc::clone(control), SocketSlot(0)))
            .collect();
        assert_eq!(all.make_room(), 1);
        assert_eq!(
            controls.each_ref().map(|control| control.closing()),
            [false, true, false]
        );
        assert_eq!(
            all.make_room(),
            1,
            "the one that is closing already is not counted again"
        );
        assert_eq!(all.make_room(), 0, "the third is busy");
        drop(seats);
    }

    #[test]
    fn only_connections_of_binds_that_are_gone_are_closed() {
        let all = Connections::new(9);
        let controls: [Rc<Control>; 2] = Default::default();
        let _seats = [
            all.seat(controls[0].clone(), SocketSlot(0)),
            all.seat(controls[1].clone(), SocketSlot(1)),
        ];
        all.close_where(|slot| slot == SocketSlot(1));
        assert_eq!(
            controls.each_ref().map(|control| control.closing()),
            [false, true]
        );
    }

    #[test]
    fn an_idle_connection_expires_at_its_time_and_a_busy_one_never() {
        let all = Connections::new(9);
        let start = Instant::now();
        let (idle, busy) = (idle_control(start), Rc::<Control>::default());
        let _seats = [
            all.seat(idle.clone(), SocketSlot(0)),
            all.seat(busy.clone(), SocketSlot(0)),
        ];
        all.expire(start + Duration::from_secs(59));
        assert_ne!(idle.occupation(), Occupation::TimedOut);
        all.expire(start + Duration::from_secs(60));
        assert_eq!(idle.occupation(), Occupation::TimedOut);
        assert_eq!(busy.occupation(), Occupation::Busy);
    }
}
