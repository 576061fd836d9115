//! Keyed hashes: HMAC (RFC 2104) over the hashes that are here anyway.

use sha2::Digest;
use sha2::digest::Output;

/// What MD5, SHA-1 and SHA-256 take at a time, in bytes.
const BLOCK_BYTES: usize = 64;

/// The hash of `text` under `key`, for a hash that takes blocks of 64 bytes.
pub fn hmac<D: Digest>(key: &[u8], text: &[u8]) -> Output<D> {
    let mut block = [0; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        let short = D::digest(key);
        block[..short.len()].copy_from_slice(&short);
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = D::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text);
    let outer = D::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::hex::hex;
    use sha1::Sha1;
    use sha2::Sha256;

    #[test]
    fn the_hash_is_the_one_of_the_standards() {
        // RFC 4231, cases 2 and 6; RFC 2202, cases 2 and 6.
        let (jefe, asked) = (b"Jefe", b"what do ya want for nothing?");
        let (long, text) = ([0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        for (found, expected) in [
            (
                hex(&hmac::<Sha256>(jefe, asked)),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                hex(&hmac::<Sha256>(&long, text)),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (hex(&hmac::<Sha1>(jefe, asked)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (hex(&hmac::<Sha1>(&long[..80], text)), "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
        ] {
            assert_eq!(found, expected);
        }
    }
}
