//! Filters of Jinja on text, without making values of Jinja from it.

use super::eval::Found;
use super::ir::Filter;
use crate::event::log::FieldRef;
use crate::event::number::short_whole;
use crate::expr::record::Made;

/// What the filter makes of a text; `None` where the library has to say, since the value is no
/// text or the text is unusual.
pub(super) fn filter(kind: Filter, value: FieldRef<'_>) -> Option<Found<'static>> {
    let text = value.as_text();
    if let (None, Filter::Int | Filter::Float) = (&text, kind) {
        return whole(value);
    }
    let text = text?;
    let text = std::str::from_utf8(&text).ok()?;
    Some(match kind {
        Filter::Lower => Found::Made(Made::Text(text.to_lowercase())),
        Filter::Upper => Found::Made(Made::Text(text.to_uppercase())),
        Filter::Length => Found::There(FieldRef::Int(i64::try_from(text.chars().count()).ok()?)),
        Filter::Int => Found::There(FieldRef::Int(short_whole(text.as_bytes())?)),
        Filter::Float => {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let number = plain.then(|| text.parse::<f64>().ok())??;
            Found::There(FieldRef::Float(number))
        }
    })
}

/// A whole number stays what it is.
fn whole(value: FieldRef<'_>) -> Option<Found<'static>> {
    let number = match value {
        FieldRef::Int(number) => number,
        FieldRef::Json(raw) => short_whole(raw)?,
        _ => return None,
    };
    Some(Found::There(FieldRef::Int(number)))
}
