//! Nothing that a line may hold brings a parser down, and no line is lost.

use super::*;
use proptest::prelude::*;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A config of each format, and a line that is of it.
const SAMPLES: &[(&str, &str)] = &[
    ("format: json", r#"{"a":1,"b":{"c":[true,null]},"d":"x\u00e9"}"#),
    ("format: logfmt", r#"level=info msg="a \"b\"" n=17 cached"#),
    ("{format: key_value, delimiter: '; ', separator: ': '}", "a: 1; b: 'x; y'; c: z"),
    ("{format: csv, columns: [a, b, c]}", r#"1,"x, ""y""",z"#),
    ("format: ltsv", "host:::1\ttime:[10/Oct/2000:13:55:36 -0700]\tstatus:200"),
    (r"{format: regex, pattern: '(?<a>\w+) (?<b>\d+)', types: {b: int}}", "abc 123"),
    ("{format: grok, pattern: '%{IP:a} %{QS:b} %{NUMBER:c:float}'}", r#"10.0.0.1 "x y" -1.5"#),
    ("format: syslog", r#"<165>1 2003-10-11T22:14:15Z h a 8 ID [x@1 k="v\]"][y] message"#),
    ("format: syslog", "<34>Oct 11 22:14:15 host su[17]: failed"),
    ("format: nginx_combined", r#"::1 - a [10/Oct/2000:13:55:36 -0700] "GET /a\x22 HTTP/1.1" 200 5 "-" "x" "y""#),
    ("format: common", r#"::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#),
    ("format: nginx_error", r#"2021/04/01 13:02:31 [error] 31#31: *1 x, excess: 5.4 by zone "z", client: ::1, request: "GET / HTTP/1.1", host: "a""#),
    ("format: nginx_ingress", r#"::1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5 "-" "x" 4 0.1 [a] [] 1:2, 3:4 5, 6 0.1, 0.2 200, 200 id"#),
    ("format: apache_error", "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 3:tid 4] (13)Denied: [client ::1:80] x"),
    ("format: haproxy", r#"10.0.1.2:33 [06/Feb/2009:12:14:14.655] f b/s 1/0/3/6/9 200 27 - - ---- 1/1/1/1/0 0/0 {a} {} "GET /i HTTP/1.1""#),
    ("format: haproxy", "10.0.1.2:33 [06/Feb/2009:12:12:51.443] f b/s 0/0/5 212 -- 0/0/0/0/3 0/0"),
    ("format: klog", "I0505 17:59:40.692994   28133 klog.go:70] hello"),
    ("format: glog", "E20210131 14:48:54.411655 15520 main.c++:9] hello"),
    ("format: cri", "2016-10-06T00:17:09.669794202Z stdout F text"),
    ("format: docker", r#"{"log":"a\ud83d\ude00\\\n","stream":"stdout","time":"2016-10-06T00:17:09Z"}"#),
    ("format: auditd", r#"type=X msg=audit(1364481363.243:2): a0=41 comm=4142 key=(null) msg='op=x acct="a" data=4100'"#),
    ("format: cef", r"CEF:0|a|b\||1|2|n|5|src=1.1.1.1 msg=a b\=c\n d=e"),
    ("{format: w3c, columns: [date, time, x]}", "2024-02-29 12:00:00 \"a b\""),
    ("format: aws_alb", r#"http 2018-07-02T22:23:00Z app/lb 1:2 3:4 0.0 0.1 0.0 200 200 3 4 "GET http://a/ HTTP/1.1" "c" - - a "b" "c" "d" 0 2018-07-02T22:22:48Z"#),
    ("format: aws_elb", r#"2015-05-13T23:39:43Z lb 1:2 3:4 0.1 0.2 0.3 200 200 0 5 "GET https://a/ HTTP/1.1" "c" X Y"#),
    ("format: aws_vpc_flow", "2 123456789010 eni-1 1.1.1.1 2.2.2.2 1 2 6 20 4 1418530010 1418530070 ACCEPT OK"),
];

/// The parser of each sample, made once, since patterns take long to compile.
static PARSERS: LazyLock<Mutex<Vec<Parse>>> =
    LazyLock::new(|| Mutex::new(SAMPLES.iter().map(|(yaml, _)| parser(yaml)).collect()));

/// Takes `text` through the parser. What leaves is the text, unless a header was left out; all
/// fields have names and values, and can be written as JSON that can be read.
fn check(parse: &mut Parse, text: &[u8], may_leave_out: bool) -> Result<(), TestCaseError> {
    let mut input = batch(text);
    let now = 1_790_000_000_000_000_000;
    input.read_at_ns = now;
    let (out, _) = run(parse, input);
    let mut bytes = Vec::new();
    let mut json = Vec::new();
    for (_, batch) in &out {
        Encoder::new(&Encoding::Text, Extra::Nothing).encode(batch, &mut bytes);
        Encoder::new(&Encoding::Ndjson, Extra::Origin).encode(batch, &mut json);
        for record in batch.records() {
            for field in record.stored_fields() {
                prop_assert!(!batch.keys().name(field.key).contains('\n'));
            }
        }
    }
    prop_assert!(may_leave_out || bytes == text, "{:?}", String::from_utf8_lossy(&bytes));
    let lines = json.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    for line in lines {
        let read = serde_json::from_slice::<serde_json::Value>(line);
        prop_assert!(read.is_ok(), "{:?}", String::from_utf8_lossy(line));
    }
    Ok(())
}

fn leaves_out(yaml: &str) -> bool {
    ["csv", "w3c", "aws_vpc_flow"].iter().any(|format| yaml.contains(format))
}

#[test]
fn the_samples_are_of_their_formats() {
    for (yaml, line) in SAMPLES {
        let (out, errors) = run(&mut parser(yaml), batch(line.as_bytes()));
        assert_eq!((out[0].1.len(), errors), (1, 0), "{yaml}: {line}");
    }
}

#[test]
fn a_line_that_is_cut_off_anywhere_is_parsed_or_kept() {
    for (yaml, line) in SAMPLES {
        let mut parse = parser(yaml);
        for end in 1..line.len() {
            let text = format!("{}\n", line.get(..end).unwrap_or("x"));
            check(&mut parse, text.as_bytes(), leaves_out(yaml)).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_kept(mut text: Vec<u8>, marks in "[ \\[\\]\"'\\\\:/a0={}|,#<>\n-]{0,60}") {
        text.extend_from_slice(marks.as_bytes());
        text.push(b'\n');
        let mut parsers = PARSERS.lock().unwrap_or_else(PoisonError::into_inner);
        for ((yaml, _), parse) in SAMPLES.iter().zip(parsers.iter_mut()) {
            check(parse, &text, leaves_out(yaml))?;
        }
    }

    /// Bytes of a good line are replaced, taken away or doubled.
    #[test]
    fn a_good_line_that_was_damaged_is_parsed_or_kept(
        which in 0..SAMPLES.len(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0u8..4), 1..6),
    ) {
        let (yaml, line) = SAMPLES[which];
        let mut text = line.as_bytes().to_vec();
        for (place, byte, how) in damage {
            if text.is_empty() {
                break;
            }
            let at = place.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => drop(text.remove(at)),
                2 => text.insert(at, text[at]),
                _ => text.insert(at, b"\"\\ []=:|'-"[usize::from(byte) % 10]),
            }
        }
        text.push(b'\n');
        check(&mut parser(yaml), &text, leaves_out(yaml))?;
        // From a field, where no span into the chunk can be kept, the answer is the same.
        let whole = batch(&text);
        if whole.len() == 1 && whole.records().next().is_some_and(|r| r.raw() == r.message()) {
            let (direct, errors) = run(&mut parser(yaml), whole.clone());
            let mut config = config(yaml);
            config.field = "copy".into();
            let mut copied = whole;
            copied.rewrite(|record, writer| {
                writer.push_text("copy", record.message());
                crate::event::log::Verdict::Touched
            });
            let (from_field, more) = run(&mut Parse::new(&config).unwrap(), copied);
            prop_assert_eq!(errors, more);
            if errors == 0 && !direct.is_empty() {
                prop_assert_eq!(fields(&direct[0].1), fields(&from_field[0].1));
            }
        }
    }
}
