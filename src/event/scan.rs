//! Looking at eight bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte of `word` that equals `byte`. A byte above a hit may be marked
/// falsely, so that only the lowest mark counts.
const fn equal(word: u64, byte: u8) -> u64 {
    let x = word ^ (ONES * byte as u64);
    x.wrapping_sub(ONES) & !x & HIGHS
}

/// Where from `from` on the first byte is that a JSON string cannot hold as it is: a quote, a
/// backslash or a control character. The length of `bytes` where there is none.
#[inline(always)]
pub fn json_special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let hits = equal(word, b'"') | equal(word, b'\\') | control;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
        .map_or(bytes.len(), |n| at + n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn eight_at_a_time_finds_what_one_at_a_time_finds(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0x1eu8..0x24, 0x5au8..0x5e], 0..64),
            from in 0usize..70,
        ) {
            let slow = (from..bytes.len()).find(|at| matches!(bytes[*at], b'"' | b'\\' | 0..=0x1f));
            prop_assert_eq!(json_special(&bytes, from), slow.unwrap_or(bytes.len()));
        }
    }
}
