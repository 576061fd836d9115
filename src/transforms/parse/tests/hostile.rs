//! Nothing that a line may hold brings a parser down, and no line is lost.

use super::*;
use crate::transforms::parse::hostile::{SAMPLES, check, leaves_out};
use proptest::prelude::*;

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
            check(&mut parse, text.as_bytes(), leaves_out(yaml));
        }
    }
}

proptest! {
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
        check(&mut parser(yaml), &text, leaves_out(yaml));
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
