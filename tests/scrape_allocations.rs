//! How much memory a scrape takes and gives back once it is warm, counted at the allocator.
//!
//! In a binary of its own, since the allocator is the whole program's.
#![allow(unsafe_code)]

#[cfg(test)]
mod counting {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    /// The system's allocator, counting what this thread takes.
    struct Counting;

    thread_local! {
        static TAKEN: Cell<u64> = const { Cell::new(0) };
    }

    #[global_allocator]
    static COUNTING: Counting = Counting;

    fn count() {
        TAKEN.with(|taken| taken.set(taken.get() + 1));
    }

    // SAFETY: every call is passed on to the system's allocator as it came.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count();
            // SAFETY: the caller's promises are the callee's conditions.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
            // SAFETY: as above; the memory came from the system's allocator.
            unsafe { System.dealloc(memory, layout) }
        }

        unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            count();
            // SAFETY: as above.
            unsafe { System.realloc(memory, layout, size) }
        }
    }

    /// How often `work` asks for memory.
    pub(super) fn allocations(work: impl FnOnce()) -> u64 {
        let before = TAKEN.with(Cell::get);
        work();
        TAKEN.with(Cell::get) - before
    }
}

use counting::allocations;
use driftless::event::exposition;
use driftless::host::roots::Roots;
use driftless::sources::host_metrics::COLLECTORS;
use driftless::sources::host_metrics::options::Options;
use driftless::sources::host_metrics::runner::Collectors;

/// Collectors whose values come in many samples or lie in a few files each, on every host.
const HOT: [&str; 21] = [
    "conntrack",
    "cpu",
    "diskstats",
    "entropy",
    "filefd",
    "filesystem",
    "loadavg",
    "meminfo",
    "netclass",
    "netdev",
    "netstat",
    "pressure",
    "schedstat",
    "sockstat",
    "softnet",
    "stat",
    "time",
    "timex",
    "udp_queues",
    "uname",
    "vmstat",
];

/// Allocations of a warm round, and families of more than one sample.
fn round(collectors: &mut Collectors) -> (u64, usize) {
    let mut families = Vec::new();
    let taken = allocations(|| families = collectors.collect(|_| true));
    let several = families.iter().filter(|family| family.samples.len() > 1).count();
    let mut text = Vec::with_capacity(1 << 20);
    let writing = allocations(|| {
        exposition::encode(&families, &mut text);
    });
    assert_eq!(writing, 0, "writing the text takes no memory");
    (taken, several)
}

#[cfg(test)]
fn warm(names: &[&str]) -> Collectors {
    let names = names.iter().copied();
    let mut collectors = Collectors::new(&Roots::live(), &Options::default(), names).unwrap();
    for _ in 0..3 {
        collectors.collect(|_| true);
    }
    collectors
}

#[test]
fn a_warm_scrape_takes_memory_for_what_it_gives_away_and_for_little_else() {
    for name in COLLECTORS.iter().filter(|entry| entry.is_default).map(|entry| entry.name) {
        let (taken, several) = round(&mut warm(&[name]));
        println!("{name}: {taken} allocations, {several} families of several samples");
        if HOT.contains(&name) {
            // A family of several samples has them in memory of its own, which goes with it to
            // whoever reads them. The list of families, the word on the collectors that ran and
            // how the kernel's answers are taken apart take the rest.
            let most = several as u64 + 12;
            assert!(taken <= most, "{name} takes memory {taken} times, expected at most {most}");
        }
    }
    let (taken, several) = round(&mut warm(&["default"]));
    println!("all: {taken} allocations, {several} families of several samples");
}
