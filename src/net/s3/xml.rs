//! The few words of an S3 server's answers that matter.

/// The text of the first element of this name, entities resolved.
pub(super) fn text_of(answer: &str, name: &str) -> Option<String> {
    let open = format!("<{name}>");
    let from = answer.find(&open)? + open.len();
    let length = answer[from..].find(&format!("</{name}>"))?;
    let text = &answer[from..from + length];
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&apos;", "'")];
    let text =
        plain.iter().fold(text.to_owned(), |text, (entity, char)| text.replace(entity, char));
    Some(text.replace("&amp;", "&"))
}

/// The content of each element of this name, as it stands there.
pub(super) fn each<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let content = |after: &'a str| after.split_once(&close).map(|(content, _)| content);
    answer.split(&open).skip(1).filter_map(content).collect()
}

/// The body that completes a multipart upload.
pub(super) fn completion(etags: &[String]) -> String {
    let mut body = "<CompleteMultipartUpload>".to_owned();
    for (number, etag) in (1..).zip(etags) {
        let etag = etag.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        body.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        ));
    }
    body + "</CompleteMultipartUpload>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_error_is_read_from_the_answer() {
        let answer = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>\
                      <Message>a &lt;b&gt; &amp;amp;</Message></Error>";
        assert_eq!(text_of(answer, "Code").as_deref(), Some("AccessDenied"));
        assert_eq!(text_of(answer, "Message").as_deref(), Some("a <b> &amp;"));
        assert_eq!(text_of(answer, "RequestId"), None);
        assert_eq!(text_of("</Code><Code>", "Code"), None);
    }

    #[test]
    fn each_upload_of_a_list_is_read_and_one_that_is_cut_off_is_not() {
        let answer = "<R><Upload><Key>a</Key><UploadId>1</UploadId></Upload>\
                      <Upload><Key>b</Key></Upload><Upload><Key>c</Key>";
        let uploads = each(answer, "Upload");
        assert_eq!(uploads, ["<Key>a</Key><UploadId>1</UploadId>", "<Key>b</Key>"]);
    }

    #[test]
    fn parts_are_numbered_from_one() {
        let body = completion(&["\"a\"".to_owned(), "b".to_owned()]);
        assert!(body.contains("<PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag>"), "{body}");
        assert!(body.contains("<PartNumber>2</PartNumber><ETag>b</ETag>"), "{body}");
    }

    proptest! {
        #[test]
        fn no_answer_brings_the_reader_down(answer: String) {
            text_of(&answer, "Code");
            each(&answer, "Code");
        }
    }
}
