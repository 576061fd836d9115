//! Rotation storms: the file is renamed, cut and made anew faster than anybody sensible would.

use super::oracle::{Oracle, Verdict};
use super::process::Process;
use super::rig::{Rig, content, free_port, metric, scrape};
use super::scale;
use super::writer::{MARK, Writer, line, rotate};
use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

/// Rotated files are followed under their new names too, so that a file that is rotated while no
/// agent runs is found.
const TO_A_FILE: &str = "sources: {app: {type: file, include: ['{dir}/logs/*.log*']}}\n\
     sinks: {out: {type: file, inputs: [app], path: '{dir}/out/all.log', sync: never}}\n";

/// Writers, a running agent, and the verdict once nothing more comes.
struct Storm {
    rig: Rig,
    writers: Vec<Writer>,
}

impl Storm {
    fn new(writers: u32) -> (Self, Process) {
        let rig = Rig::new(TO_A_FILE);
        let rate = scale().bytes_per_second / writers as usize;
        let start = |id| Writer::start(id, &rig.path(&format!("logs/app{id}.log")), rate);
        let writers = (1..=writers).map(start).collect();
        let agent = rig.start();
        rig.wait_until("the agent reads", || !content(&rig.path("out"), "all.log").is_empty());
        (Self { rig, writers }, agent)
    }

    /// Does something to each writer's file in turn, this often a file, until time is up.
    fn blow(&self, every: Duration, deed: impl Fn(&Self, &Writer)) {
        let begun = Instant::now();
        let mut turns = self.writers.iter().cycle();
        while begun.elapsed() < Duration::from_secs(scale().seconds) {
            std::thread::sleep(every / u32::try_from(self.writers.len()).unwrap());
            deed(self, turns.next().unwrap());
        }
    }

    fn verdict(mut self, agent: &Process) -> Verdict {
        let written: Vec<(u32, u64)> =
            self.writers.iter_mut().map(|writer| (writer.id, writer.stop())).collect();
        let verdict = self.rig.verdict(&written, || content(&self.rig.path("out"), "all.log"));
        assert!(agent.stop().success(), "{}", self.rig.said());
        verdict
    }
}

#[test]
fn a_rename_every_hundred_milliseconds_loses_nothing() {
    let (storm, agent) = Storm::new(4);
    storm.blow(Duration::from_millis(100), |_, writer| {
        writer.between_lines(|path| rotate(path, 30));
    });
    assert_eq!(storm.verdict(&agent), Verdict::default());
}

#[test]
fn copytruncate_of_what_was_read_loses_and_doubles_nothing() {
    let (storm, agent) = Storm::new(1);
    storm.blow(Duration::from_millis(300), |storm, writer| {
        let dir = storm.rig.path("out");
        writer.between_lines(move |path| {
            // A careful logrotate would wait as well, if it could.
            let length = fs::metadata(path).unwrap().len();
            let before = content(&dir, "all.log").len() as u64;
            let begun = Instant::now();
            while !caught_up(&dir, path) && begun.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(caught_up(&dir, path), "{length} bytes in the log, {before} in the sink");
            fs::copy(path, path.with_extension("old")).unwrap();
            fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap();
        });
    });
    assert_eq!(storm.verdict(&agent), Verdict::default());
}

#[test]
fn copytruncate_of_what_was_seen_and_not_read_counts_every_byte_that_is_lost() {
    // Nothing can be sent, so that reading stops when memory is full, until the directory in the
    // place of the sink's file is taken away.
    let port = free_port();
    let rig = Rig::new(&format!(
        "sources:\n  app: {{type: file, include: ['{{dir}}/logs/app.log', '{{dir}}/logs/look*']}}\n  \
         self: {{type: internal_metrics}}\nsinks:\n  \
         out: {{type: file, inputs: [app], path: '{{dir}}/out/all.log', sync: never}}\n  \
         scrape: {{type: prometheus, inputs: [self], listen: '127.0.0.1:{port}'}}\n"
    ));
    rig.settings("memory_limit: 4MiB\n");
    fs::create_dir_all(rig.path("out/all.log")).unwrap();
    let log = rig.path("logs/app.log");
    let lines = |numbers: Range<u64>| {
        let mut text = Vec::new();
        numbers.for_each(|number| line(1, number, 0, &mut text));
        text
    };
    // Far more than memory takes.
    let (first, all) = (100_000, 100_300);
    fs::write(&log, lines(0..first)).unwrap();
    let agent = rig.start();
    let sent = || metric(&scrape(port), "driftless_component_sent_bytes_total", "\"app\"");
    let (mut before, mut since) = (0.0, Instant::now());
    rig.wait_until("it reads no more", || {
        let now = sent();
        if std::mem::replace(&mut before, now) != now {
            since = Instant::now();
        }
        now > 0.0 && since.elapsed() > Duration::from_secs(1)
    });
    let mut file = fs::File::options().append(true).open(&log).unwrap();
    let be_seen = |round: u32| {
        // A file that is met shows that the agent has looked at the others too.
        let look = rig.path(&format!("logs/look{round}"));
        fs::write(&look, "").unwrap();
        rig.wait_until("it has seen what there is", || holds_open(agent.id(), &look));
    };
    let truncate = |file: &fs::File| {
        fs::copy(&log, rig.path("logs/app.old")).unwrap();
        file.set_len(0).unwrap();
    };
    be_seen(1);
    truncate(&file);
    // Once more before anybody can read; then the file grows beyond what it was.
    file.write_all(&lines(first..first + 100)).unwrap();
    be_seen(2);
    truncate(&file);
    be_seen(3);
    file.write_all(&lines(first + 100..all)).unwrap();
    fs::remove_dir(rig.path("out/all.log")).unwrap();
    let arrived = || Oracle::of(&content(&rig.path("out"), "all.log"));
    rig.wait_until("the end has arrived", || arrived().has(1, all - 1));
    let counted = metric(&scrape(port), "driftless_file_lost_bytes_total", "truncated_before_read");
    assert!(agent.stop().success(), "{}", rig.said());
    let oracle = arrived();
    let lost: Vec<u64> = (0..all).filter(|number| !oracle.has(1, *number)).collect();
    let last = first + 99;
    assert!(lost.len() > 1000 && lost.last() == Some(&last), "{} lines lost", lost.len());
    assert_eq!(counted as usize, lines(lost[0]..last + 1).len(), "what is lost is one piece");
    let verdict = Verdict { lost: last + 1 - lost[0], ..Verdict::default() };
    assert_eq!(oracle.verdict(&[(1, all)]), verdict);
}

fn holds_open(process: u32, file: &Path) -> bool {
    let all = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    all.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|open| open == file)
}

/// Whether the last line of the log has arrived.
fn caught_up(dir: &Path, log: &Path) -> bool {
    let written = fs::read(log).unwrap();
    let last = written.strip_suffix(b"\n").unwrap_or(&written);
    let last = last.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    last.is_empty()
        || content(dir, "all.log").strip_suffix(b"\n").is_some_and(|all| all.ends_with(last))
}

#[test]
fn a_file_that_is_deleted_and_made_anew_is_read_to_its_end_and_from_its_beginning() {
    let (storm, agent) = Storm::new(3);
    storm.blow(Duration::from_millis(400), |storm, writer| {
        let dir = storm.rig.path("out");
        // What is deleted before anybody has opened it is gone; once it is open it is not.
        writer.between_lines(move |path| {
            let number = format!("{MARK} ");
            let begun = Instant::now();
            let first = fs::read(path).unwrap();
            let first = first.split(|byte| *byte == b'\n').next().unwrap_or_default().to_owned();
            assert!(first.is_empty() || first.starts_with(number.as_bytes()));
            while !holds(&content(&dir, "all.log"), &first)
                && begun.elapsed() < Duration::from_secs(20)
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            fs::remove_file(path).unwrap();
        });
    });
    assert_eq!(storm.verdict(&agent), Verdict::default());
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

#[test]
fn stopped_and_started_under_load_and_rotation_it_neither_loses_nor_doubles() {
    let (storm, first) = Storm::new(2);
    let agent = Cell::new(Some(first));
    storm.blow(Duration::from_millis(500), |storm, writer| {
        writer.between_lines(|path| rotate(path, 30));
        if let Some(running) = agent.take() {
            assert!(running.stop().success(), "{}", storm.rig.said());
        }
        writer.between_lines(|path| rotate(path, 30));
        agent.set(Some(storm.rig.start()));
    });
    let agent = agent.take().unwrap();
    assert_eq!(storm.verdict(&agent), Verdict::default());
}
