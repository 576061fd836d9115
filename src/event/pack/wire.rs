//! Numbers and texts as bytes: whole numbers take as many bytes as they need, texts say their
//! length first. Reading never trusts what it reads.

/// Appends a number, seven bits a byte.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest seven bits are meant")]
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 0x80")]
    out.push(number as u8);
}

/// Appends a length or a place.
pub(crate) fn put_size(out: &mut Vec<u8>, size: usize) {
    put(out, size as u64);
}

/// Appends a number with a sign; small ones of either sign are short.
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// Appends a number with a fraction, bit by bit.
pub(crate) fn put_float(out: &mut Vec<u8>, number: f64) {
    out.extend_from_slice(&number.to_bits().to_le_bytes());
}

/// Appends bytes with their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_size(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Reads what was put, in the same order. Every answer is `None` where the bytes cannot mean it.
#[derive(Clone, Debug)]
pub(crate) struct Taker<'b> {
    rest: &'b [u8],
}

impl<'b> Taker<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes that were not taken yet.
    pub(crate) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        u32::try_from(self.take()?).ok()
    }

    pub(crate) fn size(&mut self) -> Option<usize> {
        usize::try_from(self.take()?).ok()
    }

    /// A number of things of which each takes a byte at least, so that no room is made for more
    /// than there can be.
    pub(crate) fn count(&mut self) -> Option<usize> {
        self.size().filter(|count| *count <= self.rest.len())
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let number = self.take()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(crate) fn float(&mut self) -> Option<f64> {
        let (bits, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        Some(f64::from_bits(u64::from_le_bytes(*bits)))
    }

    /// So many bytes as they are.
    pub(crate) fn raw(&mut self, len: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = self.size()?;
        self.raw(len)
    }

    pub(crate) fn text(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_put_is_taken(number: u64, signed: i64, float: f64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put(&mut out, number);
            put_signed(&mut out, signed);
            put_float(&mut out, float);
            put_bytes(&mut out, &bytes);
            let mut taker = Taker::new(&out);
            prop_assert_eq!(taker.take(), Some(number));
            prop_assert_eq!(taker.signed(), Some(signed));
            prop_assert_eq!(taker.float().map(f64::to_bits), Some(float.to_bits()));
            prop_assert_eq!(taker.bytes(), Some(&*bytes));
            prop_assert!(taker.rest().is_empty());
        }

        #[test]
        fn no_bytes_are_trusted(bytes: Vec<u8>) {
            let mut taker = Taker::new(&bytes);
            while taker.clone().bytes().is_some() && !taker.rest().is_empty() {
                taker.signed();
                taker.text();
                taker.float();
            }
        }
    }
}
