//! Something that writes a log, as fast and as rudely as it is told to.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two bursts.
const BEAT: Duration = Duration::from_millis(5);

/// Begins every line, so that an oracle finds it inside whatever a sink puts around it.
pub(crate) const MARK: &str = "~trial";

/// One line: writer, number, which of the writer's files it is in, and a payload, with its
/// checksum and line end.
pub(crate) fn line(writer: u32, number: u64, file: u64, out: &mut Vec<u8>) {
    let payload =
        format!("{writer} {number} {file} {:0width$}", number * 7919, width = payload(number));
    let sum = crc32fast::hash(payload.as_bytes());
    // Writing to memory does not fail.
    writeln!(out, "{MARK} {sum:08x} {payload}.").unwrap();
}

/// Lines are of many lengths.
fn payload(number: u64) -> usize {
    if number.is_multiple_of(1009) { 5000 } else { 40 + (number * 31 % 160) as usize }
}

/// What happens to the file between two lines.
type Deed = Box<dyn FnOnce(&Path) + Send>;

/// A thread that writes one log.
pub(crate) struct Writer {
    pub(crate) id: u32,
    written: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    rests: Arc<AtomicBool>,
    deeds: Sender<(Deed, Sender<()>)>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Writes to `path` at this rate until it is stopped.
    pub(crate) fn start(id: u32, path: &Path, bytes_per_second: usize) -> Self {
        let (written, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let rests = Arc::new(AtomicBool::new(false));
        let (deeds, todo) = mpsc::channel();
        let work = Work {
            id,
            path: path.to_owned(),
            written: Arc::clone(&written),
            stop: Arc::clone(&stop),
            rests: Arc::clone(&rests),
            todo,
        };
        let thread = std::thread::spawn(move || work.run(bytes_per_second));
        Self { id, written, stop, rests, deeds, thread: Some(thread) }
    }

    /// Lines so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Does something to the file between two lines; the writer opens its path anew after it.
    pub(crate) fn between_lines(&self, deed: impl FnOnce(&Path) + Send + 'static) {
        let (done, when_done) = mpsc::channel();
        self.deeds.send((Box::new(deed), done)).unwrap();
        when_done.recv().unwrap();
    }

    /// Whether it writes nothing for now, while what it wrote is judged.
    pub(crate) fn rest(&self, rests: bool) {
        self.rests.store(rests, Ordering::SeqCst);
    }

    /// Stops writing and says how many lines there are.
    pub(crate) fn stop(&mut self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.written()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

struct Work {
    id: u32,
    path: PathBuf,
    written: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    rests: Arc<AtomicBool>,
    todo: Receiver<(Deed, Sender<()>)>,
}

impl Work {
    fn run(self, bytes_per_second: usize) {
        let mut begun = Instant::now();
        let (mut bytes, mut number, mut files) = (0usize, 0u64, 0u64);
        let mut file = open(&self.path);
        let mut burst = Vec::new();
        while !self.stop.load(Ordering::SeqCst) {
            if self.rests.load(Ordering::SeqCst) {
                let rest = Instant::now();
                std::thread::sleep(BEAT);
                begun += rest.elapsed();
                continue;
            }
            let due = (begun.elapsed().as_secs_f64() * bytes_per_second as f64) as usize;
            burst.clear();
            while bytes + burst.len() < due {
                line(self.id, number, files, &mut burst);
                number += 1;
            }
            // A writer's buffer does not end where a line does.
            let cut = burst.len() * 2 / 3;
            file.write_all(&burst[..cut]).unwrap();
            file.write_all(&burst[cut..]).unwrap();
            bytes += burst.len();
            self.written.store(number, Ordering::SeqCst);
            if let Ok((deed, done)) = self.todo.try_recv() {
                let before = file.metadata().unwrap().ino();
                drop(file);
                deed(&self.path);
                file = open(&self.path);
                files += u64::from(file.metadata().unwrap().ino() != before);
                done.send(()).ok();
            }
            std::thread::sleep(BEAT);
        }
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

/// Renames `app.log` to `app.log.1`, that to `app.log.2`, and so on; keeps `keep` of them.
pub(crate) fn rotate(path: &Path, keep: usize) {
    let name = |n: usize| PathBuf::from(format!("{}.{n}", path.display()));
    fs::remove_file(name(keep)).ok();
    for n in (1..keep).rev() {
        fs::rename(name(n), name(n + 1)).ok();
    }
    fs::rename(path, name(1)).unwrap();
}
