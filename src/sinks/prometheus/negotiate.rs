//! What a client can read.

use crate::event::exposition::Format;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap};

/// Whether the client can read gzip: named, or covered by `*`, and not with a weight of 0.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let offers = || headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let weight = |coding: &str| {
        offers().flat_map(|offer| offer.split(',')).find_map(|offer| {
            let mut parts = offer.split(';').map(str::trim);
            let named = parts.next()?.eq_ignore_ascii_case(coding);
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
            named.then_some(weight.unwrap_or(1.0))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

/// OpenMetrics for who asks for its version 1 at least as much as for plain text; else the text
/// format.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let offers = || headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let weights = |media: &'static str| {
        offers().flat_map(|offer| offer.split(',')).filter_map(move |offer| {
            let mut parts = offer.split(';').map(str::trim);
            let named = parts.next()?.eq_ignore_ascii_case(media);
            let version = parts.clone().find_map(|part| part.strip_prefix("version="));
            let known = version.is_none_or(|version| ["1.0.0", "0.0.4"].contains(&version));
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
            (named && known).then_some(weight.unwrap_or(1.0))
        })
    };
    let most = |media| weights(media).fold(0.0, f32::max);
    let open = most("application/openmetrics-text");
    if open > 0.0 && open >= most("text/plain") { Format::OpenMetrics } else { Format::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        let asked = |value: &str| format(&header("accept", value));
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(asked(prometheus), Format::OpenMetrics);
        assert_eq!(asked("application/openmetrics-text"), Format::OpenMetrics);
        for text in [
            "",
            "*/*",
            "text/plain",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0.1,text/plain;q=0.9",
        ] {
            assert_eq!(asked(text), Format::Text, "{text}");
        }
    }

    #[test]
    fn gzip_is_sent_to_those_who_want_it() {
        let accepts = |value: &str| accepts_gzip(&header("accept-encoding", value));
        for yes in ["gzip", "deflate, GZIP;q=0.5", "*", "br;q=1, *;q=0.1"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip;q=0, *", "xgzip"] {
            assert!(!accepts(no), "{no}");
        }
    }
}
