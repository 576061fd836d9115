//! Python's two ways of formatting text, with a bound on how wide a field may be.

use super::call::wrong;
use minijinja::Error;
use minijinja::formatting::{FormatStyle, format};
use minijinja::value::Value;

/// `'%s' % value`.
pub(super) fn printf(form: &str, values: &[Value]) -> Result<String, Error> {
    bounded(FormatStyle::Printf, form, values)
}

/// `'{}'.format(value)`.
pub(super) fn braces(form: &str, values: &[Value]) -> Result<String, Error> {
    bounded(FormatStyle::StrFormat, form, values)
}

fn bounded(style: FormatStyle, form: &str, values: &[Value]) -> Result<String, Error> {
    // A width of nine digits would ask for a gigabyte.
    let widest = form.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
    if widest.is_some_and(|digits| digits > 5) {
        return Err(wrong("a field of a format is at most 99999 wide"));
    }
    format(style, form, values)
}
