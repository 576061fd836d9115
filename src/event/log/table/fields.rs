//! The fields of a table, in memory that is used again.
//!
//! A batch's fields take some hundred kilobytes. The allocator gives so much back to the kernel
//! each time, and has it made anew, page by page, for the next batch: a third of what parsing
//! costs.

use super::Field;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers that are kept; a batch or two are at work at a time, and a few wait for a sink.
const SPARE_BUFFERS: usize = 4;

/// Larger ones go back to the allocator, so that one odd batch is not paid for ever after.
const SPARE_FIELDS: usize = 64 << 10;

/// Memory of batches that are gone, for those that come. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Spare(Arc<Mutex<Vec<Vec<Field>>>>);

impl Spare {
    /// An empty buffer with room for so many fields.
    fn take(&self, room: usize) -> Vec<Field> {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = buffers.pop().unwrap_or_default();
        drop(buffers);
        buffer.reserve(room);
        buffer
    }

    fn give_back(&self, mut buffer: Vec<Field>) {
        buffer.clear();
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < SPARE_BUFFERS && (1..=SPARE_FIELDS).contains(&buffer.capacity()) {
            buffers.push(buffer);
        }
    }
}

/// All fields of a batch, record by record.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    all: Vec<Field>,
    spare: Option<Spare>,
}

impl Fields {
    /// None yet, with room for so many.
    pub(super) fn with_room(room: usize, spare: Option<&Spare>) -> Self {
        let all = spare.map_or_else(|| Vec::with_capacity(room), |spare| spare.take(room));
        Self { all, spare: spare.cloned() }
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        if let Some(spare) = &self.spare {
            spare.give_back(std::mem::take(&mut self.all));
        }
    }
}

impl Deref for Fields {
    type Target = Vec<Field>;

    fn deref(&self) -> &Vec<Field> {
        &self.all
    }
}

impl DerefMut for Fields {
    fn deref_mut(&mut self) -> &mut Vec<Field> {
        &mut self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::{KeyId, Value};

    #[test]
    fn memory_of_a_table_that_is_gone_is_that_of_the_next_one() {
        let spare = Spare::default();
        let mut first = Fields::with_room(1000, Some(&spare));
        first.push(Field { key: KeyId(0), value: Value::Null });
        let at = first.as_ptr();
        drop(first);
        let next = Fields::with_room(500, Some(&spare));
        assert_eq!(next.as_ptr(), at);
        assert!(next.is_empty());
        assert_ne!(Fields::with_room(500, Some(&spare)).as_ptr(), at);
    }

    #[test]
    fn what_is_kept_has_bounds_in_number_and_size() {
        let spare = Spare::default();
        let all: Vec<Fields> = (0..20).map(|_| Fields::with_room(10, Some(&spare))).collect();
        drop(all);
        drop(Fields::with_room(SPARE_FIELDS * 2, Some(&spare)));
        let kept = spare.0.lock().unwrap();
        assert!(kept.len() <= SPARE_BUFFERS);
        assert!(kept.iter().all(|buffer| buffer.capacity() <= SPARE_FIELDS));
    }
}
