//! Looking at sixteen bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte of `word` that equals `byte`. A byte above a hit may be marked
/// falsely, so that only the lowest mark counts.
const fn equal(word: u64, byte: u8) -> u64 {
    let x = word ^ (ONES * byte as u64);
    x.wrapping_sub(ONES) & !x & HIGHS
}

/// The high bit of each byte of `word` that a JSON string cannot hold as it is; only the lowest
/// mark counts.
#[inline(always)]
const fn special(word: u64) -> u64 {
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
    equal(word, b'"') | equal(word, b'\\') | control
}

/// Where from `from` on the first byte is that a JSON string cannot hold as it is: a quote, a
/// backslash or a control character. The length of `bytes` where there is none.
#[inline(always)]
pub fn json_special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    // Two words at a time, since neither has to wait for the other.
    while let Some(pair) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        let pair = u128::from_le_bytes(*pair);
        #[expect(clippy::cast_possible_truncation, reason = "one half each")]
        let (low, high) = (special(pair as u64), special((pair >> 64) as u64));
        if low != 0 {
            return at + (low.trailing_zeros() / 8) as usize;
        }
        if high != 0 {
            return at + 8 + (high.trailing_zeros() / 8) as usize;
        }
        at += 16;
    }
    // Names and most values are shorter than that.
    if let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = special(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    // The last eight together, though nothing was found in the first of them.
    if at < bytes.len()
        && let Some(last) = bytes.len().checked_sub(8).filter(|last| *last >= from)
        && let Some(word) = bytes.get(last..).and_then(<[u8]>::first_chunk)
    {
        let marks = special(u64::from_le_bytes(*word));
        return if marks == 0 { bytes.len() } else { last + (marks.trailing_zeros() / 8) as usize };
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
        fn many_at_a_time_finds_what_one_at_a_time_finds(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0x1eu8..0x24, 0x5au8..0x5e], 0..64),
            from in 0usize..70,
        ) {
            let slow = (from..bytes.len()).find(|at| matches!(bytes[*at], b'"' | b'\\' | 0..=0x1f));
            prop_assert_eq!(json_special(&bytes, from), slow.unwrap_or(bytes.len()));
        }
    }
}
