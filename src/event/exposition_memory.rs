//! Writes expositions that are mostly like the one before: what stands there already is copied.

use super::exposition::{self, Format, Series, metric_name, push_header, push_prefix};
use super::metric::{Family, Labels, MetricKind, Sample, SampleValue, Text};
use super::number::push_float;

/// A longer text is not remembered.
const LARGEST_BYTES: usize = 4 << 20;

/// What was written last, and where each of its numbers stands.
#[derive(Debug, Default)]
pub struct Memory {
    format: Option<Format>,
    text: Vec<u8>,
    /// By name. Families that are no plain numbers are not in here.
    families: Vec<Known>,
}

/// A family in the text.
#[derive(Debug)]
struct Known {
    name: Text,
    help: Text,
    kind: MetricKind,
    /// Where it begins and ends.
    start: usize,
    end: usize,
    lines: Vec<Line>,
}

/// A sample in the text; places count from the beginning of its family.
#[derive(Debug)]
struct Line {
    labels: Labels,
    /// The bits of its number.
    value: u64,
    value_at: usize,
    end: usize,
}

impl Memory {
    /// Appends to `out` what [`exposition::encode_as`] does, and says as that does how many series
    /// were left out.
    pub fn encode_as(&mut self, format: Format, families: &[Family], out: &mut Vec<u8>) -> usize {
        if self.format != Some(format) {
            self.families.clear();
            self.format = Some(format);
        }
        let begin = out.len();
        let Some(dropped) = self.encode_ascending(format, families, out) else {
            self.families.clear();
            out.truncate(begin);
            return exposition::encode_as(format, families, out);
        };
        self.text.clear();
        if out.len() - begin <= LARGEST_BYTES {
            self.text.extend_from_slice(&out[begin..]);
        } else {
            (self.text, self.families) = (Vec::new(), Vec::new());
        }
        if format == Format::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
        dropped
    }

    /// `None` where a name is not valid, or not behind the one before it.
    fn encode_ascending(
        &mut self,
        format: Format,
        families: &[Family],
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let begin = out.len();
        let mut dropped = 0;
        let mut last = "";
        // Which of those known is the next one.
        let mut place = 0;
        for family in families {
            if *last >= *family.name {
                return None;
            }
            last = &family.name;
            let is_before = |known: &Known| *known.name < *family.name;
            let gone = self.families.iter().skip(place).take_while(|known| is_before(known));
            let gone = gone.count();
            self.families.drain(place..place + gone);
            let start = out.len();
            let known = self.families.get_mut(place).filter(|known| known.name == family.name);
            let was_known = known.is_some();
            if let Some(known) = known {
                if known.write(&self.text, family, out) {
                    (known.start, known.end) = (start - begin, out.len() - begin);
                    place += 1;
                    continue;
                }
                out.truncate(start);
            }
            if metric_name(&family.name) != *family.name {
                return None;
            }
            let learned = Known::learn(format, family, out).map(|known| Known {
                start: start - begin,
                end: out.len() - begin,
                ..known
            });
            if was_known {
                self.families.remove(place);
            }
            match learned {
                Some(known) => {
                    self.families.insert(place, known);
                    place += 1;
                }
                None => {
                    dropped += exposition::push_group(
                        format,
                        &family.name,
                        std::slice::from_ref(family),
                        out,
                    );
                }
            }
        }
        self.families.truncate(place);
        Some(dropped)
    }
}

impl Known {
    /// Writes a family of plain numbers; nothing where it is something else.
    fn learn(format: Format, family: &Family, out: &mut Vec<u8>) -> Option<Self> {
        let is_plain =
            matches!(family.kind, MetricKind::Counter | MetricKind::Gauge | MetricKind::Untyped);
        let are_numbers = family.samples.iter().all(|sample| number(sample).is_some());
        let are_in_order = Series::new(std::slice::from_ref(family)).are_ascending();
        if family.samples.is_empty() || !is_plain || !are_numbers || !are_in_order {
            return None;
        }
        let begin = out.len();
        push_header(format, &family.name, family.kind, &family.help, out);
        let mut lines = Vec::with_capacity(family.samples.len());
        for sample in &family.samples {
            let value = number(sample)?;
            push_prefix(format, &family.name, &sample.labels, out);
            let value_at = out.len() - begin;
            push_float(value, out);
            out.push(b'\n');
            let (labels, end) = (sample.labels.clone(), out.len() - begin);
            lines.push(Line { labels, value: value.to_bits(), value_at, end });
        }
        let (name, help) = (family.name.clone(), family.help.clone());
        Some(Self { name, help, kind: family.kind, start: 0, end: 0, lines })
    }

    /// Copies the family from `text`, where it stands, with the numbers that it has now; `false`
    /// where it has become another one, which must be learned anew.
    fn write(&mut self, text: &[u8], family: &Family, out: &mut Vec<u8>) -> bool {
        let Some(old) = text.get(self.start..self.end) else { return false };
        if self.kind != family.kind
            || self.help != family.help
            || self.lines.len() != family.samples.len()
        {
            return false;
        }
        let begin = out.len();
        // Up to where the old text is dealt with, and where that came to lie.
        let (mut from, mut to) = (0, 0);
        for (line, sample) in self.lines.iter_mut().zip(&family.samples) {
            let Some(value) = number(sample) else { return false };
            if !line.labels.is_very(&sample.labels) {
                if line.labels != sample.labels {
                    return false;
                }
                line.labels = sample.labels.clone();
            }
            if line.value == value.to_bits() {
                (line.value_at, line.end) = (line.value_at - from + to, line.end - from + to);
                continue;
            }
            out.extend_from_slice(&old[from..line.value_at]);
            (line.value, line.value_at) = (value.to_bits(), out.len() - begin);
            push_float(value, out);
            out.push(b'\n');
            from = line.end;
            to = out.len() - begin;
            line.end = to;
        }
        out.extend_from_slice(&old[from..]);
        true
    }
}

/// A plain number without a time of its own.
fn number(sample: &Sample) -> Option<f64> {
    match (&sample.value, sample.timestamp_ms) {
        (SampleValue::Number(value), None) => Some(*value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A family whose name, labels and kind are of a few, so that rounds are alike and different.
    fn family() -> impl Strategy<Value = Family> {
        let name = prop_oneof![Just("a"), Just("b_total"), Just("c"), Just("d-e"), Just("f")];
        let kind = prop_oneof![
            4 => Just(MetricKind::Gauge),
            2 => Just(MetricKind::Counter),
            1 => Just(MetricKind::Histogram)
        ];
        let value = prop_oneof![Just(0.0), Just(-0.0), Just(7.0), Just(1e9), Just(f64::NAN)];
        let time = prop_oneof![6 => Just(None), 1 => Just(Some(5_i64))];
        let sample = (0..4_u8, value, time);
        (name, kind, "[x\"]?", proptest::collection::vec(sample, 0..4)).prop_map(
            |(name, kind, help, samples)| {
                let mut family = Family::new(name, kind, help);
                for (label, value, timestamp_ms) in samples {
                    let labels = [("l".into(), label.to_string().into())];
                    let labels = if label == 0 { Labels::default() } else { labels.into() };
                    let value = SampleValue::Number(value);
                    family.samples.push(Sample { labels, value, timestamp_ms });
                }
                family
            },
        )
    }

    proptest! {
        #[test]
        fn a_text_that_is_remembered_reads_as_one_that_is_written_anew(
            rounds in proptest::collection::vec(
                (any::<bool>(), any::<bool>(), proptest::collection::vec(family(), 0..6)),
                1..6,
            )
        ) {
            let mut memory = Memory::default();
            for (is_open, are_sorted, mut families) in rounds {
                let format = if is_open { Format::OpenMetrics } else { Format::Text };
                if are_sorted {
                    families.sort_by(|one, other| one.name.cmp(&other.name));
                    families.dedup_by(|one, other| one.name == other.name);
                }
                let (mut anew, mut again) = (Vec::new(), b"before".to_vec());
                let dropped = exposition::encode_as(format, &families, &mut anew);
                prop_assert_eq!(memory.encode_as(format, &families, &mut again), dropped);
                let again = String::from_utf8(again[6..].to_vec()).unwrap();
                prop_assert_eq!(again, String::from_utf8(anew).unwrap());
            }
        }
    }

    #[test]
    fn what_has_not_changed_is_there_the_next_time_and_what_is_gone_is_forgotten() {
        let family = |name, values: &[f64]| {
            let mut family = Family::new(name, MetricKind::Gauge, "help");
            for (at, value) in values.iter().enumerate() {
                family.push([("at".into(), at.to_string().into())], *value);
            }
            family
        };
        let mut memory = Memory::default();
        let mut text = |families: &[Family]| {
            let mut out = Vec::new();
            assert_eq!(memory.encode_as(Format::Text, families, &mut out), 0);
            let known = memory.families.iter().map(|known| known.name.to_string());
            (String::from_utf8(out).unwrap(), known.collect::<Vec<_>>())
        };
        text(&[family("a", &[1.0, 2.0, 3.0]), family("b", &[5.0])]);
        let (written, known) = text(&[family("a", &[1.0, 250.0, 3.0]), family("c", &[6.0])]);
        assert_eq!(known, ["a", "c"]);
        let expected = "# HELP a help\n# TYPE a gauge\na{at=\"0\"} 1\na{at=\"1\"} 250\n\
            a{at=\"2\"} 3\n# HELP c help\n# TYPE c gauge\nc{at=\"0\"} 6\n";
        assert_eq!(written, expected);
        assert_eq!(
            text(&[family("a", &[9.0, 2.0, 30.0])]).0.lines().last(),
            Some("a{at=\"2\"} 30")
        );
    }
}
