//! An S3 server in this process, which checks signatures and keeps objects as files.

use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::host::MultiDomain;
use s3s::service::S3ServiceBuilder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener as Port;
use std::path::Path;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

pub(crate) const ACCESS_KEY: &str = "shipper";
pub(crate) const DOMAIN: &str = "s3.test";
pub(crate) const SECRET_KEY: &str = "hunter2-hunter2";

/// A server with one bucket, `logs`.
pub(crate) struct Store {
    /// Where all buckets are.
    pub(crate) dir: tempfile::TempDir,
    pub(crate) port: u16,
    runtime: Option<Runtime>,
}

impl Store {
    /// One that is not there yet.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let port = Port::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { dir, port, runtime: None }
    }

    pub(crate) fn start() -> Self {
        let mut store = Self::new();
        store.resume();
        store
    }

    pub(crate) fn resume(&mut self) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", self.port))).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(self.dir.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        // Buckets may stand before this name, too.
        let domain = format!("{DOMAIN}:{}", self.port);
        builder.set_host(MultiDomain::new([domain, format!("127.0.0.1:{}", self.port)]).unwrap());
        let service = builder.build();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = hyper::server::conn::http1::Builder::new();
                let connection = server.serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(async move { connection.await.ok() });
            }
        });
        self.runtime = Some(runtime);
    }

    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A sink for the bucket.
    pub(crate) fn sink(&self, rest: Value) -> Value {
        let mut sink = json!({
            "type": "s3", "bucket": "logs", "prefix": "all/", "endpoint": self.endpoint(),
            "auth": { "access_key": ACCESS_KEY, "secret_key": SECRET_KEY },
            "retry": { "initial": "50ms", "max": "200ms" },
        });
        let Value::Object(rest) = rest else { panic!("settings are a mapping") };
        sink.as_object_mut().unwrap().extend(rest);
        sink
    }

    /// How many bytes all objects have.
    pub(crate) fn bytes(&self) -> u64 {
        size(&self.dir.path().join("logs"))
    }

    /// Keys and content of all objects.
    pub(crate) fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let root = self.dir.path().join("logs");
        collect(&root, &root, &mut found);
        found
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop();
    }
}

fn size(dir: &Path) -> u64 {
    let of_one = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) if !entry.file_name().to_string_lossy().starts_with('.') => about.len(),
        // One that comes or goes just now.
        _ => 0,
    };
    fs::read_dir(dir).map_or(0, |entries| entries.flatten().map(of_one).sum())
}

fn collect(root: &Path, dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(root, &path, found);
        } else if !path.file_name().unwrap().to_string_lossy().starts_with('.') {
            let key = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.insert(key, fs::read(&path).unwrap());
        }
    }
}
