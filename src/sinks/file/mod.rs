//! `file`: appends records to files.

mod append;

use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::log::LogBatch;
use crate::event::{Batch, Kinds};
use crate::expr::path_template::{PathRenderer, PathTemplate};
use crate::topology::component::{BuildContext, BuiltSink, Deliver, Encode, Fault, SinkConfig};
use crate::topology::delivery::Delivery;
use crate::topology::request::{Answer, Request, Requests};
use crate::topology::settings::{BatchSettings, ByteSize, Period, RetrySettings};
use append::{Appender, Safety};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Appends records to files, on local disks and on network shares.
///
/// Directories are made as needed. A request that could be written only in part (a full disk) is
/// taken back before it is tried again, so that no line stands there twice. A file that was
/// renamed or removed is made anew, as log rotation expects.
///
/// ```yaml
/// sinks:
///   archive:
///     type: file
///     inputs: [app]
///     path: "/mnt/nfs/logs/{{ host }}/%Y-%m-%d.log"
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to. `%Y-%m-%d` and other strftime codes mean the record's time in UTC;
    /// `{{ host }}`, `{{ source }}` and `{{ FIELD }}` become one path component each, a missing
    /// field `_`.
    pub path: PathTemplate,
    /// How records are written: as they were read while nothing changed them, else as JSON.
    #[serde(default)]
    pub encoding: Encoding,
    /// Permissions of files that are made, in octal.
    #[serde(default = "default_mode")]
    pub mode: String,
    /// When a record counts as written.
    #[serde(default)]
    pub sync: Sync,
    /// How much is written at a time. By default whatever is there, up to 1MiB.
    #[serde(default = "default_batch")]
    pub batch: BatchSettings,
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
    /// Once the kernel has it, so that it survives the end of this process.
    Never,
}

fn default_mode() -> String {
    "0640".to_owned()
}

fn default_batch() -> BatchSettings {
    BatchSettings { bytes: ByteSize(1 << 20), records: u64::MAX, age: Period(Duration::ZERO) }
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS.union(Kinds::METRICS)
    }

    fn dead_letter(&self) -> Option<&str> {
        self.dead_letter.as_deref()
    }

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        if self.encoding == Encoding::Json {
            let message = "`encoding: json` is one array, which cannot be appended to; `ndjson` \
                           is one object a line";
            return Err(Fault::fatal(message));
        }
        let mode = u32::from_str_radix(&self.mode, 8).ok().filter(|mode| *mode <= 0o7777);
        let mode = mode.ok_or_else(|| {
            Fault::fatal(format!("`mode` is `{}`, expected one such as \"0640\"", self.mode))
        })?;
        let extra =
            if self.encoding == Encoding::Text { Extra::Nothing } else { Extra::Origin };
        let encoder = Encoder::new(&self.encoding, extra);
        let safety = Safety { mode, sync: self.sync == Sync::Always };
        let (encoder, sender) = file_sink(&self.path, encoder, safety);
        let (batch, retry) = (self.batch, self.retry);
        // A buffer for each of many files: they must not all be large at the same time.
        let delivery = Delivery { batch, retry, open_requests: 256, ..Delivery::default() };
        Ok(BuiltSink::Requests { encoder: Box::new(encoder), sender: Arc::new(sender), delivery })
    }
}

fn file_sink(path: &PathTemplate, encoder: Encoder, safety: Safety) -> (ByPath, Files) {
    let mut header = Vec::new();
    encoder.begin(&mut header);
    let (template, renderer) = (path.clone(), path.renderer());
    let appender = Mutex::new(Appender::new(safety, header));
    (ByPath { template, renderer, encoder }, Files { template: path.clone(), appender })
}

/// Each file has a request of its own.
struct ByPath {
    template: PathTemplate,
    renderer: PathRenderer,
    encoder: Encoder,
}

impl ByPath {
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
        if self.template.constant().is_some() {
            return requests.to("").append_without_header(&mut self.encoder, batch);
        }
        let Batch::Logs(logs) = batch else {
            return Err(Fault::fatal("metrics need a `path` that is the same for all"));
        };
        let Some(first) = logs.records().next() else { return Ok(()) };
        let slot = self.template.slot(first.time_ns());
        let together = !self.template.reads_fields()
            && logs.records().all(|record| self.template.slot(record.time_ns()) == slot);
        if together {
            let request = requests.to(self.renderer.render(&first));
            return request.append_without_header(&mut self.encoder, batch);
        }
        self.encode_each(logs, requests);
        Ok(())
    }
}

struct Files {
    template: PathTemplate,
    appender: Mutex<Appender>,
}

#[async_trait]
impl Deliver for Files {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        let path = self.template.constant().unwrap_or(&request.key);
        blocking(|| {
            let mut appender = self.appender.lock().unwrap_or_else(PoisonError::into_inner);
            appender.append(path, &request.body)
        })?;
        Ok(Answer::default())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::{Origin, Verdict};
    use bytes::Bytes;
    use std::fs;
    use std::path::Path;

    fn sink(path: &str, encoding: &Encoding) -> (ByPath, Files) {
        let encoder = Encoder::new(encoding, Extra::Nothing);
        file_sink(&PathTemplate::new(path).unwrap(), encoder, Safety { mode: 0o600, sync: false })
    }

    async fn write((encoder, files): &mut (ByPath, Files), batch: Batch) -> Result<(), Fault> {
        let mut requests = Requests::default();
        encoder.encode(&batch, &mut requests)?;
        for request in requests.iter() {
            files.deliver(request).await?;
        }
        Ok(())
    }

    fn logs(lines: &'static str) -> LogBatch {
        LogBatch::from_lines(&Bytes::from_static(lines.as_bytes()), Arc::new(Origin::default()), 0, 0)
    }

    fn by_level(lines: &'static str) -> Batch {
        let mut logs = logs(lines);
        logs.rewrite(|record, writer| {
            let level = record.raw().split(|byte| *byte == b' ').next().unwrap_or_default();
            writer.push("level", record.text_at(level));
            Verdict::Parsed
        });
        Batch::Logs(logs)
    }

    fn read(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap_or_default()
    }

    #[tokio::test]
    async fn each_record_goes_to_its_file_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let template = format!("{}/new/{{{{ level }}}}.log", dir.path().display());
        let mut sink = sink(&template, &Encoding::Text);
        write(&mut sink, by_level("a 1\nb 2\na 3\n")).await.unwrap();
        write(&mut sink, by_level("b 4\n")).await.unwrap();
        assert_eq!(read(dir.path(), "new/a.log"), "a 1\na 3\n");
        assert_eq!(read(dir.path(), "new/b.log"), "b 2\nb 4\n");
    }

    #[tokio::test]
    async fn a_file_that_was_rotated_away_is_made_anew_with_its_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let csv = Encoding::Csv(crate::event::encode::Csv {
            fields: vec!["message".to_owned()],
            header: true,
        });
        let mut sink = sink(path.to_str().unwrap(), &csv);
        for (line, moved) in [("1\n", "log.2"), ("2\n", "log.1"), ("3\n", "log.0")] {
            write(&mut sink, Batch::Logs(logs(line))).await.unwrap();
            write(&mut sink, Batch::Logs(logs(line))).await.unwrap();
            fs::rename(&path, dir.path().join(moved)).unwrap();
        }
        assert_eq!(read(dir.path(), "log.2"), "message\n1\n1\n");
        assert_eq!(read(dir.path(), "log.1"), "message\n2\n2\n");
    }
}
