//! `file`: appends records to files.

mod append;

use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::log::LogBatch;
use crate::event::{Batch, Kinds};
use crate::expr::path_template::{PathRenderer, PathTemplate};
use crate::topology::component::{
    BuildContext, BuiltSink, Fault, Request, Sink, SinkConfig,
};
use crate::topology::settings::{BatchSettings, ByteSize, Period, RetrySettings};
use append::{Appender, Safety};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
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
        let mut header = Vec::new();
        encoder.begin(&mut header);
        let safety = Safety { mode, sync: self.sync == Sync::Always };
        let sink = FileSink {
            renderer: self.path.renderer(),
            template: self.path.clone(),
            encoder,
            appender: Appender::new(safety, header),
            done: 0,
        };
        Ok(BuiltSink::Requests { sink: Box::new(sink), batch: self.batch, retry: self.retry })
    }
}

struct FileSink {
    template: PathTemplate,
    renderer: PathRenderer,
    encoder: Encoder,
    appender: Appender,
    /// Parts of the request at hand that are safe already, where a later one failed.
    done: usize,
}

impl FileSink {
    fn encode_logs(&mut self, logs: &LogBatch, request: &mut Request) {
        if self.template.constant().is_some() {
            // Without a key the runner keeps the buffer for the next request.
            let part = request.part("");
            self.encoder.encode(logs, &mut part.body);
            part.records += logs.len() as u64;
            return;
        }
        let Some(first) = logs.records().next() else { return };
        let slot = self.template.slot(first.time_ns());
        let together = !self.template.reads_fields()
            && logs.records().all(|record| self.template.slot(record.time_ns()) == slot);
        if together {
            let part = request.part(self.renderer.render(&first));
            self.encoder.encode(logs, &mut part.body);
            part.records += logs.len() as u64;
            return;
        }
        for record in logs.records() {
            let part = request.part(self.renderer.render(&record));
            self.encoder.encode_record(&record, &mut part.body);
            part.records += 1;
        }
    }
}

#[async_trait]
impl Sink for FileSink {
    fn encode(&mut self, batch: &Batch, request: &mut Request) -> Result<(), Fault> {
        self.done = 0;
        match (batch, self.template.constant()) {
            (Batch::Logs(logs), _) => self.encode_logs(logs, request),
            (Batch::Metrics(metrics), Some(_)) => {
                let part = request.part("");
                self.encoder.encode_metrics(metrics, &mut part.body);
                part.records += batch.len() as u64;
            }
            (Batch::Metrics(_), None) => {
                return Err(Fault::fatal("metrics need a `path` that is the same for all"));
            }
            (Batch::Tasks(_), _) => return Err(Fault::fatal("a file takes no tasks")),
        }
        Ok(())
    }

    async fn send(&mut self, request: &Request) -> Result<(), Fault> {
        blocking(|| {
            for part in request.parts.iter().skip(self.done) {
                let path = self.template.constant().unwrap_or(&part.key);
                if !part.body.is_empty() {
                    self.appender.append(path, &part.body)?;
                }
                self.done += 1;
            }
            self.done = 0;
            Ok(())
        })
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
    use std::sync::Arc;

    fn sink(path: &str, encoding: &Encoding) -> FileSink {
        let template = PathTemplate::new(path).unwrap();
        let encoder = Encoder::new(encoding, Extra::Nothing);
        let mut header = Vec::new();
        encoder.begin(&mut header);
        FileSink {
            renderer: template.renderer(),
            template,
            encoder,
            appender: Appender::new(Safety { mode: 0o600, sync: false }, header),
            done: 0,
        }
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
        let mut request = Request::default();
        sink.encode(&by_level("a 1\nb 2\na 3\n"), &mut request).unwrap();
        sink.send(&request).await.unwrap();
        request.clear();
        sink.encode(&by_level("b 4\n"), &mut request).unwrap();
        sink.send(&request).await.unwrap();
        assert_eq!(read(dir.path(), "new/a.log"), "a 1\na 3\n");
        assert_eq!(read(dir.path(), "new/b.log"), "b 2\nb 4\n");
    }

    #[tokio::test]
    async fn what_was_written_before_a_failure_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let template = format!("{}/{{{{ level }}}}/log", dir.path().display());
        fs::write(dir.path().join("b"), "in the way").unwrap();
        let mut sink = sink(&template, &Encoding::Text);
        let mut request = Request::default();
        sink.encode(&by_level("a 1\nb 2\n"), &mut request).unwrap();
        assert!(sink.send(&request).await.is_err());
        assert!(sink.send(&request).await.is_err());
        fs::remove_file(dir.path().join("b")).unwrap();
        sink.send(&request).await.unwrap();
        assert_eq!(read(dir.path(), "a/log"), "a 1\n");
        assert_eq!(read(dir.path(), "b/log"), "b 2\n");
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
        let mut request = Request::default();
        for (line, moved) in [("1\n", "log.2"), ("2\n", "log.1"), ("3\n", "log.0")] {
            request.clear();
            sink.encode(&Batch::Logs(logs(line)), &mut request).unwrap();
            sink.send(&request).await.unwrap();
            sink.send(&request).await.unwrap();
            fs::rename(&path, dir.path().join(moved)).unwrap();
        }
        assert_eq!(read(dir.path(), "log.2"), "message\n1\n1\n");
        assert_eq!(read(dir.path(), "log.1"), "message\n2\n2\n");
    }
}
