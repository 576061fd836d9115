//! S3: objects put into a bucket, whole or in parts.

mod credentials;
mod sign;
mod xml;

pub use credentials::S3Auth;

use super::http::{client, judge, parse_url, shown, unanswered};
use super::tls::TlsSettings;
use crate::event::secret::Masker;
use crate::host::clock;
use crate::topology::component::{Fault, FaultKind};
use bytes::Bytes;
use credentials::Credentials;
use reqwest::header::{ETAG, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url};
use s3::signing::uri_encode;
use std::time::Duration;
use xml::{completion, each, text_of};

/// A bucket and how to reach it.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// The bucket's name.
    pub bucket: String,
    /// The server, where it is not AWS: `https://minio.example.com:9000`.
    pub endpoint: Option<String>,
    /// The region, which is part of every signature.
    pub region: String,
    /// Whether the bucket's name stands in the path rather than before the host's.
    pub path_style: bool,
    /// Who speaks to the server.
    pub auth: S3Auth,
    /// Whom to trust.
    pub tls: TlsSettings,
    /// How long a request may take, answer included.
    pub timeout: Duration,
}

/// A bucket.
pub struct Bucket {
    client: Client,
    base: Url,
    name: String,
    region: String,
    credentials: Credentials,
    masker: Masker,
}

/// One request.
struct Call<'c> {
    method: Method,
    key: &'c str,
    /// With its leading question mark, encoded.
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

/// What the server said to a request that succeeded.
struct Answer {
    headers: HeaderMap,
    text: String,
}

impl Bucket {
    /// A bucket. `variable` looks into the environment; `masker` keeps secrets out of messages.
    ///
    /// # Errors
    /// What is wrong with the settings, in a user's words and without secrets.
    pub fn new(
        settings: &BucketSettings,
        variable: &dyn Fn(&str) -> Option<String>,
        masker: Masker,
    ) -> Result<Self, String> {
        let (name, region) = (&settings.bucket, &settings.region);
        if name.is_empty() || name.contains(['/', ' ', '?', '#', '@']) {
            return Err(format!("`bucket`: `{name}` is no name of a bucket"));
        }
        let usual = || format!("https://s3.{region}.amazonaws.com");
        let endpoint = settings.endpoint.clone().unwrap_or_else(usual);
        let mut base = parse_url(&endpoint).map_err(|why| why.replace("`url`", "`endpoint`"))?;
        if settings.path_style {
            let path = format!("{}/{}/", base.path().trim_end_matches('/'), uri_encode(name, true));
            base.set_path(&path);
        } else {
            let host = format!("{name}.{}", base.host_str().unwrap_or_default());
            let changed = base.set_host(Some(&host));
            changed.map_err(|_| format!("`bucket`: `{name}` cannot stand before a host's name"))?;
        }
        Ok(Self {
            client: client(settings.timeout, &settings.tls)?,
            base,
            name: name.clone(),
            region: region.clone(),
            credentials: Credentials::new(&settings.auth, region, variable)?,
            masker,
        })
    }

    /// Puts an object, in place of one of the same key.
    ///
    /// # Errors
    /// A final fault where the server will never take this object, though it takes others. All
    /// else passes, since what is wrong is for people to mend: records wait for it.
    pub async fn put(&self, key: &str, headers: &HeaderMap, body: Bytes) -> Result<(), Fault> {
        let headers = headers.clone();
        let call = Call { method: Method::PUT, key, query: String::new(), headers, body };
        self.call(call).await.map(drop)
    }

    /// Begins an object that comes in parts; gives the upload's id.
    ///
    /// # Errors
    /// As for [`Self::put`].
    pub async fn begin(&self, key: &str, headers: &HeaderMap) -> Result<String, Fault> {
        let (headers, body) = (headers.clone(), Bytes::new());
        let query = "?uploads=".to_owned();
        let answer = self.call(Call { method: Method::POST, key, query, headers, body }).await?;
        let id = text_of(&answer.text, "UploadId");
        id.ok_or_else(|| self.odd(key, "the answer has no id for the upload"))
    }

    /// Sends a part, counted from 1; gives its tag. All but the last have at least 5 MiB.
    ///
    /// # Errors
    /// As for [`Self::put`].
    pub async fn part(
        &self,
        key: &str,
        upload: &str,
        number: usize,
        body: Bytes,
    ) -> Result<String, Fault> {
        let query = format!("?partNumber={number}&uploadId={}", uri_encode(upload, true));
        let headers = HeaderMap::new();
        let answer = self.call(Call { method: Method::PUT, key, query, headers, body }).await?;
        let tag = answer.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        tag.map(str::to_owned).ok_or_else(|| self.odd(key, "the answer has no tag for the part"))
    }

    /// Makes one object of the parts with these tags.
    ///
    /// # Errors
    /// As for [`Self::put`].
    pub async fn complete(&self, key: &str, upload: &str, tags: &[String]) -> Result<(), Fault> {
        let query = format!("?uploadId={}", uri_encode(upload, true));
        let body = completion(tags).into();
        let headers = HeaderMap::new();
        let answer = self.call(Call { method: Method::POST, key, query, headers, body }).await?;
        // The status was sent before the server knew.
        let Some(code) = text_of(&answer.text, "Code") else { return Ok(()) };
        let mut fault = self.odd(key, &format!("the server answers {code}"));
        if is_final(&code, StatusCode::OK) {
            fault.kind = FaultKind::Final;
        }
        Err(fault)
    }

    /// Looks whether the server is there and knows the key and the bucket.
    ///
    /// # Errors
    /// What is wrong. A key that may put objects but not list them is none of it.
    pub async fn check(&self) -> Result<(), Fault> {
        let query = "?list-type=2&max-keys=0".to_owned();
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        let call = Call { method: Method::GET, key: "", query, headers, body };
        match self.call(call).await {
            Err(fault) if fault.message.contains("AccessDenied") => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Gives an upload up, with what was sent of it. One that is there no more is as good.
    ///
    /// # Errors
    /// As for [`Self::put`].
    pub async fn abort(&self, key: &str, upload: &str) -> Result<(), Fault> {
        let query = format!("?uploadId={}", uri_encode(upload, true));
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        let call = Call { method: Method::DELETE, key, query, headers, body };
        match self.call(call).await {
            Err(fault) if fault.message.contains("NoSuchUpload") => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// The ids of uploads that were begun for `key`, and neither completed nor given up.
    ///
    /// # Errors
    /// As for [`Self::put`].
    pub async fn begun(&self, key: &str) -> Result<Vec<String>, Fault> {
        let query = format!("?prefix={}&uploads=", uri_encode(key, true));
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        let call = Call { method: Method::GET, key: "", query, headers, body };
        let answer = self.call(call).await?;
        // Longer keys begin with this one too.
        let is_it = |upload: &&&str| text_of(upload, "Key").is_some_and(|found| found == key);
        let uploads = each(&answer.text, "Upload");
        Ok(uploads.iter().filter(is_it).filter_map(|it| text_of(it, "UploadId")).collect())
    }

    async fn call(&self, call: Call<'_>) -> Result<Answer, Fault> {
        let (method, key) = (call.method.clone(), call.key.to_owned());
        self.try_call(call).await.map_err(|fault| {
            let mut fault = fault;
            fault.message = format!("{method} {}{key}: {}", shown(&self.base), fault.message);
            fault
        })
    }

    async fn try_call(&self, call: Call<'_>) -> Result<Answer, Fault> {
        let Call { method, key, query, mut headers, body } = call;
        let url = format!("{}{}{query}", self.base, uri_encode(key, false));
        let url = Url::parse(&url).map_err(|error| Fault::passing(error.to_string()))?;
        let now = clock::now();
        let identity = self.credentials.key(now).await.map_err(Fault::passing)?;
        let signed = (&identity, self.region.as_str(), now);
        sign::sign(method.as_str(), &url, &mut headers, &body, signed).map_err(Fault::passing)?;
        let request = self.client.request(method, url).headers(headers).body(body);
        let mut answer = request.send().await.map_err(unanswered)?;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        let text = answer.bytes().await.map_err(unanswered)?;
        let text = String::from_utf8_lossy(&self.masker.mask_bytes(&text)).into_owned();
        if status.is_success() {
            return Ok(Answer { headers, text });
        }
        let code = text_of(&text, "Code").unwrap_or_default();
        if code == "ExpiredToken" || status == StatusCode::UNAUTHORIZED {
            self.credentials.forget().await;
        }
        let mut said = code.clone();
        if let Some(message) = text_of(&text, "Message").filter(|text| !text.is_empty()) {
            said = format!("{code}: {message}");
        }
        if let Some(hint) = self.hint(&code, status) {
            said = format!("{said} ({hint})");
        }
        let judged = judge(status, &headers, &said, now);
        judged.map(|()| Answer { headers, text }).map_err(|fault| Fault {
            kind: match fault.kind {
                FaultKind::Final if !is_final(&code, status) => FaultKind::Passing(None),
                kind => kind,
            },
            ..fault
        })
    }

    /// What a person should do about an error.
    fn hint(&self, code: &str, status: StatusCode) -> Option<String> {
        Some(match code {
            "InvalidAccessKeyId" => "the server does not know the access key".to_owned(),
            "SignatureDoesNotMatch" => "the secret key is most likely wrong".to_owned(),
            "NoSuchBucket" => format!("make the bucket `{}` first", self.name),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
                format!("`region` is `{}`, and the bucket is most likely elsewhere", self.region)
            }
            "RequestTimeTooSkewed" => "this host's clock is wrong".to_owned(),
            _ if status == StatusCode::FORBIDDEN => "the key may not do this".to_owned(),
            _ => return None,
        })
    }

    fn odd(&self, key: &str, what: &str) -> Fault {
        Fault::passing(format!("{}{key}: {what}", shown(&self.base)))
    }
}

/// Whether an error is about this object alone, so that no patience helps.
fn is_final(code: &str, status: StatusCode) -> bool {
    let about_it = [
        "EntityTooLarge",
        "InvalidObjectName",
        "InvalidTag",
        "InvalidURI",
        "KeyTooLongError",
        "MetadataTooLarge",
        "XMinioInvalidObjectName",
    ];
    about_it.contains(&code)
        || matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::URI_TOO_LONG)
}

/// Adds a header to those of an object.
///
/// # Errors
/// Where the value cannot be that of a header.
pub fn add_header(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), String> {
    let value = HeaderValue::from_str(value)
        .map_err(|_| format!("`{value}` has bytes that no header can have"))?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

pub use reqwest::header::HeaderMap as ObjectHeaders;
pub use s3::signing::uri_encode as encode_tag;
