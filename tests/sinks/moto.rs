//! The `s3` sink against moto, which knows of users and what they may do, of roles, and of all
//! that can be said of an object.

use crate::fetched::fetched;
use crate::harness::{Bench, Process, comes_about, free_port};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Moto {
    libraries: PathBuf,
    port: u16,
    _process: Process,
}

impl Moto {
    /// A server that asks nobody who he is for the first `free` requests.
    fn start(free: Option<usize>) -> Option<Self> {
        let libraries = fetched("moto", "moto")?.parent()?.to_owned();
        let port = free_port();
        let mut command = Command::new("python3");
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        if let Some(free) = free {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", free.to_string());
        }
        command.env("PYTHONPATH", &libraries).env("PYTHONDONTWRITEBYTECODE", "1");
        let process = Process::spawn(
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()),
        );
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(comes_about(listens), "moto does not listen");
        Some(Self { libraries, port, _process: process })
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What a script says that has `client(SERVICE)` and `json`.
    fn ask(&self, key: [&str; 2], script: &str) -> Value {
        let endpoint = self.endpoint();
        let [access, secret] = key;
        let before = format!(
            "import boto3, json\n\
             def client(service):\n  return boto3.client(service, endpoint_url='{endpoint}', \
             region_name='us-east-1', aws_access_key_id='{access}', \
             aws_secret_access_key='{secret}')\n"
        );
        let output = Command::new("python3")
            .args(["-c", &(before + script)])
            .env("PYTHONPATH", &self.libraries)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn sink(&self, rest: Value) -> Value {
        let mut sink = json!({
            "type": "s3", "bucket": "logs", "prefix": "all/", "endpoint": self.endpoint(),
            "retry": { "initial": "50ms", "max": "200ms" }, "batch": { "age": "50ms" },
        });
        let Value::Object(rest) = rest else { panic!("settings are a mapping") };
        sink.as_object_mut().unwrap().extend(rest);
        sink
    }
}

const NOBODY: [&str; 2] = ["x", "x"];

const OBJECTS: &str = "\
s = client('s3')
def about(key):
  head = s.head_object(Bucket='logs', Key=key)
  tags = s.get_object_tagging(Bucket='logs', Key=key)['TagSet']
  return {'class': head.get('StorageClass'), 'encryption': head.get('ServerSideEncryption'),
    'key': head.get('SSEKMSKeyId'), 'type': head['ContentType'], 'bytes': head['ContentLength'],
    'tags': {t['Key']: t['Value'] for t in tags},
    'readers': [g['Grantee'].get('URI') for g in s.get_object_acl(Bucket='logs', Key=key)['Grants']]}
found = s.list_objects_v2(Bucket='logs').get('Contents', [])
print(json.dumps([about(o['Key']) for o in found]))
";

#[test]
fn moto_knows_of_an_object_all_that_the_config_says_of_it() {
    let Some(moto) = Moto::start(None) else { return };
    moto.ask(NOBODY, "client('s3').create_bucket(Bucket='logs')");
    let key = "arn:aws:kms:us-east-1:123456789012:key/1";
    let bench = Bench::new(
        json!({}),
        moto.sink(json!({
            "auth": { "access_key": "x", "secret_key": "y" }, "acl": "public-read",
            "storage_class": "STANDARD_IA", "tags": { "team": "a b/c", "n": "1" },
            "encryption": { "algorithm": "aws:kms", "key_id": key },
            "compression": "none", "encoding": "text", "part_bytes": "5MiB",
            "batch": { "bytes": "20MiB", "age": "1h" },
        })),
    );
    // One object that is put whole, and one that goes in parts.
    for (text, bytes) in [("one\ntwo\n".to_owned(), 8), ("12345\n".repeat(1 << 20), 6 << 20)] {
        bench.append(text);
        bench.once();
        let objects = moto.ask(NOBODY, OBJECTS);
        let objects = objects.as_array().unwrap();
        let about = objects.iter().find(|about| about["bytes"] == bytes);
        let about = about.unwrap_or_else(|| panic!("{objects:?}\n{}", bench.said()));
        assert_eq!(about["class"], "STANDARD_IA");
        assert_eq!((&about["encryption"], &about["key"]), (&json!("aws:kms"), &json!(key)));
        assert_eq!(about["tags"], json!({ "team": "a b/c", "n": "1" }));
        assert_eq!(about["type"], "text/plain; charset=utf-8");
        let readers = about["readers"].to_string();
        assert!(readers.contains("AllUsers"), "{readers}");
    }
}

#[test]
fn a_bucket_that_is_not_there_is_waited_for_and_named() {
    let Some(moto) = Moto::start(None) else { return };
    let auth = json!({ "access_key": "x", "secret_key": "y" });
    let bench = Bench::new(json!({}), moto.sink(json!({ "auth": auth })));
    bench.append("one\n");
    let agent = bench.start(&[]);
    let tries = || bench.said().matches("will try again").count() > 1;
    bench.wait_until("it tries again and again", tries);
    let said = bench.said();
    assert!(
        said.contains("NoSuchBucket") && said.contains("make the bucket `logs` first"),
        "{said}"
    );
    assert!(!said.contains("dropped"), "{said}");
    moto.ask(NOBODY, "client('s3').create_bucket(Bucket='logs')");
    let count = "print(len(client('s3').list_objects_v2(Bucket='logs').get('Contents', [])))";
    bench.wait_until("the line arrives", || moto.ask(NOBODY, count) == 1);
    assert!(agent.stop().success(), "{}", bench.said());
}

#[test]
fn uploads_of_which_a_crash_took_the_answer_are_given_up_and_other_peoples_are_not() {
    let Some(moto) = Moto::start(None) else { return };
    moto.ask(
        NOBODY,
        "s = client('s3')\n\
         s.create_bucket(Bucket='logs')\n\
         for key in ('all/ours', 'all/ours', 'all/ours-not', 'other'):\n  \
         s.create_multipart_upload(Bucket='logs', Key=key)",
    );
    let auth = json!({ "access_key": "x", "secret_key": "y" });
    let bench = Bench::new(json!({}), moto.sink(json!({ "auth": auth })));
    fs::create_dir_all(bench.path("data/s3")).unwrap();
    fs::write(bench.path("data/s3/out.uploads"), "\tall/ours\n").unwrap();
    bench.append("one\n");
    let agent = bench.start(&[]);
    let left = "found = client('s3').list_multipart_uploads(Bucket='logs').get('Uploads', [])\n\
                print(json.dumps(sorted(it['Key'] for it in found)))";
    let others = json!(["all/ours-not", "other"]);
    bench.wait_until("they are gone", || moto.ask(NOBODY, left) == others);
    let record = || fs::read_to_string(bench.path("data/s3/out.uploads")).unwrap();
    bench.wait_until("nothing is on record", || record().is_empty());
    assert!(agent.stop().success(), "{}", bench.said());
}

#[test]
fn moto_gives_keys_to_a_web_identity_and_to_an_instance() {
    let Some(moto) = Moto::start(None) else { return };
    moto.ask(NOBODY, "client('s3').create_bucket(Bucket='logs')");
    let token = tempfile::NamedTempFile::new().unwrap();
    fs::write(token.path(), "a-token").unwrap();
    let role = "arn:aws:iam::123456789012:role/logs";
    let ways = [
        json!({ "role_arn": role, "token_file": token.path(), "sts_endpoint": moto.endpoint() }),
        json!({ "instance_metadata": true }),
    ];
    for (number, auth) in ways.into_iter().enumerate() {
        let prefix = format!("{number}/");
        let bench = Bench::new(json!({}), moto.sink(json!({ "auth": auth, "prefix": prefix })));
        bench.append("one\n");
        let program = Command::new(env!("CARGO_BIN_EXE_driftless"));
        let mut command = bench.command(program, &["--once"]);
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", moto.endpoint());
        assert!(Process::spawn(&mut command).wait().success(), "{}", bench.said());
        let objects = moto.ask(NOBODY, OBJECTS);
        assert_eq!(objects.as_array().unwrap().len(), number + 1, "{}", bench.said());
    }
}

#[test]
fn a_permission_that_is_granted_later_is_waited_for() {
    let Some(moto) = Moto::start(Some(6)) else { return };
    let users = moto.ask(
        NOBODY,
        "i = client('iam')\n\
         client('s3').create_bucket(Bucket='logs')\n\
         i.create_user(UserName='admin')\n\
         everything = json.dumps({'Version': '2012-10-17', 'Statement': \
         [{'Effect': 'Allow', 'Action': '*', 'Resource': '*'}]})\n\
         i.put_user_policy(UserName='admin', PolicyName='p', PolicyDocument=everything)\n\
         i.create_user(UserName='shipper')\n\
         keys = [i.create_access_key(UserName=u)['AccessKey'] for u in ('admin', 'shipper')]\n\
         print(json.dumps([[k['AccessKeyId'], k['SecretAccessKey']] for k in keys]))",
    );
    let text = |user: usize, part: usize| users[user][part].as_str().unwrap();
    let admin = [text(0, 0), text(0, 1)];
    let auth = json!({ "access_key": text(1, 0), "secret_key": text(1, 1) });
    let bench = Bench::new(json!({}), moto.sink(json!({ "auth": auth })));
    bench.append("one\n");
    let agent = bench.start(&[]);
    bench.wait_until("it says why", || bench.said().matches("AccessDenied").count() > 1);
    assert!(!bench.said().contains("dropped"), "{}", bench.said());
    moto.ask(
        admin,
        "put = json.dumps({'Version': '2012-10-17', 'Statement': \
         [{'Effect': 'Allow', 'Action': 's3:PutObject', 'Resource': '*'}]})\n\
         client('iam').put_user_policy(UserName='shipper', PolicyName='p', PolicyDocument=put)",
    );
    let count = "print(len(client('s3').list_objects_v2(Bucket='logs').get('Contents', [])))";
    bench.wait_until("the line arrives", || moto.ask(admin, count) == 1);
    assert!(agent.stop().success(), "{}", bench.said());
}
