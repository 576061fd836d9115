//! The names of a batch's fields, each kept once.

use std::collections::HashMap;
use std::sync::Arc;

/// A field name's number within one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub(super) u32);

impl KeyId {
    /// The number, below [`Keys::len`]: for tables beside the batch's own.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The interned names of one batch.
///
/// They belong to the batch and not to the process, since input decides how many there are: a
/// hostile log with ever new keys must not make the agent grow.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    names: Vec<Arc<str>>,
    /// Only once there are more names than a linear search is good for.
    index: HashMap<Arc<str>, u32>,
}

/// Up to here comparing lengths and bytes beats hashing.
const LINEAR_LIMIT: usize = 24;

impl Keys {
    /// The name's number, if the batch has it.
    pub fn find(&self, name: &str) -> Option<KeyId> {
        if self.index.is_empty() {
            let at = self.names.iter().position(|known| &**known == name)?;
            return u32::try_from(at).ok().map(KeyId);
        }
        self.index.get(name).copied().map(KeyId)
    }

    /// The name's number, given to it now if it is new.
    pub fn intern(&mut self, name: &str) -> KeyId {
        if let Some(key) = self.find(name) {
            return key;
        }
        // A chunk is below 4 GiB, so there are fewer names than numbers.
        let id = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        if !self.index.is_empty() {
            self.index.insert(name, id);
        } else if self.names.len() > LINEAR_LIMIT {
            self.index =
                self.names.iter().zip(0u32..).map(|(name, at)| (Arc::clone(name), at)).collect();
        }
        KeyId(id)
    }

    /// The name with this number.
    #[inline]
    pub fn name(&self, key: KeyId) -> &str {
        self.names.get(key.0 as usize).map_or("", |name| name)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_however_many_there_are() {
        let mut keys = Keys::default();
        let ids: Vec<_> = (0..100).map(|n| keys.intern(&format!("k{n}"))).collect();
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(keys.intern(&format!("k{n}")), *id);
            assert_eq!(keys.name(*id), format!("k{n}"));
        }
        assert_eq!(keys.len(), 100);
        assert_eq!(keys.find("other"), None);
    }
}
