//! Who speaks to an S3 server: keys from the config, the environment, a profile, a web identity
//! or the instance's metadata service.

use super::super::http::{client, unanswered};
use super::super::tls::TlsSettings;
use super::xml::text_of;
use crate::event::secret::SecretText;
use crate::event::time::parse_rfc3339;
use reqwest::{Client, Url};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::Mutex;

/// Keys that end are replaced this long before they do.
const AHEAD: Duration = Duration::from_secs(300);
/// How long one of these services may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where an instance asks for its own keys.
const METADATA: &str = "http://169.254.169.254";
const TOKEN: &str = "x-aws-ec2-metadata-token";

/// Who speaks to the S3 server. Without it, what is found first: `AWS_ACCESS_KEY_ID` and its
/// companions in the environment, `AWS_WEB_IDENTITY_TOKEN_FILE` with `AWS_ROLE_ARN`, the profile
/// `AWS_PROFILE` or `default` in `~/.aws/credentials`, the metadata service of the instance.
///
/// ```yaml
/// auth: {access_key: AKIA…, secret_key: "{{ secrets.S3_KEY }}"}
/// auth: {profile: backup}
/// auth: {role_arn: "arn:aws:iam::123456789012:role/logs", token_file: /var/run/token}
/// auth: {instance_metadata: true}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct S3Auth {
    /// The name of a key.
    pub access_key: Option<String>,
    /// The key's secret.
    pub secret_key: Option<SecretText>,
    /// For keys that end: the token that belongs to them.
    pub session_token: Option<SecretText>,
    /// The profile of this name in `credentials_file`.
    pub profile: Option<String>,
    /// A file as AWS's own tools write it. By default `AWS_SHARED_CREDENTIALS_FILE`, else
    /// `~/.aws/credentials`. Read again every five minutes.
    pub credentials_file: Option<PathBuf>,
    /// A role to take on with the token in `token_file`.
    pub role_arn: Option<String>,
    /// A file with a web identity's token, as Kubernetes writes it.
    pub token_file: Option<PathBuf>,
    /// Where roles are taken on. By default `https://sts.REGION.amazonaws.com`.
    pub sts_endpoint: Option<String>,
    /// Asks the metadata service of the instance (`IMDSv2`) for the keys of its role.
    pub instance_metadata: bool,
}

/// A key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) access_key: String,
    pub(super) secret_key: SecretText,
    pub(super) session_token: Option<SecretText>,
}

/// Where keys come from.
#[derive(Clone, Debug)]
enum Origin {
    Given(Key),
    Profile { file: PathBuf, name: String },
    WebIdentity { role: String, token_file: PathBuf, endpoint: String },
    Metadata { endpoint: String },
}

/// Keys, asked for when they are needed and again before they end.
pub(super) struct Credentials {
    origin: Origin,
    client: Client,
    known: Mutex<Option<(Key, Option<Duration>)>>,
}

impl Credentials {
    /// Keys for a server in `region`; `variable` looks into the environment.
    pub(super) fn new(
        auth: &S3Auth,
        region: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let client = client(TIMEOUT, &TlsSettings::default())?;
        Ok(Self { origin: origin(auth, region, variable)?, client, known: Mutex::new(None) })
    }

    /// The key to use at `now`, the time since the epoch.
    pub(super) async fn key(&self, now: Duration) -> Result<Key, String> {
        let mut known = self.known.lock().await;
        if let Some((key, until)) = &*known
            && until.is_none_or(|until| now + AHEAD < until)
        {
            return Ok(key.clone());
        }
        match self.fetch(now).await {
            Ok((key, until)) => Ok(known.insert((key, until)).0.clone()),
            // One that has not ended yet is better than none.
            Err(error) => match &*known {
                Some((key, Some(until))) if now < *until => Ok(key.clone()),
                _ => Err(error),
            },
        }
    }

    /// Forgets the key, which a server does not take any more.
    pub(super) async fn forget(&self) {
        *self.known.lock().await = None;
    }

    async fn fetch(&self, now: Duration) -> Result<(Key, Option<Duration>), String> {
        match &self.origin {
            Origin::Given(key) => Ok((key.clone(), None)),
            Origin::Profile { file, name } => {
                let text = tokio::fs::read_to_string(file)
                    .await
                    .map_err(|error| format!("credentials: {}: {error}", file.display()))?;
                let key = profile(&text, name).ok_or_else(|| {
                    format!("credentials: {} has no keys for `{name}`", file.display())
                })?;
                Ok((key, Some(now + AHEAD * 2)))
            }
            Origin::WebIdentity { role, token_file, endpoint } => {
                let token = tokio::fs::read_to_string(token_file)
                    .await
                    .map_err(|error| format!("`token_file` {}: {error}", token_file.display()))?;
                self.take_on(role, token.trim(), endpoint).await
            }
            Origin::Metadata { endpoint } => self.ask_instance(endpoint).await,
        }
    }

    /// `AssumeRoleWithWebIdentity`.
    async fn take_on(
        &self,
        role: &str,
        token: &str,
        endpoint: &str,
    ) -> Result<(Key, Option<Duration>), String> {
        let parameters = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleSessionName", "driftless"),
            ("RoleArn", role),
            ("WebIdentityToken", token),
        ];
        let url = Url::parse_with_params("http://localhost/", parameters)
            .map_err(|error| error.to_string())?;
        // The token is no part of the address, which others may write down.
        let request = self.client.post(endpoint).header("accept", "application/xml");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let body = url.query().unwrap_or_default().to_owned();
        let answer = self.said(request.body(body)).await;
        let answer = answer.map_err(|error| format!("taking on {role}: {error}"))?;
        let part = |name: &str| text_of(&answer, name);
        let key = key(part("AccessKeyId"), part("SecretAccessKey"), part("SessionToken"));
        let key = key.ok_or_else(|| format!("taking on {role}: the answer has no keys"))?;
        Ok((key, part("Expiration").and_then(|text| until(&text))))
    }

    async fn ask_instance(&self, endpoint: &str) -> Result<(Key, Option<Duration>), String> {
        let told = |error: String| format!("the instance's metadata service: {error}");
        let put = self.client.put(format!("{endpoint}/latest/api/token"));
        let put = put.header("x-aws-ec2-metadata-token-ttl-seconds", "300");
        let token = self.said(put).await.map_err(told)?;
        let get = async |path: &str| {
            let get = self.client.get(format!("{endpoint}/latest/meta-data/{path}"));
            self.said(get.header(TOKEN, token.trim())).await.map_err(told)
        };
        let roles = get("iam/security-credentials/").await?;
        let role = roles.lines().next().map(str::trim).filter(|role| !role.is_empty());
        let role = role.ok_or_else(|| told("the instance has no role".to_owned()))?;
        let answer = get(&format!("iam/security-credentials/{role}")).await?;
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        let part = |name: &str| answer[name].as_str().map(str::to_owned);
        let key = key(part("AccessKeyId"), part("SecretAccessKey"), part("Token"));
        let key = key.ok_or_else(|| told("the answer has no keys".to_owned()))?;
        Ok((key, part("Expiration").and_then(|text| until(&text))))
    }

    /// The text of an answer that is no error. What is said of errors has no secret in it.
    async fn said(&self, request: reqwest::RequestBuilder) -> Result<String, String> {
        let answer = request.send().await.map_err(|error| unanswered(error).message)?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| unanswered(error).message)?;
        if status.is_success() {
            return Ok(text);
        }
        let code = text_of(&text, "Code").map_or_else(String::new, |code| format!(": {code}"));
        Err(format!("the server answers {status}{code}"))
    }
}

fn key(access: Option<String>, secret: Option<String>, token: Option<String>) -> Option<Key> {
    let full = |text: Option<String>| text.filter(|text| !text.is_empty());
    Some(Key {
        access_key: full(access)?,
        secret_key: SecretText::new(full(secret)?),
        session_token: full(token).map(SecretText::new),
    })
}

fn until(text: &str) -> Option<Duration> {
    parse_rfc3339(text.as_bytes()).and_then(|ns| u64::try_from(ns).ok()).map(Duration::from_nanos)
}

fn origin(
    auth: &S3Auth,
    region: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Origin, String> {
    let file = || {
        let home = || Some(PathBuf::from(variable("HOME")?).join(".aws/credentials"));
        let named = || variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
        auth.credentials_file.clone().or_else(named).or_else(home)
    };
    let sts = || {
        let usual = || format!("https://sts.{region}.amazonaws.com");
        auth.sts_endpoint.clone().or_else(|| variable("AWS_ENDPOINT_URL_STS")).unwrap_or_else(usual)
    };
    let metadata = || Origin::Metadata {
        endpoint: variable("AWS_EC2_METADATA_SERVICE_ENDPOINT")
            .map_or_else(|| METADATA.to_owned(), |url| url.trim_end_matches('/').to_owned()),
    };
    let by_key = auth.access_key.is_some() || auth.secret_key.is_some();
    let by_profile = auth.profile.is_some() || auth.credentials_file.is_some();
    let by_role = auth.role_arn.is_some() || auth.token_file.is_some();
    let ways = [by_key, by_profile, by_role, auth.instance_metadata];
    if ways.iter().filter(|way| **way).count() > 1 {
        return Err("`auth` says more than one thing: keep the keys, `profile`, `role_arn`, or \
                    `instance_metadata`"
            .to_owned());
    }
    if by_key {
        let (Some(access_key), Some(secret_key)) = (&auth.access_key, &auth.secret_key) else {
            return Err("`auth` takes `access_key` and `secret_key` together".to_owned());
        };
        let (access_key, secret_key) = (access_key.clone(), secret_key.clone());
        let session_token = auth.session_token.clone();
        return Ok(Origin::Given(Key { access_key, secret_key, session_token }));
    }
    if by_role {
        let (Some(role), Some(token_file)) = (&auth.role_arn, &auth.token_file) else {
            return Err("`auth` takes `role_arn` and `token_file` together".to_owned());
        };
        let (role, token_file) = (role.clone(), token_file.clone());
        return Ok(Origin::WebIdentity { role, token_file, endpoint: sts() });
    }
    let profile_name = || variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    if by_profile {
        let file =
            file().ok_or("`auth`: `profile` needs `credentials_file`, since HOME is unset")?;
        let name = auth.profile.clone().unwrap_or_else(profile_name);
        return Ok(Origin::Profile { file, name });
    }
    if auth.instance_metadata {
        return Ok(metadata());
    }
    let (access, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    if let Some(key) = key(access, secret, variable("AWS_SESSION_TOKEN")) {
        return Ok(Origin::Given(key));
    }
    let token_file = variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    if let (Some(role), Some(token_file)) = (variable("AWS_ROLE_ARN"), token_file) {
        let token_file = token_file.into();
        return Ok(Origin::WebIdentity { role, token_file, endpoint: sts() });
    }
    if let Some(file) = file().filter(|file| file.exists()) {
        return Ok(Origin::Profile { file, name: profile_name() });
    }
    if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|text| text == "true") {
        let message = "no credentials: neither `auth`, nor AWS_ACCESS_KEY_ID, nor a profile, and \
                       AWS_EC2_METADATA_DISABLED rules the metadata service out";
        return Err(message.to_owned());
    }
    Ok(metadata())
}

/// The keys of a profile in a file of AWS's tools.
fn profile(text: &str, name: &str) -> Option<Key> {
    let mut inside = false;
    let (mut access, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let section = section.trim();
            inside = section.strip_prefix("profile ").unwrap_or(section).trim() == name;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            let value = Some(value.trim().to_owned());
            match key.trim() {
                "aws_access_key_id" => access = value,
                "aws_secret_access_key" => secret = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
    }
    key(access, secret, token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    fn auth(text: &str) -> S3Auth {
        serde_json::from_str(text).unwrap()
    }

    fn found(text: &str, variables: &[(&str, &str)]) -> Result<Origin, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        origin(&auth(text), "eu-west-1", &variable)
    }

    #[test]
    fn what_the_config_says_comes_first_and_the_instance_last() {
        let variables = [("AWS_ACCESS_KEY_ID", "env"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
        let own = r#"{"access_key": "own", "secret_key": "hunter2"}"#;
        let name = |origin| match origin {
            Ok(Origin::Given(key)) => key.access_key,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(found(own, &variables)), "own");
        assert_eq!(name(found("{}", &variables)), "env");
        let kubernetes = [("AWS_ROLE_ARN", "arn"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")];
        let Ok(Origin::WebIdentity { endpoint, .. }) = found("{}", &kubernetes) else { panic!() };
        assert_eq!(endpoint, "https://sts.eu-west-1.amazonaws.com");
        assert!(matches!(found("{}", &[("HOME", "/nowhere")]), Ok(Origin::Metadata { .. })));
        let disabled = [("AWS_EC2_METADATA_DISABLED", "true")];
        assert!(found("{}", &disabled).unwrap_err().contains("no credentials"));
        for (wrong, reason) in [
            (r#"{"access_key": "a"}"#, "together"),
            (r#"{"role_arn": "a"}"#, "together"),
            (r#"{"access_key": "a", "secret_key": "b", "profile": "c"}"#, "more than one"),
            (r#"{"profile": "c"}"#, "HOME"),
        ] {
            assert!(found(wrong, &[]).unwrap_err().contains(reason), "{wrong}");
        }
    }

    #[test]
    fn a_profile_has_its_own_keys() {
        let text = "[default]\naws_access_key_id = a\naws_secret_access_key = b\n\n\
                    [ logs ]\naws_access_key_id=c\naws_secret_access_key=d=e\naws_session_token=f\n";
        let logs = profile(text, "logs").unwrap();
        assert_eq!((logs.access_key.as_str(), logs.secret_key.expose()), ("c", "d=e"));
        assert_eq!(logs.session_token.unwrap().expose(), "f");
        assert_eq!(profile(text, "default").unwrap().access_key, "a");
        assert!(profile(text, "other").is_none());
    }

    /// Gives these answers in turn, and then what it was asked.
    fn server(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let answer = |answer: String| {
                let mut reader = BufReader::new(listener.accept().unwrap().0);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    reader.read_line(&mut head).unwrap();
                }
                let head = head.to_lowercase();
                let length = head.split("content-length: ").nth(1);
                let length =
                    length.and_then(|rest| rest.lines().next()).map_or(0, |n| n.parse().unwrap());
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let length = answer.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}"
                );
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
                head + &String::from_utf8(body).unwrap()
            };
            answers.into_iter().map(answer).collect()
        });
        (url, asked)
    }

    #[tokio::test]
    async fn a_web_identity_takes_on_its_role_again_before_it_ends() {
        let answer = |key: &str, end: &str| {
            format!(
                "<R><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>hunter2</SecretAccessKey>\
                 <SessionToken>t&amp;t</SessionToken><Expiration>{end}</Expiration></R>"
            )
        };
        let (url, asked) = server(vec![
            answer("first", "1970-01-01T01:00:00Z"),
            answer("second", "1970-01-01T02:00:00Z"),
        ]);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "a+token\n").unwrap();
        let settings = serde_json::json!({
            "role_arn": "arn:aws:iam::1:role/logs", "token_file": dir.path().join("token"),
            "sts_endpoint": url,
        });
        let credentials = Credentials::new(&auth(&settings.to_string()), "x", &|_| None).unwrap();
        for (minute, expected) in [(0, "first"), (54, "first"), (56, "second"), (110, "second")] {
            let key = credentials.key(Duration::from_secs(60 * minute)).await.unwrap();
            assert_eq!(key.access_key, expected, "{minute}");
            assert_eq!(key.session_token.unwrap().expose(), "t&t");
        }
        let asked = asked.join().unwrap();
        assert!(asked[0].contains("WebIdentityToken=a%2Btoken"), "{}", asked[0]);
        assert!(asked[0].contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Flogs"), "{}", asked[0]);
    }

    #[tokio::test]
    async fn an_instance_asks_with_a_token_for_the_keys_of_its_role() {
        let keys = r#"{"AccessKeyId": "mine", "SecretAccessKey": "hunter2", "Token": "t",
                       "Expiration": "1970-01-01T06:00:00Z"}"#;
        let (url, asked) = server(vec!["a-token".into(), "logs-role\n".into(), keys.into()]);
        let variable =
            |name: &str| (name == "AWS_EC2_METADATA_SERVICE_ENDPOINT").then(|| url.clone());
        let auth = auth(r#"{"instance_metadata": true}"#);
        let credentials = Credentials::new(&auth, "x", &variable).unwrap();
        assert_eq!(credentials.key(Duration::ZERO).await.unwrap().access_key, "mine");
        let asked = asked.join().unwrap();
        assert!(asked[0].starts_with("put /latest/api/token"), "{}", asked[0]);
        assert!(asked[2].contains("/security-credentials/logs-role"), "{}", asked[2]);
        assert!(asked[2].contains("x-aws-ec2-metadata-token: a-token"), "{}", asked[2]);
    }
}
