//! What settings mean, without a server.

use super::*;
use serde_json::json;

fn config(rest: serde_json::Value) -> Config {
    let mut config = json!({ "bucket": "logs", "prefix": "%Y/" });
    let serde_json::Value::Object(rest) = rest else { panic!("settings are a mapping") };
    config.as_object_mut().unwrap().extend(rest);
    serde_json::from_value(config).unwrap()
}

#[test]
fn what_is_said_of_objects_stands_in_their_headers() {
    let headers = config(json!({
        "acl": "bucket-owner-full-control", "storage_class": "STANDARD_IA",
        "encryption": { "algorithm": "aws:kms", "key_id": "arn:aws:kms:x" },
        "tags": { "team": "a&b", "env": "prod" }, "compression": "zstd",
    }))
    .headers()
    .unwrap();
    for (name, value) in [
        ("x-amz-acl", "bucket-owner-full-control"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:x"),
        ("x-amz-tagging", "team=a%26b&env=prod"),
        ("content-type", "application/zstd"),
    ] {
        assert_eq!(headers[name], value);
    }
    assert_eq!(config(json!({})).headers().unwrap().len(), 1, "the server's own ways otherwise");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let key_without_service = json!({ "encryption": { "algorithm": "AES256", "key_id": "x" } });
    assert!(config(key_without_service).headers().unwrap_err().contains("aws:kms"));
    let odd = json!({ "storage_class": "a\nb" });
    assert!(config(odd).headers().unwrap_err().contains("`storage_class`"));
    let bucket = |rest| config(rest).bucket(&|_| None, Masker::default()).err().unwrap_or_default();
    assert!(bucket(json!({ "bucket": "a/b" })).contains("no name of a bucket"));
    assert!(bucket(json!({ "endpoint": "ftp://x" })).contains("`endpoint`"));
    assert!(bucket(json!({ "auth": { "access_key": "a" } })).contains("together"));
    assert_eq!(bucket(json!({})), "");
}
