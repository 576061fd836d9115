//! Chance, and what only looks like it: with a seed the numbers are those that Python draws from
//! the same seed, so that a host keeps its minute when its playbook moves over.

use minijinja::value::Value;
use sha2::{Digest as _, Sha512};

/// Where numbers come from.
#[derive(Debug)]
pub(super) enum Random {
    /// The same each time.
    Seeded(Box<Twister>),
    /// The kernel.
    System,
}

impl Random {
    /// From `seed`, or from the kernel where there is none.
    pub(super) fn new(seed: Option<&Value>) -> Self {
        seed.map_or(Self::System, |seed| Self::Seeded(Box::new(Twister::new(&key(seed)))))
    }

    fn bits(&mut self, count: u32) -> u64 {
        match self {
            Self::Seeded(twister) => twister.bits(count),
            Self::System => {
                let mut bytes = [0; 8];
                // Fails on kernels that no host of today has; the number is then still one.
                if getrandom::getrandom(&mut bytes).is_err() {
                    use std::hash::{BuildHasher as _, RandomState};
                    bytes = RandomState::new().hash_one(count).to_le_bytes();
                }
                u64::from_le_bytes(bytes) >> (64 - count)
            }
        }
    }

    /// A number from 0 to below `end`, which is above 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let count = 64 - end.max(1).leading_zeros();
        loop {
            let drawn = self.bits(count);
            if drawn < end.max(1) {
                return drawn;
            }
        }
    }

    /// One of the items; `None` where there is none.
    pub(super) fn choice<'i, T>(&mut self, items: &'i [T]) -> Option<&'i T> {
        if items.is_empty() {
            return None;
        }
        items.get(usize::try_from(self.below(items.len() as u64)).unwrap_or_default())
    }

    /// The items in another order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = self.below(at as u64 + 1);
            items.swap(at, usize::try_from(other).unwrap_or_default());
        }
    }
}

/// The seed as words, least significant first: a whole number is itself, and of text Python takes
/// the bytes with their SHA-512 behind them.
fn key(seed: &Value) -> Vec<u32> {
    let mut bytes = match seed.as_i64() {
        Some(number) => number.unsigned_abs().to_be_bytes().to_vec(),
        None => {
            let text = seed.to_string();
            let digest = Sha512::digest(text.as_bytes());
            [text.as_bytes(), digest.as_slice()].concat()
        }
    };
    bytes.reverse();
    let words = bytes
        .chunks(4)
        .map(|chunk| chunk.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte)));
    let mut words: Vec<u32> = words.collect();
    while words.len() > 1 && words.last() == Some(&0) {
        words.pop();
    }
    words
}

const SIZE: usize = 624;
const MIDDLE: usize = 397;

/// The Mersenne twister MT19937, which is Python's generator.
#[derive(Debug)]
pub(super) struct Twister {
    state: [u32; SIZE],
    at: usize,
}

impl Twister {
    /// As the reference's `init_by_array`.
    fn new(key: &[u32]) -> Self {
        let mut state = [0; SIZE];
        state[0] = 19_650_218;
        for at in 1..SIZE {
            let before = state[at - 1];
            state[at] =
                1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(at as u32);
        }
        let mut at = 1;
        let mut mix = |state: &mut [u32; SIZE], factor: u32, more: &dyn Fn(u32, usize) -> u32| {
            let before = state[at - 1];
            let mixed = state[at] ^ (before ^ (before >> 30)).wrapping_mul(factor);
            state[at] = more(mixed, at);
            at += 1;
            if at >= SIZE {
                state[0] = state[SIZE - 1];
                at = 1;
            }
        };
        for round in 0..SIZE.max(key.len()) {
            let place = round % key.len();
            let word = key[place];
            mix(&mut state, 1_664_525, &|mixed, _| {
                mixed.wrapping_add(word).wrapping_add(place as u32)
            });
        }
        for _ in 1..SIZE {
            mix(&mut state, 1_566_083_941, &|mixed, at| mixed.wrapping_sub(at as u32));
        }
        state[0] = 1 << 31;
        Self { state, at: SIZE }
    }

    fn next(&mut self) -> u32 {
        if self.at >= SIZE {
            for at in 0..SIZE {
                let y = (self.state[at] & (1 << 31)) | (self.state[(at + 1) % SIZE] & !(1 << 31));
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[at] = self.state[(at + MIDDLE) % SIZE] ^ (y >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Python's `getrandbits`, for up to 64 bits.
    fn bits(&mut self, count: u32) -> u64 {
        if count <= 32 {
            return u64::from(self.next() >> (32 - count.max(1)));
        }
        let low = u64::from(self.next());
        low | (u64::from(self.next() >> (64 - count)) << 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_what_python_draws_from_it() {
        let draws = |seed: Value| -> Vec<u64> {
            let mut random = Random::new(Some(&seed));
            (0..4).map(|_| random.below(60)).collect()
        };
        // [random.Random(seed) and randrange(60) four times]
        assert_eq!(draws(42.into()), PYTHON_42);
        assert_eq!(draws("web1".into()), PYTHON_WEB1);
    }

    const PYTHON_42: [u64; 4] = [40, 7, 1, 47];
    const PYTHON_WEB1: [u64; 4] = [52, 20, 16, 49];
}
