//! `s3`: puts records and metrics as objects into a bucket.

mod again;
mod gathering;
mod letters;
mod manifest;
mod object;
mod orphans;
mod partition;
mod run;
#[cfg(test)]
mod tests;
mod upload;

use crate::event::encode::compress::{Algorithm, Compression};
use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::secret::Masker;
use crate::event::{Batch, Kinds};
use crate::expr::path_template::PathTemplate;
use crate::net::s3::{Bucket, BucketSettings, ObjectHeaders, S3Auth, add_header, encode_tag};
use crate::net::tls::TlsSettings;
use crate::topology::component::{BuildContext, BuiltSink, Fault, SinkConfig};
use crate::topology::delivery::{Concurrency, RateLimit};
use crate::topology::settings::{BatchSettings, ByteSize, Period, RetrySettings};
use gathering::{Limits, Made, MadeOfMetrics};
use indexmap::IndexMap;
use manifest::Manifests;
use run::S3;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The least that S3 takes as a part that is not the last.
const LEAST_PART_BYTES: u64 = 5 << 20;
/// The most parts that an object can have.
const MOST_PARTS: u64 = 10_000;

/// Puts records and metrics as objects into a bucket of S3, or of a server that speaks as S3 does.
///
/// Records are gathered by the prefix of their key, and each prefix's become an object once they
/// are enough or old enough (`batch`, measured as stored). An object counts as delivered once the
/// server has all of it. While the server is away, refuses the key or does not know the bucket,
/// everything waits, and nothing is dropped, unless `retry` says `attempts`. What it will never
/// take, such as a key that is too long or an object that is too large, goes to the `dead_letter`;
/// without one it is dropped, counted as `rejected`. The names of such codes: `EntityTooLarge`,
/// `InvalidObjectName`, `InvalidTag`, `InvalidURI`, `KeyTooLongError`, `MetadataTooLarge`,
/// `XMinioInvalidObjectName`, and the statuses 413 and 414.
///
/// At the start it looks whether the server is there and knows the key and the bucket, and warns
/// where not. The key need not be allowed to list.
///
/// An object's name is made of where its records were read: host, source, path and offsets. What it
/// is made of is on record, in `deliveries/` of `data_dir`, before its first byte is sent. After a
/// crash the same lines of files become the same object once more, which replaces what may be
/// there, and lines that had arrived are left out: none stands there twice. That holds for files
/// that are read, transforms that remember nothing, and no buffer on disk in front of the sink;
/// else, or where a file is gone or settings changed meanwhile, some lines may stand in two objects.
///
/// Metrics are gathered in the same way, apart from records: an object holds each snapshot of its
/// time. With `encoding: text` it is one text in OpenMetrics, each value with its time, as
/// `promtool tsdb create-blocks-from openmetrics` reads it; with others, each value is a record.
/// Its name begins with the time of the first, as in `20260301T120000Z-`. Metrics that the server
/// will never take are dropped, whatever `dead_letter` says.
///
/// ```yaml
/// sinks:
///   archive:
///     type: s3
///     inputs: [app]
///     bucket: logs
///     prefix: "{{ host }}/{{ source }}/%Y/%m/%d/"
///     region: eu-central-1
///     compression: zstd
///     batch: {bytes: 32MiB, age: 10m}
///     dead_letter: refused
///   refused:
///     type: file
///     inputs: []
///     path: /var/lib/driftless/refused.ndjson
///   minio:
///     type: s3
///     inputs: [app]
///     bucket: logs
///     prefix: app/%Y-%m-%d/
///     endpoint: https://minio.example.com:9000
///     auth: {access_key: shipper, secret_key: "{{ secrets.MINIO_KEY }}"}
///   metrics:
///     type: s3
///     inputs: [facts.host]
///     bucket: metrics
///     prefix: "{{ host }}/%Y/%m/%d/"
///     encoding: text
///     interval: 5m
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The bucket.
    pub bucket: String,
    /// What keys begin with. `%Y/%m/%d` and other strftime codes mean the record's time in UTC, or
    /// that of the snapshot of metrics;
    /// `{{ host }}`, `{{ source }}` and `{{ FIELD }}` become one component each, a missing field
    /// `_`. A key is this and the object's name: end it with `/` for what looks like a folder.
    pub prefix: PathTemplate,
    /// The region. By default `AWS_REGION` or `AWS_DEFAULT_REGION` in the environment, else
    /// `us-east-1`.
    #[serde(default)]
    pub region: Option<String>,
    /// The server, where it is not AWS's of the region, such as `https://minio.example.com:9000`. By
    /// default `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` in the environment.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Whether the bucket's name stands in the path (`HOST/BUCKET/KEY`) rather than before the
    /// host's (`BUCKET.HOST/KEY`). By default it does where the server is not AWS's.
    #[serde(default)]
    pub path_style: Option<bool>,
    /// Who speaks to the server.
    #[serde(default)]
    pub auth: S3Auth,
    /// How records are written. All but untouched text carry `timestamp`, `host` and `path`. For
    /// metrics, `text` is OpenMetrics.
    #[serde(default = "ndjson")]
    pub encoding: Encoding,
    /// How objects are compressed.
    #[serde(default = "gzip")]
    pub compression: Compression,
    /// How names of objects end. By default as encoding and compression have it, such as
    /// `.ndjson.gz`.
    #[serde(default)]
    pub extension: Option<String>,
    /// When an object is put: `bytes` as they are stored, so compressed. By default 10MiB and 5m.
    #[serde(default = "default_batch")]
    pub batch: BatchSettings,
    /// How often what was gathered is put, in the place of `age` of `batch`.
    #[serde(default)]
    pub interval: Option<Period>,
    /// Prefixes that are gathered for at the same time, at most. For a further one, the object that
    /// has waited longest is put. From 1.
    #[serde(default = "default_max_partitions")]
    #[schemars(range(min = 1))]
    pub max_partitions: usize,
    /// What all prefixes together may gather. Over this, the largest object is put.
    #[serde(default = "default_max_gathered")]
    pub max_gathered_bytes: ByteSize,
    /// Objects that are on their way at the same time, at most: a number up to 64, or `adaptive`.
    /// By default 4.
    #[serde(default = "default_concurrency")]
    pub concurrency: Concurrency,
    /// How many requests may be sent, each part of a large object being one: so many a second, or
    /// `{requests: 100, per: 1m}`. By default as many as there are.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// A larger object goes in parts of this size, each of which is retried by itself. From 5MiB.
    /// Parts that a crash left behind are removed at the next start.
    #[serde(default = "default_part")]
    pub part_bytes: ByteSize,
    /// Who may read the objects: `private`, `bucket-owner-full-control` and the like. By default as
    /// the bucket has it.
    #[serde(default)]
    pub acl: Option<Acl>,
    /// How the server encrypts the objects. By default as the bucket has it.
    #[serde(default)]
    pub encryption: Option<Encryption>,
    /// The storage class, such as `STANDARD_IA`. By default the server's usual one.
    #[serde(default)]
    pub storage_class: Option<String>,
    /// Tags of the objects, by name.
    #[serde(default)]
    pub tags: IndexMap<String, String>,
    /// Whom to trust.
    #[serde(default)]
    pub tls: TlsSettings,
    /// How long a request may take, answer included.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// Pauses after a failure.
    #[serde(default)]
    pub retry: RetrySettings,
    /// Another sink, which takes the records of objects that the server rejects for good, and of
    /// those that are given up after `retry.attempts`.
    #[serde(default)]
    pub dead_letter: Option<String>,
}

/// Who may do what with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Acl {
    /// Its owner alone.
    Private,
    /// Everybody may read it.
    PublicRead,
    /// Everybody may read and write it.
    PublicReadWrite,
    /// Whoever has an account may read it.
    AuthenticatedRead,
    /// EC2 may read it.
    AwsExecRead,
    /// The bucket's owner may read it.
    BucketOwnerRead,
    /// The bucket's owner may do everything.
    BucketOwnerFullControl,
}

/// How the server encrypts objects.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// By which means.
    pub algorithm: EncryptionAlgorithm,
    /// For `aws:kms`: the key. By default the account's own for S3.
    #[serde(default)]
    pub key_id: Option<String>,
}

/// By which means a server encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum EncryptionAlgorithm {
    /// With keys that S3 keeps.
    #[serde(rename = "AES256")]
    Aes256,
    /// With a key of the key management service.
    #[serde(rename = "aws:kms")]
    AwsKms,
}

fn ndjson() -> Encoding {
    Encoding::Ndjson
}

fn gzip() -> Compression {
    Compression::of(Algorithm::Gzip)
}

fn default_batch() -> BatchSettings {
    let age = Period(Duration::from_secs(300));
    BatchSettings { bytes: ByteSize(10 << 20), age, ..BatchSettings::default() }
}

fn default_max_partitions() -> usize {
    32
}

fn default_max_gathered() -> ByteSize {
    ByteSize(64 << 20)
}

fn default_concurrency() -> Concurrency {
    Concurrency::Fixed(4)
}

fn default_part() -> ByteSize {
    ByteSize(8 << 20)
}

fn default_timeout() -> Period {
    Period(Duration::from_secs(60))
}

impl Acl {
    fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
            Self::AuthenticatedRead => "authenticated-read",
            Self::AwsExecRead => "aws-exec-read",
            Self::BucketOwnerRead => "bucket-owner-read",
            Self::BucketOwnerFullControl => "bucket-owner-full-control",
        }
    }
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
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let bucket = self.bucket(&variable, cx.env.masker.clone()).map_err(Fault::fatal)?;
        let headers = self.headers().map_err(Fault::fatal)?;
        let mut sink = self.stream(bucket, headers).map_err(Fault::fatal)?;
        if cx.env.keeps_state {
            let Self { bucket, endpoint, prefix, encoding, compression, extension, .. } = self;
            let place = (bucket, endpoint, prefix.as_str());
            let settings = format!("{place:?} {:?}", (encoding, compression, extension));
            sink.manifests = Some(Arc::new(Manifests::new(cx, &settings)));
        }
        Ok(BuiltSink::Stream(Box::new(sink)))
    }

    /// By prefix, since an object is named after all of its records.
    fn preview(&self, _: &BuildContext, batch: &Batch) -> Result<Vec<(String, Vec<u8>)>, Fault> {
        let mut encoder = Encoder::new(&self.encoding, Extra::Origin);
        let mut renderer = self.prefix.renderer();
        let logs = match batch {
            Batch::Logs(logs) => logs,
            Batch::Metrics(metrics) => {
                let Some(taken) = &metrics.taken else { return Ok(Vec::new()) };
                let key = format!("s3://{}/{}", self.bucket, renderer.render_metrics(taken));
                let mut text = Vec::new();
                encoder.encode_metrics(metrics, &mut text);
                return Ok(vec![(key, text)]);
            }
            Batch::Tasks(_) => return Ok(Vec::new()),
        };
        let mut parts: IndexMap<String, Vec<u8>> = IndexMap::new();
        for record in logs.records() {
            let key = format!("s3://{}/{}", self.bucket, renderer.render(&record));
            encoder.encode_record(&record, parts.entry(key).or_default());
        }
        Ok(parts.into_iter().collect())
    }
}

impl Config {
    fn stream(&self, bucket: Bucket, headers: ObjectHeaders) -> Result<S3, String> {
        if self.max_partitions == 0 {
            return Err("`max_partitions` is at least 1".to_owned());
        }
        if self.part_bytes.0 < LEAST_PART_BYTES {
            return Err("`part_bytes` is below 5MiB, which no server takes".to_owned());
        }
        if self.batch.bytes.0.div_ceil(self.part_bytes.0) > MOST_PARTS / 2 {
            return Err("`batch`: `bytes` has too many parts; make `part_bytes` larger".to_owned());
        }
        if self.interval.is_some_and(|interval| interval.0.is_zero()) {
            return Err("`interval` is 0s, expected a time such as `5m`".to_owned());
        }
        let extension = |of_text: &str| {
            let name = match &self.encoding {
                Encoding::Text => of_text,
                Encoding::Ndjson => "ndjson",
                Encoding::Json => "json",
                Encoding::Logfmt => "logfmt",
                Encoding::Csv(_) => "csv",
            };
            let made = || format!(".{name}{}", self.compression.extension());
            self.extension.clone().unwrap_or_else(made)
        };
        let metrics = MadeOfMetrics {
            extension: extension("openmetrics"),
            is_history: self.encoding == Encoding::Text,
        };
        let limits = Limits {
            bytes: self.batch.bytes.as_usize(),
            records: self.batch.records,
            age: self.interval.unwrap_or(self.batch.age).0,
            partitions: self.max_partitions,
            gathered_bytes: self.max_gathered_bytes.as_usize(),
        };
        let made = Made {
            encoder: Encoder::new(&self.encoding, Extra::Origin),
            is_array: self.encoding == Encoding::Json,
            compression: self.compression,
            extension: extension("log"),
            metrics,
            keeps_letters: false,
        };
        Ok(S3 {
            bucket,
            headers,
            part_bytes: self.part_bytes.as_usize(),
            limits,
            template: self.prefix.clone(),
            made,
            retry: self.retry,
            concurrency: self.concurrency,
            rate_limit: self.rate_limit,
            manifests: None,
        })
    }

    fn bucket(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
        masker: Masker,
    ) -> Result<Bucket, String> {
        let endpoint = self.endpoint.clone();
        let endpoint = endpoint
            .or_else(|| variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL")));
        let region = self.region.clone();
        let region =
            region.or_else(|| variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")));
        let settings = BucketSettings {
            bucket: self.bucket.clone(),
            path_style: self.path_style.unwrap_or(endpoint.is_some()),
            endpoint,
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            auth: self.auth.clone(),
            tls: self.tls.clone(),
            timeout: self.timeout.0,
        };
        Bucket::new(&settings, variable, masker)
    }

    /// What is said of every object when it is put.
    fn headers(&self) -> Result<ObjectHeaders, String> {
        let mut headers = ObjectHeaders::new();
        let content_type = match (self.compression.algorithm, &self.encoding) {
            (Algorithm::Gzip, _) => "application/gzip",
            (Algorithm::Zstd, _) => "application/zstd",
            (Algorithm::None, Encoding::Ndjson) => "application/x-ndjson",
            (Algorithm::None, Encoding::Json) => "application/json",
            (Algorithm::None, Encoding::Csv(_)) => "text/csv; charset=utf-8",
            (Algorithm::None, Encoding::Text | Encoding::Logfmt) => "text/plain; charset=utf-8",
        };
        let mut add = |setting: &str, name: &'static str, value: &str| {
            add_header(&mut headers, name, value).map_err(|error| format!("`{setting}`: {error}"))
        };
        add("encoding", "content-type", content_type)?;
        if let Some(acl) = self.acl {
            add("acl", "x-amz-acl", acl.name())?;
        }
        if let Some(class) = &self.storage_class {
            add("storage_class", "x-amz-storage-class", class)?;
        }
        if let Some(encryption) = &self.encryption {
            let algorithm = match encryption.algorithm {
                EncryptionAlgorithm::Aes256 => "AES256",
                EncryptionAlgorithm::AwsKms => "aws:kms",
            };
            add("encryption", "x-amz-server-side-encryption", algorithm)?;
            match (&encryption.key_id, encryption.algorithm) {
                (None, _) => {}
                (Some(key), EncryptionAlgorithm::AwsKms) => {
                    let name = "x-amz-server-side-encryption-aws-kms-key-id";
                    add("encryption", name, key)?;
                }
                (Some(_), EncryptionAlgorithm::Aes256) => {
                    return Err("`encryption`: `key_id` goes with `aws:kms`".to_owned());
                }
            }
        }
        if !self.tags.is_empty() {
            let encode = |(name, value): (&String, &String)| {
                format!("{}={}", encode_tag(name, true), encode_tag(value, true))
            };
            let tags: Vec<String> = self.tags.iter().map(encode).collect();
            add("tags", "x-amz-tagging", &tags.join("&"))?;
        }
        Ok(headers)
    }
}
