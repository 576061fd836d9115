//! What the query of a request says.

use reqwest::Url;

/// The values that `name` has in a query, decoded, in order.
pub fn values(query: &str, name: &str) -> Vec<String> {
    // Only a whole URL is read; the host does not matter.
    let Ok(url) = Url::parse(&format!("http://localhost/?{query}")) else { return Vec::new() };
    let named = url.query_pairs().filter(|(key, _)| key == name);
    named.map(|(_, value)| value.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_come_more_than_once_encoded_or_not() {
        let collect = |query| values(query, "collect[]");
        assert_eq!(collect("collect[]=cpu&x=1&collect%5B%5D=loadavg"), ["cpu", "loadavg"]);
        assert!(collect("").is_empty());
    }
}
