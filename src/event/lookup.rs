//! Finding an entry of a JSON object without reading the rest of it.

use super::log::FieldRef;
use super::scan::json_special;

/// The value under `name` in the object that `json` is, as it is written; the last one where
/// there are several. `None` where `json` is something else, or has no such entry.
///
/// `json` should be valid: of what is not, the answer means nothing.
pub fn member<'j>(json: &'j [u8], name: &str) -> Option<&'j [u8]> {
    let mut at = space(json, 0);
    if json.get(at) != Some(&b'{') {
        return None;
    }
    let mut found = None;
    loop {
        // After the brace, and after each comma.
        at = space(json, at + 1);
        if json.get(at) != Some(&b'"') {
            return found;
        }
        let end = string(json, at)?;
        let key = json.get(at..end)?;
        at = space(json, end);
        if json.get(at) != Some(&b':') {
            return found;
        }
        let start = space(json, at + 1);
        let end = value(json, start)?;
        if is_name(key, name) {
            found = json.get(start..end);
        }
        at = space(json, end);
        if json.get(at) != Some(&b',') {
            return found;
        }
    }
}

/// Whether a string, quotes included, says `name`.
fn is_name(key: &[u8], name: &str) -> bool {
    let inner = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
    if memchr::memchr(b'\\', inner).is_none() {
        return inner == name.as_bytes();
    }
    FieldRef::Json(key).as_text().is_some_and(|text| *text == *name.as_bytes())
}

/// One past the string that begins at `at`.
fn string(json: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at = json_special(json, at);
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// One past the value that begins at `at`.
fn value(json: &[u8], at: usize) -> Option<usize> {
    let (mut at, mut depth) = (at, 0usize);
    loop {
        match json.get(at)? {
            b'"' => at = string(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            _ => {
                let rest = json.get(at..)?;
                let ends =
                    |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
                at += rest.iter().position(ends).unwrap_or(rest.len());
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

fn space(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn the_last_entry_of_a_name_is_found_whatever_is_around_it() {
        let json = br#" { "a" : {"b":[1,"}"]} , "b":"x\"y", "\u0061" : -1.5e3,"c":[] } "#;
        let text = |name| member(json, name).map(|found| std::str::from_utf8(found).unwrap());
        assert_eq!(text("a"), Some("-1.5e3"));
        assert_eq!(text("b"), Some(r#""x\"y""#));
        assert_eq!(text("c"), Some("[]"));
        assert_eq!(text("d"), None);
        for other in [&b"[1]"[..], b"5", b"\"a\"", b"", b"{", b"{\"a\"", b"{\"a\":", b"{}"] {
            assert_eq!(member(other, "a"), None);
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[ab\"\\\\{}é,:]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            let names = "[ab\"\\\\é]{1,2}";
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::vec((names, inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_serde_json_finds(json in json(), name in "[ab\"\\\\é]{1,2}", pretty: bool) {
            let text = if pretty { serde_json::to_vec_pretty(&json) } else { serde_json::to_vec(&json) };
            let text = text.unwrap();
            let found = member(&text, &name);
            let found = found.map(|found| serde_json::from_slice::<Value>(found).unwrap());
            prop_assert_eq!(found.as_ref(), json.get(&name));
        }

        #[test]
        fn no_text_brings_the_search_down(text: Vec<u8>, marks in "[{}\\[\\]\",:\\\\a0 ]{0,30}") {
            member(&text, "a");
            member(marks.as_bytes(), "a");
        }
    }
}
