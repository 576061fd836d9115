//! What a batch promises to those who change it.

use super::*;
use proptest::prelude::*;

fn batch(text: &[u8]) -> LogBatch {
    LogBatch::from_lines(&Bytes::copy_from_slice(text), Arc::default(), 100, 7)
}

fn raw(batch: &LogBatch) -> Vec<&[u8]> {
    batch.records().map(|record| record.raw()).collect()
}

#[test]
fn a_line_is_a_record_and_so_is_a_last_one_without_an_end() {
    assert_eq!(raw(&batch(b"a\r\n\nb")), [&b"a\r"[..], b"", b"b"]);
    assert!(batch(b"").is_empty());
    let batch = batch(b"a\r\n\nb");
    let last = batch.records().last().unwrap();
    assert_eq!((last.offset(), last.time_ns()), (104, 7));
    assert_eq!(batch.records().next().unwrap().message(), b"a");
}

#[test]
fn a_change_on_one_branch_is_not_seen_on_another() {
    let original = batch(b"a\nb\n");
    let (mut filtered, mut parsed) = (original.clone(), original.clone());
    filtered.retain(|record| record.raw() == b"b");
    parsed.rewrite(|record, writer| {
        writer.push("line", record.text_at(record.raw()));
        Verdict::Parsed
    });
    assert_eq!((original.len(), filtered.len(), parsed.len()), (2, 1, 2));
    assert!(original.is_plain() && filtered.is_plain() && !parsed.is_plain());
    assert_eq!(original.records().next().unwrap().get("line"), None);
    assert_eq!(parsed.records().next().unwrap().get("line"), Some(FieldRef::Text(b"a")));
}

#[test]
fn what_is_found_in_a_batch_counts_as_the_memory_that_it_takes() {
    let mut batch = batch(b"a\nb\n");
    assert_eq!(batch.memory_bytes(), 4);
    batch.rewrite(|record, writer| {
        writer.push("line", record.text_at(record.raw()));
        writer.push_text("made", b"12345");
        Verdict::Touched
    });
    let fields = 4 * size_of::<Field>() + 2 * size_of::<Record>();
    assert_eq!((batch.bytes(), batch.memory_bytes()), (4 + 10, 4 + 10 + fields));
}

#[test]
fn a_table_in_memory_that_was_used_before_holds_nothing_of_that() {
    let spare = Spare::default();
    for text in [&b"a\nb\nc\n"[..], b"d\n", b"e\nf\n"] {
        let mut batch = batch(text);
        batch.reuse(&spare);
        for name in ["first", "second"] {
            let shared = batch.clone();
            batch.rewrite(|record, writer| {
                for field in record.stored_fields() {
                    writer.push_field(*field);
                }
                writer.push(name, record.text_at(record.raw()));
                Verdict::Touched
            });
            assert_eq!(shared.len(), batch.len());
        }
        for record in batch.records() {
            let line = FieldRef::Text(record.raw());
            let fields: Vec<_> = record.fields().collect();
            assert_eq!(fields, [("first", line), ("second", line)]);
        }
    }
}

#[test]
fn what_was_made_on_the_way_outlives_the_next_rewrite() {
    let mut batch = batch(b"a\nb\nc\n");
    batch.rewrite(|record, writer| {
        writer.push_text("made", &[record.raw(), b"!"].concat());
        writer.push_json("json", b"[1,\n2]");
        Verdict::Touched
    });
    batch.rewrite(|record, writer| match record.raw() {
        b"a" => Verdict::Keep,
        b"b" => Verdict::Drop,
        _ => {
            for (name, value) in record.entries() {
                writer.push(name, value);
            }
            writer.push_text("more", b"?");
            Verdict::Touched
        }
    });
    let made = |record: RecordRef<'_>| record.get("made").map(|value| value.to_json());
    let texts: Vec<_> = batch.records().map(made).collect();
    assert_eq!(texts, [Some("a!".into()), Some("c!".into())]);
    let json = batch.records().next().unwrap().get("json");
    assert_eq!(json, Some(FieldRef::Json(b"[1, 2]")), "a record fits on a line");
}

#[test]
fn what_a_writer_took_back_is_gone() {
    let mut batch = batch(b"a\n");
    batch.rewrite(|_, writer| {
        writer.push("x", Value::Null);
        writer.clear();
        writer.push("y", Value::Null);
        Verdict::Touched
    });
    let names: Vec<_> = batch.records().next().unwrap().fields().map(|(name, _)| name).collect();
    assert_eq!(names, ["y"]);
}

#[test]
fn only_text_of_the_chunk_becomes_a_span() {
    let batch = batch(b"some text\n");
    let record = batch.records().next().unwrap();
    assert!(record.holds(&record.raw()[5..]));
    assert!(!record.holds(b"text"));
    assert_eq!(batch.value(record.text_at(&record.raw()[5..])), FieldRef::Text(b"text"));
    assert_eq!(batch.value(record.text_at(b"text")), FieldRef::Text(b""));
}

proptest! {
    /// However names come and go between records, which the guess of the next name depends on.
    #[test]
    fn every_record_has_the_names_that_were_written(
        records in proptest::collection::vec(proptest::collection::vec("[a-d]{1,2}", 0..5), 1..20),
    ) {
        let mut batch = batch(&b"x\n".repeat(records.len()));
        for _ in 0..2 {
            let mut rest = records.iter();
            batch.rewrite(|_, writer| {
                for (name, at) in rest.next().unwrap().iter().zip(0..) {
                    writer.push(name, Value::Int(at));
                }
                Verdict::Touched
            });
        }
        for (record, names) in batch.records().zip(&records) {
            let written: Vec<_> = record.fields().map(|(name, _)| name.to_owned()).collect();
            prop_assert_eq!(&written, names);
            for name in names {
                let last = names.iter().rposition(|other| other == name).unwrap();
                prop_assert_eq!(record.get(name), Some(FieldRef::Int(i64::try_from(last).unwrap())));
            }
        }
    }

    #[test]
    fn filters_in_a_row_leave_what_all_of_them_leave(
        lines in proptest::collection::vec((any::<bool>(), any::<bool>()), 0..30),
    ) {
        let mut batch = batch(&b"x\n".repeat(lines.len()));
        let mut first = lines.iter();
        batch.retain(|_| first.next().unwrap().0);
        let mut second = lines.iter().filter(|line| line.0);
        batch.retain_spans(|_, _| second.next().unwrap().1);
        let left: Vec<_> = batch.records().map(|record| record.span().0 / 2).collect();
        let expected: Vec<_> = lines.iter().zip(0u32..).filter(|(line, _)| line.0 && line.1).collect();
        prop_assert_eq!(left.len(), batch.len());
        prop_assert_eq!(left, expected.into_iter().map(|(_, at)| at).collect::<Vec<_>>());
    }
}
