//! Which buffers are full, and since when: a batch found no room there, and none has left since.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// A buffer in front of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The queue in memory.
    Memory,
    /// The files behind it.
    Disk,
}

/// The buffers of all components. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Fullness(Arc<Mutex<Buffers>>);

/// By component and place.
type Buffers = BTreeMap<(Arc<str>, Place), Full>;

/// Since when one buffer is full, if it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Full(Arc<Mutex<Option<Instant>>>);

impl Full {
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch found no room.
    pub(super) fn begin(&self) {
        self.since().get_or_insert_with(Instant::now);
    }

    /// There is room again.
    pub(super) fn end(&self) {
        *self.since() = None;
    }
}

impl Fullness {
    fn buffers(&self) -> MutexGuard<'_, Buffers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer in front of the component of this name, which has room.
    pub(super) fn buffer(&self, component: &str, place: Place) -> Full {
        let full = self.buffers().entry((component.into(), place)).or_default().clone();
        full.end();
        full
    }

    /// Lets go of a component that is there no more.
    pub(super) fn forget(&self, component: &str) {
        self.buffers().retain(|(name, _), _| &**name != component);
    }

    /// The buffers that are full, and since when.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Place, Instant)> {
        let buffers = self.buffers();
        let full = buffers.iter().filter_map(|((name, place), full)| {
            let since = *full.since();
            Some((Arc::clone(name), *place, since?))
        });
        full.collect()
    }
}
