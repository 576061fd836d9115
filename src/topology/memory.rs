//! The memory ceiling: one budget for the chunks of all sources.
//!
//! A chunk is counted once, from the read until its last holder lets go, however many edges and
//! branches it waits on. Every source may have one chunk beyond the shared budget, so that a
//! dead sink, whose edges hold all that they may, cannot starve the others.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are counted in these, since a semaphore counts in 32 bits.
const UNIT_BYTES: usize = 1024;

/// Buffers kept for reuse; a fresh one costs a page fault per 4 KiB.
const SPARE_BUFFERS: usize = 8;

/// Smaller buffers cost little to make, and would only take the places of larger ones.
const SPARE_BYTES: usize = 64 << 10;

/// The shared budget. Clones share it.
#[derive(Clone, Debug)]
pub struct Memory {
    budget: Arc<Semaphore>,
    units: u32,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// One source's access to the budget, with its guaranteed chunk.
#[derive(Clone, Debug)]
pub struct Reserve {
    memory: Memory,
    own: Arc<Semaphore>,
}

/// A buffer that counts against the budget until it, and every [`Bytes`] made from it, is gone.
#[derive(Debug)]
pub struct Chunk {
    /// The bytes; grow them only up to what was asked for.
    pub data: Vec<u8>,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
    _permit: OwnedSemaphorePermit,
}

impl Memory {
    /// A budget of this many bytes.
    pub fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        let budget = Arc::new(Semaphore::new(units as usize));
        Self { budget, units, spare: Arc::default() }
    }

    /// Access for one source.
    pub fn reserve(&self) -> Reserve {
        Reserve { memory: self.clone(), own: Arc::new(Semaphore::new(1)) }
    }

    /// Bytes that are taken now.
    pub fn used_bytes(&self) -> usize {
        (self.units as usize - self.budget.available_permits()) * UNIT_BYTES
    }

    /// Bytes that there are.
    pub fn limit_bytes(&self) -> usize {
        self.units as usize * UNIT_BYTES
    }
}

impl Reserve {
    /// An empty buffer for `bytes` bytes; waits until the budget or this source's own chunk
    /// allows it.
    pub async fn chunk(&self, bytes: usize) -> Chunk {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let shared =
            Arc::clone(&self.memory.budget).acquire_many_owned(units.min(self.memory.units));
        let own = Arc::clone(&self.own).acquire_owned();
        let permit = tokio::select! {
            biased;
            permit = own => permit,
            permit = shared => permit,
        };
        let Ok(permit) = permit else {
            // The semaphores are never closed.
            return std::future::pending().await;
        };
        let mut spare = self.memory.spare.lock().unwrap_or_else(PoisonError::into_inner);
        // The one that was used last is likeliest to be in the processor's cache.
        let fits =
            spare.iter().rposition(|buffer| bytes >= SPARE_BYTES && buffer.capacity() >= bytes);
        let data = fits.map_or_else(|| Vec::with_capacity(bytes), |at| spare.remove(at));
        drop(spare);
        Chunk { data, spare: Arc::clone(&self.memory.spare), _permit: permit }
    }
}

impl Chunk {
    /// The bytes, shared and immutable from here on.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut data = std::mem::take(&mut self.data);
        data.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_BUFFERS && data.capacity() >= SPARE_BYTES {
            spare.push(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_source_always_has_one_chunk_even_when_others_hold_the_whole_budget() {
        let memory = Memory::new(4096);
        let (greedy, modest) = (memory.reserve(), memory.reserve());
        let held = [greedy.chunk(1024).await, greedy.chunk(4096).await];
        assert!(greedy.chunk(1024).now_or_never().is_none());
        let own = modest.chunk(1024).await;
        assert!(modest.chunk(1024).now_or_never().is_none());
        drop(own.freeze());
        assert!(modest.chunk(1024).now_or_never().is_some());
        drop(held);
        assert_eq!(memory.used_bytes(), 0);
    }
}
