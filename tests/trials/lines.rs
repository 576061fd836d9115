//! Lines as nobody wants them: endless, binary, in pieces.

use super::rig::{Rig, anonymous_bytes, content};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

const TO_FILE: &str = "sources: {app: {type: file, include: ['{dir}/logs/*.log']SETTINGS}}\n\
                       sinks: {out: {type: file, inputs: [app], path: '{dir}/out/all.log'}}\n";

fn last_bytes(path: &Path) -> [u8; 6] {
    let (mut file, mut last) = (File::open(path).unwrap(), [0; 6]);
    file.seek(SeekFrom::End(-6)).unwrap();
    file.read_exact(&mut last).unwrap();
    last
}

#[test]
fn a_line_of_100_megabytes_is_passed_on_whole_in_pieces_and_in_little_memory() {
    const BYTES: usize = 100_000_000;
    let rig = Rig::new(&TO_FILE.replace("SETTINGS", ""));
    let piece: Vec<u8> = (0..1_000_000u64).map(|at| b'a' + (at * at % 23) as u8).collect();
    let mut log = File::create(rig.path("logs/app.log")).unwrap();
    log.write_all(b"before\n").unwrap();
    for _ in 0..BYTES / piece.len() {
        log.write_all(&piece).unwrap();
    }
    let agent = rig.start();
    let mut most = 0;
    let length = || fs::metadata(rig.path("out/all.log")).map_or(0, |about| about.len());
    rig.wait_until("most of it is there, though it has no end yet", || {
        most = most.max(anonymous_bytes(&agent));
        length() > BYTES as u64 * 9 / 10
    });
    log.write_all(b"\nafter\n").unwrap();
    rig.wait_until("all of it is there", || {
        most = most.max(anonymous_bytes(&agent));
        last_bytes(&rig.path("out/all.log")) == *b"after\n"
    });
    assert!(agent.stop().success(), "{}", rig.said());
    let out = content(&rig.path("out"), "all.log");
    let mut pieces: Vec<&[u8]> = out.split(|byte| *byte == b'\n').collect();
    assert_eq!(
        (pieces.remove(0), pieces.pop(), pieces.pop()),
        (&b"before"[..], Some(&b""[..]), Some(&b"after"[..]))
    );
    assert!(pieces.iter().all(|piece| piece.len() <= 1 << 20));
    assert!(pieces.concat() == piece.repeat(BYTES / piece.len()), "the pieces are not the line");
    println!("at most {most} bytes in RAM that are no file's");
    assert!(most < (64 + 16) << 20, "{most} bytes in RAM");
}

#[test]
fn any_bytes_leave_as_they_came() {
    // A byte order mark at the very beginning is the file's, not the text's.
    let mut text = b"\xef\xbb\xbffirst\n".to_vec();
    for line in [
        &b"a NUL \0 within"[..],
        b"\0",
        b"carriage return\r",
        b"two\r\r",
        b"one \r within",
        b"",
        b"\r",
        b"not UTF-8: \xff\xfe \xc3\x28 \xed\xa0\x80 \xf5",
        b"\xef\xbb\xbfa mark within",
        b"separators \xe2\x80\xa8 \xc2\x85 \x0b \x0c \x1b[31m",
        b"\x01\x02\x7f\x80\x90",
    ] {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    let mut state = 1u32;
    for _ in 0..200_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push((state >> 24) as u8);
    }
    text.push(b'\n');
    let expected = &text[3..];
    let filtered = TO_FILE.replace("[app],", "[all],")
        + "transforms: {all: {type: filter, keep: 'message is not search(\"no such\")', inputs: [app]}}\n";
    for topology in [TO_FILE, &filtered] {
        let rig = Rig::new(&topology.replace("SETTINGS", ""));
        fs::write(rig.path("logs/app.log"), &text).unwrap();
        let agent = rig.start();
        let out = || content(&rig.path("out"), "all.log");
        rig.wait_until("all of it is there", || out().len() >= expected.len());
        assert!(agent.stop().success(), "{}", rig.said());
        let out = out();
        let differ = out.iter().zip(expected).position(|(out, text)| out != text);
        assert!(out == expected, "{} of {} bytes, from {differ:?}", out.len(), expected.len());
    }
}
