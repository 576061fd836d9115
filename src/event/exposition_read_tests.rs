//! What is written can be read, and what is wrong is told with its line.

use super::*;
use crate::event::exposition;
use proptest::prelude::*;

fn again(text: &str) -> String {
    let mut out = Vec::new();
    assert_eq!(exposition::encode(&read(text, "").unwrap(), &mut out), 0);
    String::from_utf8(out).unwrap()
}

#[test]
fn what_is_read_is_written_as_it_was() {
    let text = "# HELP a A \\\\ and\\n \"b\".\n# TYPE a counter\na{x=\"1\\\"\\\\\\n\"} 10\n\
        # HELP h \n# TYPE h histogram\nh_bucket{x=\"1\",le=\"0.5\"} 1\n\
        h_bucket{x=\"1\",le=\"+Inf\"} 3\n\
        h_sum{x=\"1\"} 4.5\nh_count{x=\"1\"} 3\n\
        # HELP s \n# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_sum 1\ns_count 2\n\
        # HELP u \n# TYPE u untyped\nu -Inf\n";
    assert_eq!(again(text), text);
}

#[test]
fn a_label_that_only_some_samples_have_is_empty_in_the_others() {
    let written = again("# TYPE a gauge\na{x=\"1\", y=\"2\"} 1\na{z=\"3\",} 2\n");
    assert!(written.contains("a{x=\"\",y=\"\",z=\"3\"} 2\n"), "{written}");
}

#[test]
fn openmetrics_is_read_without_what_a_scrape_of_text_has_no_place_for() {
    let text = "# TYPE a counter\n# UNIT a seconds\na_total{x=\"1\"} 3 # {trace=\"9\"} 0.5\n\
        a_created{x=\"1\"} 1600000000\n# TYPE b info\nb_info{v=\"1\"} 1\n# TYPE c unknown\n\
        c 2\n# EOF\n";
    let families = read(text, "help").unwrap();
    let names: Vec<_> = families.iter().map(|family| (&*family.name, family.kind)).collect();
    let expected = [
        ("a_total", MetricKind::Counter),
        ("b_info", MetricKind::Gauge),
        ("c", MetricKind::Untyped),
    ];
    assert_eq!(names, expected);
    assert_eq!(families[0].samples.len(), 1);
    assert_eq!(families[0].help, "help");
}

#[test]
fn a_time_is_kept_so_that_who_does_not_want_it_can_tell() {
    assert_eq!(read("a 1 1441205977284\n", "").unwrap()[0].samples[0].timestamp_ms, {
        Some(1_441_205_977_284)
    });
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, line) in [
        ("a 1\na{x=1} 2\n", 2),
        ("a one\n", 1),
        ("a\n", 1),
        ("a{x=\"1} 2\n", 1),
        ("a{x=\"1\" y=\"2\"} 2\n", 1),
        ("a{x=\"1\",x=\"2\"} 2\n", 1),
        ("# TYPE a gauge\n# TYPE a counter\n", 2),
        ("# TYPE a thing\n", 1),
        ("a 1\n# TYPE a counter\n", 2),
        ("# TYPE h histogram\nh_bucket{x=\"1\"} 2\n", 2),
        ("0a 1\n", 1),
        ("a 1 2 3\n", 1),
        ("# EOF\na 1\n", 2),
    ] {
        assert_eq!(read(text, "").map_err(|fault| fault.line), Err(line), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        text in "([a-z#_{}=\"\\\\ ,0-9.]|\n|# TYPE a |_sum|_bucket|le=)*"
    ) {
        if let Ok(families) = read(&text, "") {
            let mut out = Vec::new();
            exposition::encode(&families, &mut out);
            let written = String::from_utf8(out).unwrap();
            prop_assert!(read(&written, "").is_ok(), "{}", written);
        }
    }
}
