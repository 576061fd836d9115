//! `file`: appends records to files.

mod append;
#[cfg(test)]
mod crash_tests;
mod member;
mod open;
mod place;
mod rotate;
mod tend;
#[cfg(test)]
mod tests;
mod whole;

use crate::event::encode::compress::Compression;
use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::log::LogBatch;
use crate::event::{Batch, Kinds};
use crate::expr::path_template::{PathRenderer, PathTemplate};
use crate::host::clock;
use crate::topology::component::{BuildContext, BuiltSink, Deliver, Encode, Fault, SinkConfig};
use crate::topology::delivery::Delivery;
use crate::topology::once::{Journal, Safe};
use crate::topology::request::{Answer, Request, Requests};
use crate::topology::settings::{BatchSettings, ByteSize, Period, RetrySettings};
use append::{Appender, Policy};
use async_trait::async_trait;
use open::Opening;
use place::Told;
use rotate::Rotate;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tend::Tended;

/// Appends records to files, on local disks and on network shares.
///
/// Directories are made as needed. A request that could be written only in part (a full disk) is
/// taken back before it is tried again, so that no line stands there twice; records wait until there
/// is room. A file that was renamed or removed is made anew, as log rotation expects, and one whose
/// server was set up anew is opened again. A line that somebody else left unfinished is ended, so
/// that the next record has a line of its own.
///
/// What comes from files by transforms that remember nothing stands there once, even if the agent
/// is killed: what is about to be written where is noted in `data_dir/deliveries` first, so that
/// after a crash what is there is left out, and what was written in part is cut off and written
/// again. `driftless validate` says where that does not hold; `driftless_sink_replays_total` counts
/// what was left out, and what is in doubt.
///
/// ```yaml
/// sinks:
///   archive:
///     type: file
///     inputs: [app]
///     path: "/mnt/nfs/logs/{{ host }}/%Y-%m-%d.log"
///   local:
///     type: file
///     inputs: [app]
///     path: /var/log/app/all.log.zst
///     compression: zstd
///     rotate: {size: 100MiB, age: 1d, keep: 14}
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to. `%Y-%m-%d` and other strftime codes mean the record's time in UTC;
    /// `{{ host }}`, `{{ source }}` and `{{ FIELD }}` become one path component each, a missing
    /// field `_`. No record leads out of the directories that are written here.
    pub path: PathTemplate,
    /// How records are written: as they were read while nothing changed them, else as JSON.
    #[serde(default)]
    pub encoding: Encoding,
    /// How the file is compressed. Each write is a gzip member or zstd frame of its own: `zcat` and
    /// `zstdcat` read what is there at any time, and one that a crash cut off is removed before the
    /// next is written. The name is not changed; end `path` with `.gz` or `.zst`.
    #[serde(default)]
    pub compression: Compression,
    /// When a file is put aside for a new one. Without it, never.
    #[serde(default)]
    pub rotate: Option<Rotate>,
    /// Permissions of files that are made, in octal.
    #[serde(default = "default_mode")]
    pub mode: String,
    /// Permissions of directories that are made, in octal.
    #[serde(default = "default_directory_mode")]
    pub directory_mode: String,
    /// Owner of files that are made: a user's name or number. By default the user who runs this.
    #[serde(default)]
    pub owner: Option<String>,
    /// Group of files that are made: its name or number. By default that of the user who runs this,
    /// or of the directory where that passes its own on.
    #[serde(default)]
    pub group: Option<String>,
    /// When a record counts as written.
    #[serde(default)]
    pub sync: Sync,
    /// Whether to take an exclusive lock (flock) on each file and to wait while another process
    /// has it. Writes append in any case; the lock keeps two writers from taking turns. Where two
    /// share a file without it, no line is torn or overwritten, but after a crash nobody can tell
    /// whose bytes stand behind the last write: its records may stand there twice, and
    /// `driftless_sink_replays_total` counts that as `unsure`.
    #[serde(default)]
    pub lock: bool,
    /// Whether the file itself may be a symbolic link. If not, one that stands in its place is an
    /// error, so that nobody who may write to the directory turns the records elsewhere. Links on
    /// the way to it are followed in any case.
    #[serde(default)]
    pub follow_symlinks: bool,
    /// Files that are kept open at most, from 1. The one used least recently is closed for a new
    /// one.
    #[serde(default = "default_max_open_files")]
    #[schemars(range(min = 1))]
    pub max_open_files: usize,
    /// A file that nothing is written to is closed after this long.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout: Period,
    /// How much is written at a time. By default whatever is there, up to 1MiB; with `compression`,
    /// which needs something to work on, what comes within a second.
    #[serde(default)]
    pub batch: Option<BatchSettings>,
    /// Pauses after a failure.
    #[serde(default)]
    pub retry: RetrySettings,
    /// Another sink, which takes the records that are given up after `retry.attempts`.
    #[serde(default)]
    pub dead_letter: Option<String>,
}

/// When a record counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// Once the disk has it (fdatasync), so that it survives a loss of power.
    #[default]
    Always,
    /// Once the kernel has it; the disk is told to take it this long after at the latest, as in
    /// `{interval: 5s}`. A loss of power may take what was written since.
    Interval(Period),
    /// Once the kernel has it, so that it survives the end of this process.
    Never,
}

fn default_mode() -> String {
    "0640".to_owned()
}

fn default_directory_mode() -> String {
    "0755".to_owned()
}

fn default_max_open_files() -> usize {
    64
}

fn default_idle_timeout() -> Period {
    Period(Duration::from_secs(60))
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS.union(Kinds::METRICS)
    }

    fn dead_letter(&self) -> Option<&str> {
        self.dead_letter.as_deref()
    }

    fn delivers_once(&self) -> bool {
        true
    }

    fn build(&self, cx: &BuildContext) -> Result<BuiltSink, Fault> {
        let (mut encoder, mut files) = self.parts().map_err(Fault::fatal)?;
        let safe = if self.sync == Sync::Always { Safe::Disk } else { Safe::Kernel };
        let journal = cx.env.keeps_state.then(|| Arc::new(Journal::new(cx, safe)));
        encoder.journal.clone_from(&journal);
        files.journal = journal;
        // A buffer for each of many files: they must not all be large at the same time.
        let delivery = Delivery {
            batch: self.batch(),
            retry: self.retry,
            extents: cx.env.keeps_state,
            open_requests: 256,
            ..Delivery::default()
        };
        Ok(BuiltSink::Requests { encoder: Box::new(encoder), sender: Arc::new(files), delivery })
    }
}

impl Config {
    fn batch(&self) -> BatchSettings {
        self.batch.unwrap_or_else(|| {
            let seconds = if self.compression.is_none() { 0 } else { 1 };
            let age = Period(Duration::from_secs(seconds));
            BatchSettings { bytes: ByteSize(1 << 20), records: u64::MAX, age }
        })
    }

    fn parts(&self) -> Result<(ByPath, Files), String> {
        if self.encoding == Encoding::Json {
            let message = "`encoding: json` is one array, which cannot be appended to; `ndjson` \
                           is one object a line";
            return Err(message.to_owned());
        }
        if let Some(rotate) = &self.rotate {
            rotate.check()?;
            if self.follow_symlinks {
                let message = "`rotate` would move the link that `follow_symlinks` follows; name \
                               the file itself in `path`";
                return Err(message.to_owned());
            }
        }
        if self.max_open_files == 0 {
            return Err("`max_open_files` is 0, and one must be open to be written to".to_owned());
        }
        if matches!(self.sync, Sync::Interval(interval) if interval.0 == Duration::ZERO) {
            return Err("`sync`: `interval` is 0; that is `always`".to_owned());
        }
        let extra = if self.encoding == Encoding::Text { Extra::Nothing } else { Extra::Origin };
        let encoder = Encoder::new(&self.encoding, extra);
        let mut header = Vec::new();
        encoder.begin(&mut header);
        let opening = Opening {
            mode: open::mode("mode", &self.mode)?,
            directory_mode: open::mode("directory_mode", &self.directory_mode)?,
            owner: self.owner.as_deref().map(open::owner).transpose()?,
            group: self.group.as_deref().map(open::group).transpose()?,
            lock: self.lock,
            follow: self.follow_symlinks,
        };
        let policy = Policy {
            opening,
            sync: self.sync,
            compression: self.compression,
            rotate: self.rotate,
            most_open: self.max_open_files,
            idle: self.idle_timeout.0,
            header,
        };
        let (template, renderer) = (self.path.clone(), self.path.renderer());
        let appender = Tended::new(Appender::new(policy));
        let files = Files { template: template.clone(), opening, appender, journal: None };
        let goes_at_once = self.batch().age.0.is_zero();
        Ok((ByPath { template, renderer, encoder, goes_at_once, journal: None }, files))
    }
}

/// Sorts records by the file that they go to.
struct ByPath {
    template: PathTemplate,
    renderer: PathRenderer,
    encoder: Encoder,
    /// Whether requests wait for nothing but each other, so that they may hold what was read.
    goes_at_once: bool,
    /// Tells what a file has already.
    journal: Option<Arc<Journal>>,
}

impl ByPath {
    fn encode_all(&mut self, request: &mut Request, batch: &Batch) -> Result<(), Fault> {
        match self.goes_at_once {
            true => request.pass(&mut self.encoder, batch),
            false => request.append_without_header(&mut self.encoder, batch),
        }
    }

    fn encode_each(&mut self, logs: &LogBatch, requests: &mut Requests) {
        for record in logs.records() {
            let encoder = &mut self.encoder;
            requests.to(self.renderer.render(&record)).append_record(&record, |body| {
                let start = body.len();
                encoder.encode_record(&record, body);
                start
            });
        }
    }
}

impl Encode for ByPath {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        if matches!(batch, Batch::Tasks(_)) {
            return Err(Fault::fatal("a file takes no tasks"));
        }
        let journal = self.journal.clone();
        let rest = journal.as_ref().map(|journal| journal.without_delivered(batch));
        let batch = rest.as_deref().unwrap_or(batch);
        if batch.is_empty() {
            return Ok(());
        }
        if self.template.constant().is_some() {
            // No key: the path is known, and the header is up to the file.
            return self.encode_all(requests.to(""), batch);
        }
        let logs = match batch {
            Batch::Logs(logs) => logs,
            Batch::Metrics(metrics) => {
                let taken = metrics.taken_or(clock::now_ns());
                let request = requests.to(self.renderer.render_metrics(&taken));
                return self.encode_all(request, batch);
            }
            Batch::Tasks(_) => return Ok(()),
        };
        let Some(first) = logs.records().next() else { return Ok(()) };
        let slot = self.template.slot(first.time_ns());
        let together = !self.template.reads_fields()
            && logs.records().all(|record| self.template.slot(record.time_ns()) == slot);
        if together {
            let request = requests.to(self.renderer.render(&first));
            return self.encode_all(request, batch);
        }
        self.encode_each(logs, requests);
        Ok(())
    }
}

struct Files {
    template: PathTemplate,
    opening: Opening,
    appender: Tended,
    /// Is told what is written where, before it is.
    journal: Option<Arc<Journal>>,
}

#[async_trait]
impl Deliver for Files {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        let path = self.template.constant().unwrap_or(&request.key);
        if request.bytes() > 0 {
            let journal = self.journal.as_deref().zip(request.extents());
            let told = Told { journal, records: request.records };
            let parts: Vec<&[u8]> = request.parts().collect();
            blocking(|| self.appender.append(path, &parts, clock::now(), told))?;
        }
        Ok(Answer::default())
    }

    async fn prepare(&self) -> Result<(), Fault> {
        if let Some(journal) = &self.journal {
            blocking(|| place::settle(journal, &self.opening));
        }
        Ok(())
    }
}

/// Runs what waits for the disk without holding up other tasks, and without copying the request
/// to another thread, where the runtime can do that.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
