//! Signatures of requests: AWS's version 4.

use super::credentials::Key;
use crate::event::hex::hex;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use s3::signing::{canonical_request, signed_header_string};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The block of SHA-256, in bytes.
const BLOCK: usize = 64;

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
        .fold(secret.into_bytes(), |key, part| hmac(&key, part.as_bytes()).to_vec());
    let signature = hex(&hmac(&signing_key, text.as_bytes()));
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

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::secret::SecretText;

    #[test]
    fn the_hash_is_the_one_of_the_standard() {
        // RFC 4231, cases 2 and 6.
        let short = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(&short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex(&long), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

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
