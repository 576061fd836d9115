//! Lines of any bytes, through each format.

use super::run::Parse;
use crate::event::Batch;
use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::log::LogBatch;
use crate::topology::component::{Outputs, Transform};
use bytes::Bytes;
use serde::de::IgnoredAny;
use std::cell::RefCell;
use std::sync::Arc;

/// A config of each format, and a line that is of it.
pub(super) const SAMPLES: &[(&str, &str)] = &[
    ("format: json", r#"{"a":1,"b":{"c":[true,null]},"d":"x\u00e9"}"#),
    ("format: logfmt", r#"level=info msg="a \"b\"" n=17 cached"#),
    ("{format: key_value, delimiter: '; ', separator: ': '}", "a: 1; b: 'x; y'; c: z"),
    ("{format: csv, columns: [a, b, c]}", r#"1,"x, ""y""",z"#),
    ("format: ltsv", "host:::1\ttime:[10/Oct/2000:13:55:36 -0700]\tstatus:200"),
    (r"{format: regex, pattern: '(?<a>\w+) (?<b>\d+)', types: {b: int}}", "abc 123"),
    ("{format: grok, pattern: '%{IP:a} %{QS:b} %{NUMBER:c:float}'}", r#"10.0.0.1 "x y" -1.5"#),
    ("format: syslog", r#"<165>1 2003-10-11T22:14:15Z h a 8 ID [x@1 k="v\]"][y] message"#),
    ("format: syslog", "<34>Oct 11 22:14:15 host su[17]: failed"),
    (
        "format: nginx_combined",
        r#"::1 - a [10/Oct/2000:13:55:36 -0700] "GET /a\x22 HTTP/1.1" 200 5 "-" "x" "y""#,
    ),
    ("format: common", r#"::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#),
    (
        "format: nginx_error",
        r#"2021/04/01 13:02:31 [error] 31#31: *1 x, excess: 5.4 by zone "z", client: ::1, request: "GET / HTTP/1.1", host: "a""#,
    ),
    (
        "format: nginx_ingress",
        r#"::1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5 "-" "x" 4 0.1 [a] [] 1:2, 3:4 5, 6 0.1, 0.2 200, 200 id"#,
    ),
    (
        "format: apache_error",
        "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 3:tid 4] (13)Denied: [client ::1:80] x",
    ),
    (
        "format: haproxy",
        r#"10.0.1.2:33 [06/Feb/2009:12:14:14.655] f b/s 1/0/3/6/9 200 27 - - ---- 1/1/1/1/0 0/0 {a} {} "GET /i HTTP/1.1""#,
    ),
    ("format: haproxy", "10.0.1.2:33 [06/Feb/2009:12:12:51.443] f b/s 0/0/5 212 -- 0/0/0/0/3 0/0"),
    ("format: klog", "I0505 17:59:40.692994   28133 klog.go:70] hello"),
    ("format: glog", "E20210131 14:48:54.411655 15520 main.c++:9] hello"),
    ("format: cri", "2016-10-06T00:17:09.669794202Z stdout F text"),
    (
        "format: docker",
        r#"{"log":"a\ud83d\ude00\\\n","stream":"stdout","time":"2016-10-06T00:17:09Z"}"#,
    ),
    (
        "format: auditd",
        r#"type=X msg=audit(1364481363.243:2): a0=41 comm=4142 key=(null) msg='op=x acct="a" data=4100'"#,
    ),
    ("format: cef", r"CEF:0|a|b\||1|2|n|5|src=1.1.1.1 msg=a b\=c\n d=e"),
    ("{format: w3c, columns: [date, time, x]}", "2024-02-29 12:00:00 \"a b\""),
    (
        "format: aws_alb",
        r#"http 2018-07-02T22:23:00Z app/lb 1:2 3:4 0.0 0.1 0.0 200 200 3 4 "GET http://a/ HTTP/1.1" "c" - - a "b" "c" "d" 0 2018-07-02T22:22:48Z"#,
    ),
    (
        "format: aws_elb",
        r#"2015-05-13T23:39:43Z lb 1:2 3:4 0.1 0.2 0.3 200 200 0 5 "GET https://a/ HTTP/1.1" "c" X Y"#,
    ),
    (
        "format: aws_vpc_flow",
        "2 123456789010 eni-1 1.1.1.1 2.2.2.2 1 2 6 20 4 1418530010 1418530070 ACCEPT OK",
    ),
];

thread_local! {
    /// The parser of each sample, made once, since patterns take long to compile.
    static PARSERS: RefCell<Vec<Option<Parse>>> = RefCell::new(
        SAMPLES
            .iter()
            .map(|(yaml, _)| Parse::new(&serde_yaml::from_str(yaml).ok()?).ok())
            .collect(),
    );
}

/// What is read is written as it was, unless a header is left out on purpose, and all fields can be
/// written as JSON.
///
/// The first byte chooses the format.
pub(crate) fn line(input: &[u8]) {
    let Some((which, text)) = input.split_first() else { return };
    let which = usize::from(*which) % SAMPLES.len();
    PARSERS.with_borrow_mut(|parsers| match &mut parsers[which] {
        Some(parse) => check(parse, &[text, b"\n"].concat(), leaves_out(SAMPLES[which].0)),
        None => assert!(SAMPLES[which].0.is_empty(), "{}", SAMPLES[which].0),
    });
}

/// Takes `text` through the parser.
pub(super) fn check(parse: &mut Parse, text: &[u8], may_leave_out: bool) {
    let now = 1_790_000_000_000_000_000;
    let mut out = Outputs::default();
    let batch = LogBatch::from_lines(&Bytes::copy_from_slice(text), Arc::default(), 0, now);
    assert!(parse.transform(Batch::Logs(batch), &mut out).is_ok(), "a line is no fault");
    let (mut raw, mut json) = (Vec::new(), Vec::new());
    for (_, batch) in out.take().0 {
        let Batch::Logs(logs) = batch else { continue };
        Encoder::new(&Encoding::Text, Extra::Nothing).encode(&logs, &mut raw);
        Encoder::new(&Encoding::Ndjson, Extra::Origin).encode(&logs, &mut json);
        for record in logs.records() {
            for field in record.stored_fields() {
                assert!(!logs.keys().name(field.key).contains('\n'), "a name is one line");
            }
        }
    }
    assert!(may_leave_out || raw == text, "{:?}", String::from_utf8_lossy(&raw));
    for line in json.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let is_json = serde_json::from_slice::<IgnoredAny>(line).is_ok();
        assert!(is_json, "{:?}", String::from_utf8_lossy(line));
    }
}

/// Whether lines of this format may be headers, which are left out.
pub(super) fn leaves_out(yaml: &str) -> bool {
    ["csv", "w3c", "aws_vpc_flow"].iter().any(|format| yaml.contains(format))
}

/// Good input.
pub(crate) fn lines() -> Vec<Vec<u8>> {
    let all = SAMPLES.iter().zip(0..);
    all.map(|((_, line), which)| [&[which], line.as_bytes()].concat()).collect()
}
