//! Any bytes, through each format of `parse`: nothing panics, and what is not left out on purpose
//! is written again as it was read.
//!
//! The first byte of the input chooses the format.

#![no_main]

use bytes::Bytes;
use driftless::event::Batch;
use driftless::event::encode::{Encoder, Encoding, Extra};
use driftless::event::log::LogBatch;
use driftless::event::tree::{Key, Node, Value};
use driftless::topology::component::{BuildContext, Outputs, Transform};
use driftless::topology::context::{Environment, SinkNames};
use driftless::topology::memory::Memory;
use driftless::topology::telemetry::Telemetry;
use driftless::transforms;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::sync::Arc;

/// Formats, and the settings that some need besides. The last ones may leave lines out.
const FORMATS: &[&[(&str, &str)]] = &[
    &[("format", "json")],
    &[("format", "logfmt")],
    &[("format", "key_value"), ("delimiter", "; "), ("separator", ": ")],
    &[("format", "ltsv")],
    &[("format", "regex"), ("pattern", r"(?<a>\w+) (?<b>\d+)")],
    &[("format", "grok"), ("pattern", "%{IP:a} %{QS:b} %{NUMBER:c:float}")],
    &[("format", "syslog")],
    &[("format", "nginx_combined")],
    &[("format", "nginx_error")],
    &[("format", "nginx_ingress")],
    &[("format", "common")],
    &[("format", "apache_error")],
    &[("format", "haproxy")],
    &[("format", "klog")],
    &[("format", "glog")],
    &[("format", "cri")],
    &[("format", "docker")],
    &[("format", "auditd")],
    &[("format", "cef")],
    &[("format", "aws_alb")],
    &[("format", "aws_elb")],
    &[("format", "w3c")],
    &[("format", "aws_vpc_flow")],
];
const LEAVING_OUT: usize = 2;

thread_local! {
    static PARSERS: RefCell<Vec<Box<dyn Transform>>> =
        RefCell::new(FORMATS.iter().map(|settings| transform(settings)).collect());
}

fn transform(settings: &[(&str, &str)]) -> Box<dyn Transform> {
    let entries = settings.iter().map(|(key, text)| (Key::from(*key), Node::string(text)));
    let node = Node::new(Value::Map(entries.collect()));
    let config = transforms::read("parse", &node).expect("known").expect("right");
    let env = Environment {
        host: "fuzz".into(),
        data_dir: "/nonexistent".into(),
        keeps_state: false,
        memory: Memory::new(1 << 20),
        telemetry: Telemetry::new().expect("valid names"),
        sinks: SinkNames::default(),
        secrets: Default::default(),
        masker: Default::default(),
        constants: Default::default(),
        tasks: tokio::sync::watch::channel(None).1,
        runs: Default::default(),
        once: true,
    };
    config.build(&BuildContext { name: "fuzz".into(), env: Arc::new(env) }).expect("buildable")
}

fuzz_target!(|input: &[u8]| {
    let Some((which, text)) = input.split_first() else { return };
    let which = usize::from(*which) % FORMATS.len();
    let mut text = text.to_vec();
    text.push(b'\n');
    let chunk = Bytes::from(text);
    PARSERS.with_borrow_mut(|parsers| {
        let mut out = Outputs::default();
        let batch = LogBatch::from_lines(&chunk, Arc::default(), 0, 1_790_000_000_000_000_000);
        parsers[which].transform(Batch::Logs(batch), &mut out).expect("no fault");
        let (mut raw, mut json) = (Vec::new(), Vec::new());
        for (_, batch) in out.take().0 {
            let Batch::Logs(logs) = batch else { panic!("logs became something else") };
            Encoder::new(&Encoding::Text, Extra::Nothing).encode(&logs, &mut raw);
            Encoder::new(&Encoding::Ndjson, Extra::Origin).encode(&logs, &mut json);
        }
        if which < FORMATS.len() - LEAVING_OUT {
            assert_eq!(raw, chunk, "what was read is written");
        }
    });
});
