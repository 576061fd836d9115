//! Promises of multiline.

use super::*;
use proptest::prelude::*;

fn mode(mode: Mode) -> Joiner {
    Joiner::new(Rule::Mode(mode), 100, 10_000)
}

fn joined(joiner: &Joiner, text: &str, last: bool) -> (Vec<String>, usize) {
    let joined = joiner.join(text.as_bytes(), lines(text.as_bytes()), last);
    let from = joined.made.as_ref().map_or(text.as_bytes(), |made| &made.text);
    let record =
        |(start, end): &(usize, usize)| String::from_utf8_lossy(&from[*start..*end]).into_owned();
    (joined.records.iter().map(record).collect(), joined.used)
}

fn whole(joiner: &Joiner, text: &str) -> Vec<String> {
    joined(joiner, text, true).0
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

#[test]
fn a_record_goes_on_until_the_next_one_begins() {
    let joiner = Joiner::new(Rule::Start(pattern(r"^\d{4}-")), 100, 1000);
    let text = "2024-1 a\n b\nc\n2024-2 d\n";
    assert_eq!(joined(&joiner, text, false), (vec!["2024-1 a\n b\nc".to_owned()], 14));
    assert_eq!(whole(&joiner, text), ["2024-1 a\n b\nc", "2024-2 d"]);
}

#[test]
fn a_continuation_belongs_to_the_line_before_and_an_end_ends() {
    let joiner = Joiner::new(Rule::Continuation(pattern(r"^\s")), 100, 1000);
    assert_eq!(whole(&joiner, "a\n b\n c\nd\n"), ["a\n b\n c", "d"]);
    let joiner = Joiner::new(Rule::End(pattern(";$")), 100, 1000);
    let (records, used) = joined(&joiner, "select\n1;\r\nbegin;\nselect", false);
    assert_eq!(records, ["select\n1;\r", "begin;"]);
    assert_eq!(used, "select\n1;\r\nbegin;\n".len());
}

#[test]
fn a_record_that_gets_too_long_is_ended() {
    let joiner = Joiner::new(Rule::Continuation(pattern("^ ")), 3, 1000);
    assert_eq!(whole(&joiner, "a\n 1\n 2\n 3\n 4\nb\n"), ["a\n 1\n 2", " 3\n 4", "b"]);
    assert_eq!(joined(&joiner, "a\n 1\n 2\n", false).0, ["a\n 1\n 2"]);
    let joiner = Joiner::new(Rule::Continuation(pattern("^ ")), 100, 6);
    assert_eq!(whole(&joiner, "a\n 1\n 2\n 3\n"), ["a\n 1", " 2\n 3"]);
}

#[test]
fn java_traces_stay_with_their_line() {
    let trace = "12:00 ERROR it broke\n\
        java.lang.IllegalStateException: no\n\
        \tat a.B.c(B.java:1)\n\
        Caused by: java.io.IOException: disk\n\
        \t... 12 more";
    let bare = "Exception in thread \"main\" java.lang.Error: x\n\tat a.B.c(B.java:1)";
    let text = format!("12:00 INFO fine\n{trace}\n{bare}\n{bare}\n12:01 INFO next\n");
    let records = whole(&mode(Mode::Java), &text);
    assert_eq!(records, ["12:00 INFO fine", trace, bare, bare, "12:01 INFO next"]);
}

#[test]
fn dotnet_traces_keep_their_inner_exceptions() {
    let trace = "fail: App[0] it broke\n\
        System.InvalidOperationException: outer\n \
        ---> System.IO.IOException: inner\n   \
        at A.B() in /src/A.cs:line 5\n   \
        --- End of inner exception stack trace ---\n   \
        at A.C()";
    assert_eq!(
        whole(&mode(Mode::Dotnet), &format!("{trace}\ninfo: App[0]\n")),
        [trace, "info: App[0]"]
    );
}

#[test]
fn python_tracebacks_are_whole_with_what_they_are_chained_to() {
    let one = "ERROR:root:it broke\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: x";
    let chained = format!(
        "{one}\n\nDuring handling of the above exception, another exception occurred:\n\n\
         Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\nKeyError: 'y'"
    );
    let text = format!("{chained}\n\n{one}\nINFO:root:next\n");
    assert_eq!(whole(&mode(Mode::Python), &text), [&chained, "", one, "INFO:root:next"]);
}

#[test]
fn go_panics_keep_their_goroutines() {
    let panic = "panic: runtime error: index out of range [5] with length 3\n\n\
        goroutine 1 [running]:\nmain.f(0x1)\n\t/src/main.go:5 +0x1d\nmain.main()\n\
        \t/src/main.go:9 +0x2f\nexit status 2";
    let text = format!("2024/05/01 fine (really)\n{panic}\n2024/05/01 next\n");
    assert_eq!(
        whole(&mode(Mode::Go), &text),
        ["2024/05/01 fine (really)", panic, "2024/05/01 next"]
    );
}

#[test]
fn ruby_backtraces_stay_with_their_error() {
    let trace = "app.rb:5:in `f': no (RuntimeError)\n\tfrom app.rb:9:in `<main>'";
    let rails = "NoMethodError (undefined)\napp/a.rb:5:in `f'\napp/b.rb:6:in 'A#g'";
    let text = format!("{trace}\n{rails}\nStarted GET \"/\"\n");
    assert_eq!(whole(&mode(Mode::Ruby), &text), [trace, rails, "Started GET \"/\""]);
}

#[test]
fn the_parts_of_each_stream_become_one_line() {
    let text = "t1 stdout F one\nt2 stdout P tw\nt3 stderr P er\nt4 stdout P o \nt5 stderr F r\nt6 stdout F three\nt7 stdout F four\n";
    assert_eq!(
        whole(&mode(Mode::Cri), text),
        ["t1 stdout F one", "t3 stderr F err", "t2 stdout F two three", "t7 stdout F four",]
    );
    // What follows an open part waits with it.
    let (records, used) = joined(&mode(Mode::Cri), "t1 a F x\nt2 a P y\nt3 b F z\n", false);
    assert_eq!((records, used), (vec!["t1 a F x".to_owned()], 9));
    let none = "t1 a F x\nt2 b F y\n";
    assert!(mode(Mode::Cri).join(none.as_bytes(), lines(none.as_bytes()), false).made.is_none());
}

#[test]
fn docker_lines_are_put_together_at_their_line_ends() {
    let text = "{\"log\":\"one\\n\",\"stream\":\"stdout\",\"time\":\"1\"}\n\
        {\"log\":\"tw\\\\n\",\"stream\":\"stdout\",\"time\":\"2\"}\n\
        {\"log\":\"o\\\"\\n\",\"stream\":\"stdout\",\"time\":\"3\"}\nno json\n";
    assert_eq!(
        whole(&mode(Mode::Docker), text),
        [
            "{\"log\":\"one\\n\",\"stream\":\"stdout\",\"time\":\"1\"}",
            "{\"log\":\"tw\\\\no\\\"\\n\",\"stream\":\"stdout\",\"time\":\"3\"}",
            "no json",
        ]
    );
}

fn joiners() -> Vec<Joiner> {
    let modes =
        [Mode::Java, Mode::Python, Mode::Go, Mode::Ruby, Mode::Dotnet, Mode::Cri, Mode::Docker];
    let mut all: Vec<Joiner> = modes.map(|mode| Joiner::new(Rule::Mode(mode), 5, 60)).into();
    all.push(Joiner::new(Rule::Start(pattern("^a")), 5, 60));
    all.push(Joiner::new(Rule::Continuation(pattern("^ ")), 5, 60));
    all.push(Joiner::new(Rule::End(pattern("a$")), 5, 60));
    all
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ a\t]{0,3}[a-z ]{0,6}\r?",
        Just("Traceback (most recent call last):".to_owned()),
        Just("panic: x".to_owned()),
        Just("a.b.CException: x".to_owned()),
        Just("t stdout P xy".to_owned()),
        Just("t stderr P xy".to_owned()),
        Just("t stdout F xy".to_owned()),
        Just("{\"log\":\"x\",\"stream\":\"stdout\"}".to_owned()),
        Just("{\"log\":\"x\\n\",\"stream\":\"stdout\"}".to_owned()),
    ]
}

proptest! {
    #[test]
    fn what_is_given_in_pieces_gives_the_same_records(
        all in prop::collection::vec(line(), 0..20), step in 1usize..4,
    ) {
        for joiner in joiners() {
            let text: String = all.iter().map(|line| format!("{line}\n")).collect();
            let mut records = Vec::new();
            let (mut from, mut have) = (0, 0);
            while have < all.len() {
                have = (have + step).min(all.len());
                let to: usize = all[..have].iter().map(|line| line.len() + 1).sum();
                let (some, used) = joined(&joiner, &text[from..to], have == all.len());
                records.extend(some);
                from += used;
            }
            prop_assert_eq!(from, text.len());
            prop_assert_eq!(records, whole(&joiner, &text));
        }
    }

    #[test]
    fn no_bytes_are_too_odd(text in prop::collection::vec(any::<u8>(), 0..300)) {
        for joiner in joiners() {
            let joined = joiner.join(&text, lines(&text), true);
            prop_assert_eq!(joined.used, text.len());
            let from = joined.made.as_ref().map_or(&text[..], |made| &made.text);
            prop_assert!(joined.records.iter().all(|(start, end)| from.get(*start..*end).is_some()));
        }
    }
}
