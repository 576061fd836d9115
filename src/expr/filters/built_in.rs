//! The filters that the library brings: what the reference says of them.

use crate::expr::call::Entry;

const fn entry(
    names: &'static [&'static str],
    takes: &'static str,
    about: &'static str,
    example: &'static str,
) -> Entry {
    Entry { names, takes, about, example }
}

/// Filters of Jinja itself.
pub(in crate::expr) const LIBRARY: &[Entry] = &[
    entry(&["abs"], "", "The number without its sign.", "-1 | abs → 1"),
    entry(&["attr"], "name", "An attribute by its name.", "{'a': 1} | attr('a') → 1"),
    entry(
        &["batch"],
        "linecount, fill_with=none",
        "The items in lists of so many.",
        "[1, 2, 3] | batch(2) | list → [[1, 2], [3]]",
    ),
    entry(
        &["capitalize"],
        "",
        "The first letter large, the others small.",
        "'aB' | capitalize → 'Ab'",
    ),
    entry(
        &["chain"],
        "*others",
        "Several lists or mappings as one.",
        "[1] | chain([2]) | list → [1, 2]",
    ),
    entry(&["escape", "e"], "", "The text as HTML.", "'<' | escape → '&lt;'"),
    entry(&["first"], "", "The first item.", "[1, 2] | first → 1"),
    entry(
        &["format"],
        "*arguments, **options",
        "Text with values in the places of `%s` and its like.",
        "'%02d' | format(7) → '07'",
    ),
    entry(
        &["groupby"],
        "attribute, default=none, case_sensitive=false",
        "The items in groups by what they have in common.",
        "users | groupby('shell')",
    ),
    entry(
        &["indent"],
        "width=4, first=false, blank=false",
        "The lines moved to the right.",
        "'a\\nb' | indent(2) → 'a\\n  b'",
    ),
    entry(&["int"], "default=0, base=10", "A whole number.", "'7' | int → 7"),
    entry(&["items"], "", "The entries of a mapping as pairs.", "{'a': 1} | items → [('a', 1)]"),
    entry(
        &["join"],
        "d='', attribute=none",
        "The items as one text.",
        "[1, 2] | join(',') → '1,2'",
    ),
    entry(&["last"], "", "The last item.", "[1, 2] | last → 2"),
    entry(
        &["length", "count"],
        "",
        "How many items, entries or characters there are.",
        "[1, 2] | length → 2",
    ),
    entry(&["lines"], "", "The lines of a text.", "'a\\nb' | lines → ['a', 'b']"),
    entry(&["list"], "", "The items as a list.", "'ab' | list → ['a', 'b']"),
    entry(&["lower"], "", "Small letters.", "'A' | lower → 'a'"),
    entry(
        &["map"],
        "*arguments, attribute=none, default=none",
        "What an attribute or a filter makes of each item.",
        "[1, 2] | map('string') | list → ['1', '2']",
    ),
    entry(
        &["max"],
        "case_sensitive=false, attribute=none",
        "The greatest item.",
        "[1, 2] | max → 2",
    ),
    entry(&["min"], "case_sensitive=false, attribute=none", "The least item.", "[1, 2] | min → 1"),
    entry(
        &["pprint"],
        "",
        "The value as it is written in an expression.",
        "'a' | pprint → \"'a'\"",
    ),
    entry(
        &["reject"],
        "*test",
        "The items for which a test does not hold.",
        "[1, 2] | reject('odd') | list → [2]",
    ),
    entry(
        &["rejectattr"],
        "attribute, *test",
        "The items for whose attribute a test does not hold.",
        "users | rejectattr('shell', 'defined') | list",
    ),
    entry(
        &["replace"],
        "old, new, count=none",
        "The text with one part replaced by another.",
        "'aa' | replace('a', 'b') → 'bb'",
    ),
    entry(&["reverse"], "", "The items from last to first.", "[1, 2] | reverse | list → [2, 1]"),
    entry(
        &["round"],
        "precision=0, method='common'",
        "The number rounded; `method` is `common`, `ceil` or `floor`.",
        "1.25 | round(1) → 1.2",
    ),
    entry(&["safe"], "", "The text, not to be escaped.", "'<' | safe → '<'"),
    entry(
        &["select"],
        "*test",
        "The items for which a test holds.",
        "[1, 2] | select('odd') | list → [1]",
    ),
    entry(
        &["selectattr"],
        "attribute, *test",
        "The items for whose attribute a test holds.",
        "users | selectattr('uid', 'gt', 999) | list",
    ),
    entry(
        &["slice"],
        "slices, fill_with=none",
        "The items in so many lists.",
        "[1, 2, 3] | slice(2) | list → [[1, 2], [3]]",
    ),
    entry(&["string"], "", "The value as text.", "1 | string → '1'"),
    entry(&["sum"], "attribute=none, start=0", "The sum of the items.", "[1, 2] | sum → 3"),
    entry(&["title"], "", "Each word with a large first letter.", "'a b' | title → 'A B'"),
    entry(&["tojson"], "indent=none", "JSON that may stand in HTML.", "[1] | tojson → '[1]'"),
    entry(&["trim"], "chars=none", "The text without blanks at its ends.", "' a ' | trim → 'a'"),
    entry(&["upper"], "", "Large letters.", "'a' | upper → 'A'"),
];
