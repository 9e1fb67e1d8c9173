//! Who has joined the queue and what they have not seen yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use martlet_core::{Principal, RunId};
use tokio::sync::Notify;

/// Visitors that are known at once. Of those beyond, the ones who came first are forgotten: their runs go on.
const MAX_VISITORS: usize = 10_000;
/// Events that a visitor has joined and not seen.
const MAX_UNSEEN: usize = 1_000;

/// What visitors have joined and not seen yet. A visitor is an owner's client under its own name for itself.
#[derive(Debug, Default)]
pub(crate) struct Lobby(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    visitors: HashMap<(Principal, String), Visitor>,
    came: u64,
}

#[derive(Debug)]
struct Visitor {
    unseen: Vec<RunId>,
    joined: Arc<Notify>,
    /// How many visitors came before it.
    number: u64,
}

impl Lobby {
    /// Notes that a visitor joined an event.
    pub(super) fn join(&self, owner: &Principal, name: &str, run: RunId) {
        let mut inner = self.lock();
        let visitor = inner.visitor(owner, name);
        if visitor.unseen.len() == MAX_UNSEEN {
            visitor.unseen.remove(0);
        }
        visitor.unseen.push(run);
        visitor.joined.notify_one();
    }

    /// What a visitor has not seen, which from now on it has, and what tells of more; nothing if it is not known.
    pub(super) fn take(&self, owner: &Principal, name: &str) -> Option<(Vec<RunId>, Arc<Notify>)> {
        let mut inner = self.lock();
        let visitor = inner.visitors.get_mut(&(owner.clone(), name.to_owned()))?;
        Some((std::mem::take(&mut visitor.unseen), visitor.joined.clone()))
    }

    /// Makes a visitor known.
    pub(super) fn enter(&self, owner: &Principal, name: &str) -> Arc<Notify> {
        self.lock().visitor(owner, name).joined.clone()
    }

    /// Forgets a visitor that has seen everything, and says whether it has.
    pub(super) fn leave(&self, owner: &Principal, name: &str) -> bool {
        let mut inner = self.lock();
        let key = (owner.clone(), name.to_owned());
        let has_seen_all = inner.visitors.get(&key).is_none_or(|visitor| visitor.unseen.is_empty());
        if has_seen_all {
            inner.visitors.remove(&key);
        }
        has_seen_all
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn visitor(&mut self, owner: &Principal, name: &str) -> &mut Visitor {
        let key = (owner.clone(), name.to_owned());
        if self.visitors.len() >= MAX_VISITORS && !self.visitors.contains_key(&key) {
            let first = self.visitors.iter().min_by_key(|(_, visitor)| visitor.number);
            if let Some(first) = first.map(|(key, _)| key.clone()) {
                self.visitors.remove(&first);
            }
        }
        self.came += 1;
        let number = self.came;
        self.visitors.entry(key).or_insert_with(|| Visitor {
            unseen: Vec::new(),
            joined: Arc::default(),
            number,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_sees_each_event_once_and_is_forgotten() {
        let (lobby, ann, bob) = (Lobby::default(), owner("ann"), owner("bob"));
        assert!(lobby.take(&ann, "x").is_none());
        lobby.join(&ann, "x", RunId::from_bits(1));
        lobby.join(&ann, "x", RunId::from_bits(2));
        // The same name of another owner is somebody else.
        assert!(lobby.take(&bob, "x").is_none());
        assert!(!lobby.leave(&ann, "x"));
        assert_eq!(lobby.take(&ann, "x").unwrap().0, [RunId::from_bits(1), RunId::from_bits(2)]);
        assert_eq!(lobby.take(&ann, "x").unwrap().0, []);
        assert!(lobby.leave(&ann, "x"));
        assert!(lobby.take(&ann, "x").is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (lobby, ann) = (Lobby::default(), owner("ann"));
        for number in 0..MAX_UNSEEN + 10 {
            lobby.join(&ann, "x", RunId::from_bits(number as u128));
        }
        assert_eq!(lobby.take(&ann, "x").unwrap().0.len(), MAX_UNSEEN);
        for number in 0..MAX_VISITORS {
            lobby.join(&ann, &number.to_string(), RunId::from_bits(1));
        }
        assert_eq!(lobby.lock().visitors.len(), MAX_VISITORS);
        assert!(lobby.take(&ann, "x").is_none());
    }

    fn owner(user: &str) -> Principal {
        Principal::new("acme", user).unwrap()
    }
}
