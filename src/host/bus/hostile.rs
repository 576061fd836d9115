//! Messages of any bytes.

use super::wire::{Call, FIXED_BYTES, length, read, write};

/// What a service may send: it is understood or refused, and no length is believed.
pub(crate) fn message(input: &[u8]) {
    let told = input.get(..FIXED_BYTES).and_then(length);
    assert!(told.is_none_or(|told| told >= FIXED_BYTES), "a message has a head");
    read(input);
}

/// A call, and answers of texts in lists and of a variant.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let mut call = Vec::new();
    let arguments = &["org.example", ""];
    let (destination, path, interface, method) = ("a.b", "/a/b", "c.d", "Ask");
    write(&Call { destination, path, interface, method, arguments }, 7, &mut call);
    let answer = |signature: &[u8], body: &[u8]| {
        let mut message = b"l\x02\0\x01\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
        message.extend_from_slice(b"\x05\x01u\0\x07\0\0\0\x08\x01g\0");
        message.push(signature.len() as u8);
        message.extend_from_slice(signature);
        message.push(0);
        message[12] = (message.len() - FIXED_BYTES) as u8;
        message.resize(message.len().next_multiple_of(8), 0);
        message[4] = body.len() as u8;
        message.extend_from_slice(body);
        message
    };
    let list = b"\x14\0\0\0\0\0\0\0\x01\0\0\0a\0\0\0\x01\0\0\0b\0\0\0\x05\0\0\0";
    vec![call, answer(b"a(ssu)", list), answer(b"v", b"\x01t\0\0\0\0\0\0\x2a\0\0\0\0\0\0\0")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_good_messages_are_understood() {
        let [call, list, variant] = messages().try_into().unwrap();
        assert_eq!(length(&call[..FIXED_BYTES]), Some(call.len()));
        for answer in [list, variant] {
            assert_eq!(length(&answer[..FIXED_BYTES]), Some(answer.len()));
            assert!(read(&answer).flatten().is_some_and(|answer| answer.content.is_ok()));
        }
    }
}
