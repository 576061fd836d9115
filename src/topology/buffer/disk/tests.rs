//! What is written is read, and damage costs the frames that it hit and no others.

use super::frame::END_BYTES;
use super::store::Opened;
use super::*;
use crate::event::pack::PackedKind;
use bytes::Bytes;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

/// Small enough that a few frames fill a segment.
const LIMITS: Limits = Limits { buffer_bytes: 1 << 20, segment_bytes: 400 };

fn body(number: u64, len: usize) -> Vec<u8> {
    let mut body = format!("{number:06} dlb1 ").into_bytes();
    body.extend((0..len).map(|at| b'a' + u8::try_from(at % 23).unwrap()));
    body
}

fn append(store: &mut Store, body: &[u8]) -> Result<(), Refusal> {
    let mut frame = vec![0; HEADER_BYTES];
    frame.extend_from_slice(body);
    store.append(PackedKind::Logs, 2, &mut frame).map(drop)
}

/// A buffer with a frame of each length; where in which segment each of them stands.
fn written(dir: &Path, lengths: &[usize]) -> Vec<(PathBuf, u64, u64)> {
    let (mut store, opened) = Store::open(dir, LIMITS, 0).unwrap();
    assert_eq!(opened, Opened::default());
    let mut places: Vec<(PathBuf, u64, u64)> = Vec::new();
    for (number, len) in (0..).zip(lengths) {
        append(&mut store, &body(number, *len)).unwrap();
        let segment = store.segment_from(number).unwrap();
        let from = segment.bytes - (HEADER_BYTES + body(number, *len).len()) as u64;
        places.push((store.path_of(segment.first), from, segment.bytes));
    }
    store.seal().unwrap();
    places
}

/// All frames from `number` on, and how many could not be read.
fn all(store: &mut Store, number: u64) -> (Vec<Frame>, u64) {
    let mut reading = Reading::from(number);
    let (mut frames, mut damaged) = (Vec::new(), 0);
    loop {
        let next = reading.next(store).unwrap_or_else(|_| {
            reading.give_up_segment(store);
            Next::Frame(Frame { number: 0, events: 0, kind: PackedKind::Logs, body: Bytes::new() })
        });
        damaged += reading.take_damaged();
        match next {
            Next::Nothing => return (frames, damaged),
            Next::Frame(frame) if frame.body.is_empty() => {}
            Next::Frame(frame) => frames.push(frame),
            Next::Block(bytes) => {
                let mut data = Vec::new();
                match reading.load(store, bytes, &mut data) {
                    Ok(()) => reading.loaded(Bytes::from(data)),
                    Err(_) => reading.give_up_segment(store),
                }
            }
        }
    }
}

fn numbers(frames: &[Frame], lengths: &[usize]) -> Vec<u64> {
    for frame in frames {
        let len = lengths[usize::try_from(frame.number).unwrap()];
        assert_eq!(frame.body, body(frame.number, len), "frame {}", frame.number);
    }
    frames.iter().map(|frame| frame.number).collect()
}

fn is_end(path: &Path, at: u64) -> bool {
    at + END_BYTES >= fs::metadata(path).unwrap().len()
}

#[test]
fn what_was_written_is_read_from_any_place_on_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let lengths = [10, 500, 0, 100, 100, 100, 100, 3000, 1];
    written(dir.path(), &lengths);
    let (mut store, opened) = Store::open(dir.path(), LIMITS, 0).unwrap();
    assert_eq!((opened, store.next(), store.events()), (Opened::default(), 9, 18));
    for from in 0..10 {
        let (frames, damaged) = all(&mut store, from);
        assert_eq!(numbers(&frames, &lengths), (from..9).collect::<Vec<_>>());
        assert_eq!(damaged, 0);
    }
}

#[test]
fn no_byte_more_than_allowed_is_ever_on_disk_and_settled_segments_give_room() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { buffer_bytes: 2000, segment_bytes: 400 };
    let on_disk = || -> u64 {
        let names = segments_in(dir.path()).unwrap();
        let path = |first: &u64| dir.path().join(format!("{first:020}.segment"));
        names.iter().map(|first| fs::metadata(path(first)).unwrap().len()).sum()
    };
    let (mut store, _) = Store::open(dir.path(), limits, 0).unwrap();
    let mut taken = 0;
    for round in 0..5 {
        while append(&mut store, &body(taken, 77)).is_ok() {
            taken += 1;
            assert!(on_disk() <= 2000 && store.bytes() <= 2000);
        }
        assert!(on_disk() > 1500, "round {round}: {}", on_disk());
        store.seal().unwrap();
        store.remove_below(taken - 1).unwrap();
        assert!(store.bytes() < 600);
    }
    assert!(store.is_too_large(2000) && !store.is_too_large(1900));
    store.remove_below(taken).unwrap();
    assert_eq!((on_disk(), store.bytes(), store.next()), (0, 0, taken));
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path(), LIMITS, 0).unwrap();
    assert!(Store::open(dir.path(), LIMITS, 0).is_err());
    drop(first);
    assert!(Store::open(dir.path(), LIMITS, 0).is_ok());
}

#[test]
fn a_frame_in_the_text_of_a_line_is_no_frame() {
    let dir = tempfile::tempdir().unwrap();
    let places = written(dir.path(), &[20; 12]);
    let inner = fs::read(&places[8].0).unwrap();
    let (mut store, _) = Store::open(dir.path(), LIMITS, 0).unwrap();
    append(&mut store, &inner).unwrap();
    append(&mut store, b"after").unwrap();
    let path = store.path_of(store.segment_from(12).unwrap().first);
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (mut store, _) = Store::open(dir.path(), LIMITS, 0).unwrap();
    let (frames, damaged) = all(&mut store, 12);
    assert_eq!((frames.len(), damaged), (1, 1));
    assert_eq!(frames[0].body, b"after"[..]);
}

#[test]
fn the_cursor_is_read_as_saved_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Cursor::load(dir.path()).unwrap(), Some(Cursor::default()));
    let cursor = Cursor { settled: 7, ahead: vec![("logs.é".to_owned(), 9)] };
    cursor.save(dir.path()).unwrap();
    assert_eq!(Cursor::load(dir.path()).unwrap(), Some(cursor));
    let whole = fs::read(dir.path().join("cursor")).unwrap();
    for at in 0..whole.len() - 1 {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(dir.path().join("cursor"), &bytes).unwrap();
        assert_eq!(Cursor::load(dir.path()).unwrap(), None, "byte {at}");
        fs::write(dir.path().join("cursor"), &whole[..at]).unwrap();
        assert_eq!(Cursor::load(dir.path()).unwrap(), None, "cut at {at}");
    }
}

#[test]
fn from_outside_a_buffer_shows_what_waits_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let places = written(dir.path(), &[20, 30, 40, 200, 50]);
    let total = |settled: u64| {
        segments_in(dir.path()).unwrap().into_iter().fold((0, 0, 0, 0), |sum, first| {
            let seen = waiting(dir.path(), first, settled).unwrap();
            let damaged = sum.3 + u64::from(!seen.is_sound);
            (sum.0 + seen.frames, sum.1 + seen.events, sum.2 + seen.bytes, damaged)
        })
    };
    let bytes: u64 = places.iter().map(|(_, from, to)| to - from).sum();
    assert_eq!(total(0), (5, 10, bytes, 0));
    assert_eq!(total(4), (1, 2, places[4].2 - places[4].1, 0));
    assert_eq!(total(5), (0, 0, 0, 0));
    let (path, from, _) = &places[0];
    let mut content = fs::read(path).unwrap();
    content[usize::try_from(*from).unwrap()] ^= 1;
    fs::write(path, content).unwrap();
    assert_eq!(total(0), (4, 8, bytes - (places[0].2 - places[0].1), 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_flipped_bit_costs_its_frame_and_no_other(
        lengths in proptest::collection::vec(0..300usize, 1..30),
        segment: proptest::sample::Index,
        place: proptest::sample::Index,
        bit in 0..8u8,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let places = written(dir.path(), &lengths);
        let path = &segment.get(&places).0;
        let mut bytes = fs::read(path).unwrap();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(path, &bytes).unwrap();
        let hit = |(file, from, end): &(PathBuf, u64, u64)| {
            file == path && (*from..*end).contains(&(at as u64))
        };
        let (mut store, _) = Store::open(dir.path(), LIMITS, 0).unwrap();
        append(&mut store, b"a later one").unwrap();
        let (mut frames, damaged) = all(&mut store, 0);
        prop_assert_eq!(frames.pop().unwrap().body, &b"a later one"[..]);
        let sound: Vec<u64> =
            (0..).zip(&places).filter(|(_, place)| !hit(place)).map(|(number, _)| number).collect();
        prop_assert_eq!(numbers(&frames, &lengths), sound);
        let at_the_end = places.iter().rposition(hit) == Some(places.len() - 1);
        let in_an_end = is_end(path, at as u64) || places.iter().all(|place| !hit(place));
        prop_assert!(damaged == 1 || at_the_end || in_an_end, "{}", damaged);
    }

    #[test]
    fn a_cut_or_missing_segment_costs_what_was_in_it_and_no_more(
        lengths in proptest::collection::vec(0..300usize, 1..30),
        segment: proptest::sample::Index,
        place: proptest::sample::Index,
        removed: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let places = written(dir.path(), &lengths);
        let path = &segment.get(&places).0;
        let whole = fs::read(path).unwrap();
        let at = if removed { 0 } else { place.index(whole.len()) };
        fs::write(path, &whole[..at]).unwrap();
        if removed {
            fs::remove_file(path).unwrap();
        }
        let (mut store, _) = Store::open(dir.path(), LIMITS, 0).unwrap();
        let (frames, damaged) = all(&mut store, 0);
        let is_sound =
            |(file, _, end): &&(PathBuf, u64, u64)| file != path || *end <= at as u64;
        let sound: Vec<u64> = (0..)
            .zip(&places)
            .filter(|(_, place)| is_sound(place))
            .map(|(number, _)| number)
            .collect();
        let last = sound.last().copied();
        let missing_within = places.len() - sound.len();
        prop_assert_eq!(numbers(&frames, &lengths), sound);
        let cut_at_the_end = last != Some(places.len() as u64 - 1);
        prop_assert!(damaged as usize == missing_within || cut_at_the_end);
        // What comes later is not taken for what is gone.
        let next = store.next();
        append(&mut store, b"a later one").unwrap();
        let (frames, _) = all(&mut store, next);
        prop_assert_eq!(frames.len(), 1);
    }

    #[test]
    fn files_of_any_content_are_survived(contents in proptest::collection::vec(any::<Vec<u8>>(), 1..4)) {
        let dir = tempfile::tempdir().unwrap();
        for (at, content) in contents.iter().enumerate() {
            fs::write(dir.path().join(format!("{:020}.segment", at * 3)), content).unwrap();
        }
        fs::write(dir.path().join("cursor"), &contents[0]).unwrap();
        Cursor::load(dir.path()).unwrap();
        let (mut store, _) = Store::open(dir.path(), LIMITS, 0).unwrap();
        append(&mut store, b"a later one").unwrap();
        let (frames, _) = all(&mut store, 0);
        prop_assert_eq!(&frames.last().unwrap().body, &b"a later one"[..]);
    }
}
