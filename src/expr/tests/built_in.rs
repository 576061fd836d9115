//! The tests that the library brings: what the reference says of them.

use crate::expr::call::Entry;

const fn entry(
    names: &'static [&'static str],
    takes: &'static str,
    about: &'static str,
    example: &'static str,
) -> Entry {
    Entry { names, takes, about, example }
}

/// Tests of Jinja itself.
pub(in crate::expr) const LIBRARY: &[Entry] = &[
    entry(&["boolean"], "", "Is a truth value.", "true is boolean → true"),
    entry(&["defined"], "", "Has a value.", "nope is defined → false"),
    entry(&["divisibleby"], "num", "Leaves no rest.", "9 is divisibleby 3 → true"),
    entry(&["eq", "equalto", "=="], "other", "Is the same.", "1 is eq 1 → true"),
    entry(&["escaped", "safe"], "", "Is text that is not to be escaped.", "'a' is escaped → false"),
    entry(&["even"], "", "Is an even number.", "2 is even → true"),
    entry(&["false"], "", "Is `false` itself.", "false is false → true"),
    entry(&["filter"], "", "Is the name of a filter.", "'upper' is filter → true"),
    entry(&["float"], "", "Is a number with a fraction.", "1.0 is float → true"),
    entry(&["ge", ">="], "other", "Is greater or the same.", "2 is ge 1 → true"),
    entry(&["gt", "greaterthan", ">"], "other", "Is greater.", "2 is gt 1 → true"),
    entry(&["in"], "container", "Is an item, a key, or a part of a text.", "1 is in [1] → true"),
    entry(&["integer", "int"], "", "Is a whole number.", "1 is integer → true"),
    entry(&["iterable"], "", "Can be gone through.", "[] is iterable → true"),
    entry(&["le", "<="], "other", "Is less or the same.", "1 is le 1 → true"),
    entry(&["lower"], "", "Has no large letter.", "'a' is lower → true"),
    entry(&["lt", "lessthan", "<"], "other", "Is less.", "1 is lt 2 → true"),
    entry(&["mapping"], "", "Is a mapping.", "{} is mapping → true"),
    entry(&["ne", "!="], "other", "Is not the same.", "1 is ne 2 → true"),
    entry(&["none"], "", "Is null.", "none is none → true"),
    entry(&["number"], "", "Is a number.", "1.5 is number → true"),
    entry(&["odd"], "", "Is an odd number.", "1 is odd → true"),
    entry(&["sameas"], "other", "Is the same thing.", "true is sameas true → true"),
    entry(&["startingwith"], "part", "Begins with a text.", "'ab' is startingwith 'a' → true"),
    entry(&["endingwith"], "part", "Ends with a text.", "'ab' is endingwith 'b' → true"),
    entry(&["string"], "", "Is text.", "'a' is string → true"),
    entry(&["test"], "", "Is the name of a test.", "'odd' is test → true"),
    entry(&["true"], "", "Is `true` itself.", "true is true → true"),
    entry(&["undefined"], "", "Has no value.", "nope is undefined → true"),
    entry(&["upper"], "", "Has no small letter.", "'A' is upper → true"),
];
