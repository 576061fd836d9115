//! Thousands of files, of which few are written to.

use super::rig::{Rig, content, resident_bytes};
use super::{is_long, process::Process};
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

/// CPU time that a process has taken so far.
fn cpu(process: &Process) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let ticks: u64 =
        rest.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().unwrap()).sum();
    // There are 100 in a second everywhere.
    Duration::from_millis(ticks * 10)
}

#[test]
fn of_thousands_of_files_those_that_are_written_to_are_read_at_once_and_the_others_cost_nothing() {
    let (files, quiet) = if is_long() { (10_000, 60) } else { (1_000, 3) };
    let rig = Rig::new(
        "sources: {app: {type: file, include: ['{dir}/logs/**/*.log'], close_inactive: 1s}}\n\
         sinks: {out: {type: file, inputs: [app], path: '{dir}/out/all.log', sync: never}}\n",
    );
    let log = |number: usize| rig.path(&format!("logs/{}/{number}.log", number % 50));
    for number in 0..files {
        fs::create_dir_all(log(number).parent().unwrap()).unwrap();
        fs::write(log(number), format!("first of {number}\n")).unwrap();
    }
    let agent = rig.start();
    let lines = || memchr::memchr_iter(b'\n', &content(&rig.path("out"), "all.log")).count();
    rig.wait_until("all files are read", || lines() == files);
    // What was just read is closed, and the checkpoint written.
    std::thread::sleep(Duration::from_secs(3));
    let before = cpu(&agent);
    std::thread::sleep(Duration::from_secs(quiet));
    let idle = (cpu(&agent) - before).as_secs_f64() / quiet as f64;

    // One in a hundred gets a line now and then.
    let mut delays = Vec::new();
    for turn in 0..200 {
        let number = turn * 37 % (files / 100) * 100;
        let mut file = fs::File::options().append(true).open(log(number)).unwrap();
        let before = fs::metadata(rig.path("out/all.log")).unwrap().len();
        let begun = Instant::now();
        file.write_all(format!("turn {turn} of {number}\n").as_bytes()).unwrap();
        while fs::metadata(rig.path("out/all.log")).unwrap().len() == before {
            assert!(begun.elapsed() < Duration::from_secs(20), "{}", rig.said());
            std::thread::sleep(Duration::from_micros(200));
        }
        delays.push(begun.elapsed());
    }
    let resident = resident_bytes(&agent);
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(lines(), files + 200);
    delays.sort_unstable();
    let (median, late) = (delays[100], delays[198]);
    println!(
        "{files} files: idle {:.2} % CPU, {resident} bytes in RAM, a line after {median:?}, 99 % \
         within {late:?}",
        idle * 100.0
    );
    // On a machine that does other things, the slowest say nothing.
    assert!(median < Duration::from_millis(50), "{median:?}");
    let (most_idle, most_resident) =
        if cfg!(debug_assertions) { (0.05, 128 << 20) } else { (0.005, 64 << 20) };
    assert!(idle < most_idle, "{idle}");
    assert!(resident < most_resident, "{resident} bytes in RAM");
}
