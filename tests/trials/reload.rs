//! The config changes, again and again, while a writer writes.

use super::oracle::Verdict;
use super::rig::{Rig, content};
use super::writer::Writer;
use super::{is_long, scale};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const CHANGES: usize = 20;

/// Of a hundred reloads, ninety-nine hold up the lines for less.
const LONGEST_GAP: Duration = Duration::from_millis(100);

const SOURCE: &str =
    "sources: {app: {type: file, include: ['{dir}/logs/*.log'], close_inactive: CLOSEm}}\n";
const SINK: &str = "sinks:\n  out: {type: file, inputs: [IN], path: '{dir}/out/all.log', \
                    batch: {age: AGEms}, sync: never}\n";

/// Configs in turn: the way of the lines changes, then their sink, their source, their siblings.
fn topology(number: usize) -> String {
    let (way, input) = match number % 4 {
        0 => ("", "app"),
        1 => ("transforms:\n  all: {type: filter, keep: 'true', inputs: [app]}\n", "all"),
        2 => (
            "transforms:\n  all: {type: route, routes: {some: message is search('~')}, inputs: [app]}\n",
            "all.some",
        ),
        _ => (
            "transforms:\n  one: {type: filter, drop: 'false', inputs: [app]}\n  all: {type: filter, keep: 'true', inputs: [one]}\n",
            "all",
        ),
    };
    let sibling = if number.is_multiple_of(3) {
        "  more: {type: file, inputs: [app], path: '{dir}/more/all.log', sync: never}\n"
    } else {
        ""
    };
    let source = SOURCE.replace("CLOSE", &(1 + number / 5).to_string());
    let sink = SINK.replace("IN", input).replace("AGE", &(1 + number / 2 % 3).to_string());
    format!("{source}{way}{sink}{sibling}")
}

/// How long a file does not grow.
struct Gaps {
    longest: Arc<Mutex<Duration>>,
    stop: Arc<AtomicBool>,
    looks: JoinHandle<()>,
}

impl Gaps {
    fn of(path: PathBuf) -> Self {
        let (longest, stop) = (Arc::<Mutex<Duration>>::default(), Arc::<AtomicBool>::default());
        let (noted, end) = (Arc::clone(&longest), Arc::clone(&stop));
        let looks = thread::spawn(move || {
            let (mut length, mut grown) = (0, Instant::now());
            while !end.load(Ordering::Relaxed) {
                let now = fs::metadata(&path).map_or(0, |about| about.len());
                if now > length {
                    let mut longest = noted.lock().unwrap();
                    *longest = grown.elapsed().max(*longest);
                    (length, grown) = (now, Instant::now());
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        Self { longest, stop, looks }
    }

    /// The longest one since this was last asked.
    fn longest(&self) -> Duration {
        std::mem::take(&mut *self.longest.lock().unwrap())
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.looks.join().unwrap();
    }
}

#[test]
fn reloads_under_load_lose_and_double_nothing() {
    let rig = Rig::new(&topology(0));
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), 5_000_000);
    let agent = rig.start();
    let length = || fs::metadata(rig.path("out/all.log")).map_or(0, |about| about.len());
    rig.wait_until("lines arrive", || length() > 0);
    let gaps = Gaps::of(rig.path("out/all.log"));
    rig.wait_until("the first gap is over", || gaps.longest() > Duration::ZERO);
    let mut longest = Vec::new();
    let id = Pid::from_raw(agent.id().try_into().unwrap());
    for number in 1..=CHANGES * usize::try_from(scale().seconds / 4).unwrap() {
        rig.change(&topology(number));
        kill(id, Signal::SIGHUP).unwrap();
        let loaded = || rig.all_said().matches("config loaded").count() >= number;
        rig.wait_until("the config is taken", loaded);
        assert!(!rig.said().contains("config refused"), "{}", rig.said());
        let before = length();
        rig.wait_until("lines go on arriving", || length() > before);
        longest.push(gaps.longest());
    }
    gaps.end();
    longest.sort();
    let (half, most) = (longest[longest.len() / 2], longest[longest.len() * 99 / 100]);
    println!("{} reloads, gaps of the lines: p50 {half:?}, p99 {most:?}", longest.len());
    assert!(!is_long() || most <= LONGEST_GAP, "{longest:?}");
    let written = writer.stop();
    let verdict = rig.verdict(&[(1, written)], || content(&rig.path("out"), "all.log"));
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(verdict, Verdict::default(), "{}", rig.said());
}
