//! The classes of cases that suites for JSON parsers go through: what every parser must accept,
//! what none may, and what is up to each. As this is for lines of logs, what is accepted becomes
//! fields, anything else stays a line as it was, and nothing is lost.

use super::{batch, encoded, fields, parser, run};
use crate::event::encode::Encoding;
use serde_json::Value;

/// What stands in the place of a value, one case a line.
const VALID: &str = r##"
[]
[ ]
[[]   ]
[""]
["a"]
[false]
[null, 1, "1", {}]
[null]
[1,null,null,null,2]
{}
{"":0}
{"foo\u0000bar": 42}
{"a":"b","a":"c"}
{"a":[]}
{"min": -1.0e+28, "max": 1.0e+28}
{"x":[{"id": "xxxxxxxxxx"}]}
{"title":"\u041f\u043e\u043b" }
false
true
null
""
-0.1
"asd"
[123e65]
[0e+1]
[0e1]
[ 4]
[-0.000000000000000000000000000000000000000000001]
[20e1]
[-0]
[-123]
[-1]
[1E22]
[1E-2]
[1E+2]
[123e45]
[123.456e78]
[1e-2]
[1e+2]
[123]
[123.456789]
["\u0060\u012a\u12AB"]
["\uD801\udc37"]
["\ud83d\ude39\ud83d\udc8d"]
["\"\\\/\b\f\n\r\t"]
["\\u0000"]
["\""]
["a/*b*/c/*d//e"]
["\\a"]
["\\n"]
["\u0012"]
["\uFFFF"]
["new\u00A0line"]
["\u0000"]
["\u002c"]
["π"]
["asd "]
["\uD834\uDd1e"]
["\u0821"]
["\u0123"]
["\u0061\u30af\u30EA\u30b9"]
["\uA66D"]
["⍂㉈⍇"]
["\uDBFF\uDFFE"]
["\u200B"]
["\u2064"]
["\uFDD0"]
["\uFFFE"]
["\u0022"]
["€𝄞"]
"##;
/// Those of them that are hard to see.
const ODD_VALID: &[&str] = &[
    "[1\t]",
    " [1]",
    "[2] ",
    " 42",
    "[\"\u{10ffff}\"]",
    "[\"\u{ffff}\"]",
    "[\"\u{2028}\"]",
    "[\"\u{2029}\"]",
    "[\"\u{7f}\"]",
    "[\"a\u{7f}a\"]",
];

/// What no parser may accept.
const INVALID: &str = r##"
[1 true]
["": 1]
[""],
[,1]
[1,,2]
["x",,]
["x"]]
["",]
["x"
[x
[3[4]]
[1:2]
[,]
[-]
[   , ""]
[1,]
[1,,]
[*]
[""
[1,
[{}
[fals]
[nul]
[tru]
["x", truth]
{[: "x"}
{"x", null}
{"x"::"b"}
{"a":"a" 123}
{key: 'value'}
{"a" b}
{:"b"}
{"a" "b"}
{"a":
{"a"
{1:1}
{9999E9999:1}
{null:null,null:null}
{"id":0,,,,,}
{'a':0}
{"id":0,}
{"a":"b"}/**/
{"a":"b"}/**//
{"a":"b"}//
{"a":"b",,"c":"d"}
{a: "b"}
{"a":"a
{ "foo" : "bar", "a" }
{"a":"b"}#
<.>
[<null>]
[1]x
[1]]
aå
[True]
1]
{"x": true,
[][]
]
ï»{}
å
[
2@
{}}
{"":
{"a":/*comment*/"b"}
{"a": true} "x"
['
["a
[{
["a"
{
{]
{,
{[
{"a
{'a'
*
{"a":"b"}#{}
[\u000A""]
[1
[ false, nul
[ true, fals
["asd]
[++1234]
[+1]
[+Inf]
[-01]
[-1.0.]
[-2.]
[-NaN]
[.-1]
[.2e-3]
[0.1.2]
[0.3e+]
[0.3e]
[0.e1]
[0E+]
[0E]
[0e+]
[0e]
[1.0e+]
[1.0e-]
[1.0e]
[1 000.0]
[1eE2]
[2.e+3]
[2.e-3]
[2.e3]
[9.e+]
[Inf]
[NaN]
[１]
[1+2]
[0x1]
[0x42]
[Infinity]
[0e+-1]
[-123.123foo]
[-Infinity]
[-foo]
[- 1]
[-012]
[-.123]
[-1x]
[1ea]
[1e1å]
[1.]
[.123]
[1.2a-3]
[1.8011670033376514H-308]
[012]
["\uD800\"]
["\uD800\u"]
["\uD800\u1"]
["\uD800\u1x"]
[é]
["\x00"]
["\\\"]
["\🌀"]
["\"]
["\u00A"]
["\uD834\uDd"]
["\uD800\uD800\x"]
["\uqqqq"]
["\a"]
[\u0020"asd"]
[\n]
"
['single']
abc
["\
"\UA66D"
""x
["\u{1}"]
"##;
/// Those of them that are hard to see.
const ODD_INVALID: &[&str] = &[
    " ",
    "",
    "\u{c}",
    "[\u{c}]",
    "\u{2060}",
    "[\u{a0}]",
    "\u{feff}[]",
    "[\u{b}\"\"]",
    "[\"\\\t\"]",
    "[\"a\0a\"]",
    "[\"new\u{1}line\"]",
    "[\"\t\"]",
];

/// Each parser has its own answer to these.
const EITHER: &[&[u8]] = &[
    b"[123.456e-789]",
    b"[0.4e00669999999999999999999999999999999999999999999999999999999999969999]",
    b"[-1e+9999]",
    b"[1.5e+9999]",
    b"[-123123e100000]",
    b"[123123e100000]",
    b"[123e-10000000]",
    b"[-123123123123123123123123123123]",
    b"[100000000000000000000]",
    b"[-237462374673276894279832]",
    b"\"\\uDADA\"",
    b"[\"\\uDd1ea\"]",
    b"[\"\\uD888\\u1234\"]",
    b"[\"\xe6\x97\xa5\xd1\x88\xfa\"]",
    b"[\"\\uD800\\n\"]",
    b"[\"\\uDd1e\\uD834\"]",
    b"[\"\\uDFAA\"]",
    b"[\"\xff\"]",
    b"[\"\xe0\xff\"]",
    b"[\"\xed\xa0\x80\"]",
    b"[\"\xf4\xbf\xbf\xbf\"]",
    b"[\"\xc0\xaf\"]",
    b"[\"\xfc\x83\xbf\xbf\xbf\xbf\"]",
    b"[\"\xfc\x80\x80\x80\x80\x80\"]",
    b"[\"\x81\"]",
    b"[\"\xe9\"]",
    b"\xff\xfe[\0\"\0\xe9\0\"\0]\0",
    b"\0[\0\"\0\xe9\0\"\0]",
    b"\xef\xbb\xbf{}",
    b"[\xff]",
    b"[1\xe5]",
    b"[\"\xe5\"]",
    b"{\"\xb9\":\"0\",}",
];

/// The lines of a text, and what is hard to see beside them.
fn cases<'c>(text: &'c str, odd: &[&'c str]) -> Vec<&'c str> {
    text.trim().lines().chain(odd.iter().copied()).collect()
}

/// Takes one line through, which must leave as it came. Its fields, where it was an object.
fn taken(line: &[u8]) -> Option<Value> {
    let shown = String::from_utf8_lossy(line);
    let (out, errors) = run(&mut parser("format: json"), batch(&[line, b"\n"].concat()));
    let [(_, out)] = &out[..] else { panic!("{shown}: {} outputs", out.len()) };
    assert_eq!(out.len(), 1, "{shown}");
    let record = out.records().next().unwrap();
    assert_eq!(record.raw(), line, "{shown}");
    if errors == 0 {
        return Some(fields(out));
    }
    let json: Value = serde_json::from_str(&encoded(&Encoding::Ndjson, out)).unwrap();
    assert_eq!(json["message"], *shown, "it is kept as it was");
    None
}

/// The line with `value` as an object's entry.
fn entry(value: &[u8]) -> Vec<u8> {
    [b"{\"before\":1,\"value\":", value, b",\"after\":2}"].concat()
}

#[test]
fn what_is_valid_becomes_fields_with_the_values_that_it_says() {
    for value in cases(VALID, ODD_VALID) {
        let line = entry(value.as_bytes());
        let taken = taken(&line).unwrap_or_else(|| panic!("{value}"));
        assert_eq!(taken, serde_json::from_slice::<Value>(&line).unwrap(), "{value}");
    }
}

#[test]
fn what_is_valid_and_no_object_stays_a_line() {
    for value in cases(VALID, ODD_VALID).iter().filter(|it| !it.trim_start().starts_with('{')) {
        assert_eq!(taken(value.as_bytes()), None, "{value}");
    }
}

#[test]
fn what_is_invalid_stays_a_line_wherever_it_stands() {
    for value in cases(INVALID, ODD_INVALID).iter().map(|value| value.as_bytes()) {
        assert_eq!(taken(&entry(value)), None, "{}", String::from_utf8_lossy(value));
        // By itself an empty line is one too.
        assert_eq!(taken(value), None, "{}", String::from_utf8_lossy(value));
    }
}

#[test]
fn what_is_up_to_the_parser_is_taken_or_kept_and_never_lost() {
    let mut all: Vec<Vec<u8>> = EITHER.iter().map(|value| value.to_vec()).collect();
    for depth in [100, 127, 128, 500, 100_000] {
        all.push([b"[".repeat(depth), b"]".repeat(depth)].concat());
        all.push(b"[".repeat(depth));
        all.push(b"{\"\":".repeat(depth));
        all.push(b"[{\"\":".repeat(depth));
    }
    for value in &all {
        taken(value);
        taken(&entry(value));
    }
}
