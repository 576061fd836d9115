//! Signatures of requests: AWS's version 4.

use super::credentials::Key;
use crate::event::hex::hex;
use crate::event::hmac::hmac;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use s3::signing::{canonical_request, signed_header_string};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Adds to `headers` what says who sends the request, and that it is this one; `now` is the time
/// since the epoch.
pub(super) fn sign(
    method: &str,
    url: &Url,
    headers: &mut HeaderMap,
    body: &[u8],
    (key, region, now): (&Key, &str, Duration),
) -> Result<(), String> {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    let (date, time) = (time.format("%Y%m%d").to_string(), time.format("%Y%m%dT%H%M%SZ"));
    let hash = hex(&Sha256::digest(body));
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let host = format!("{}{port}", url.host_str().unwrap_or_default());
    insert(headers, HOST, &host)?;
    insert(headers, HeaderName::from_static("x-amz-date"), &time.to_string())?;
    insert(headers, HeaderName::from_static("x-amz-content-sha256"), &hash)?;
    if let Some(token) = &key.session_token {
        insert(headers, HeaderName::from_static("x-amz-security-token"), token.expose())?;
    }
    let request =
        canonical_request(method, url, headers, &hash).map_err(|error| error.to_string())?;
    let scope = format!("{date}/{region}/s3/aws4_request");
    let request = hex(&Sha256::digest(request.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{request}");
    let secret = format!("AWS4{}", key.secret_key.expose());
    let signing_key = [date.as_str(), region, "s3", "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, part| hmac::<Sha256>(&key, part.as_bytes()).to_vec());
    let signature = hex(&hmac::<Sha256>(&signing_key, text.as_bytes()));
    let signed = signed_header_string(headers);
    let access_key = &key.access_key;
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/{scope},SignedHeaders={signed},\
         Signature={signature}"
    );
    insert(headers, AUTHORIZATION, &value)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), String> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| format!("`{name}`: the value has bytes that no header can have"))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::secret::SecretText;

    #[test]
    fn a_request_is_signed_as_in_the_documentation() {
        // "Examples: Signature Calculations in AWS Signature Version 4", GET Bucket Lifecycle.
        let key = Key {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: SecretText::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: None,
        };
        let url = Url::parse("https://examplebucket.s3.amazonaws.com/?lifecycle").unwrap();
        let now = Duration::from_secs(1_369_353_600);
        let mut headers = HeaderMap::new();
        sign("GET", &url, &mut headers, b"", (&key, "us-east-1", now)).unwrap();
        let value = headers[AUTHORIZATION].to_str().unwrap();
        let expected = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
        assert!(value.ends_with(expected), "{value}");
    }
}
