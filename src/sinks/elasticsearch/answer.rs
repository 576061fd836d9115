//! What a server says to a `_bulk` request: a result for each document.

use crate::topology::component::Fault;
use crate::topology::request::{Answer, Rejected};
use serde::Deserialize;
use serde_json::Value as Json;

/// More than this of a server's reason is not told.
const REASON_CHARS: usize = 500;

#[derive(Deserialize)]
struct Told {
    errors: bool,
    #[serde(default)]
    items: Vec<Item>,
}

/// The result for one document, under the name of what was asked for.
#[derive(Deserialize)]
struct Item {
    #[serde(alias = "index")]
    create: Result,
}

#[derive(Deserialize)]
struct Result {
    status: u16,
    #[serde(default)]
    error: Json,
}

/// Reads the answer to a request for `documents`. `refuses_known` tells whether one whose `_id` is
/// there already was refused for good, and not because it had been sent before.
///
/// # Errors
/// A passing fault where this is no such answer: whoever gave it, the documents may be anywhere.
pub(super) fn read(
    text: &str,
    documents: usize,
    refuses_known: bool,
) -> std::result::Result<Answer, Fault> {
    let unfit = |what: &str| Fault::passing(format!("the server's answer {what}"));
    let told: Told = serde_json::from_str(text)
        .map_err(|_| unfit("is not one to `_bulk`; is this Elasticsearch or OpenSearch?"))?;
    let mut answer = Answer::default();
    // Some say no more than that where all is well. What they do say has to fit.
    if !told.errors && told.items.is_empty() {
        return Ok(answer);
    }
    if told.items.len() != documents {
        return Err(unfit(&format!(
            "tells of {} documents, and {documents} were sent",
            told.items.len()
        )));
    }
    for (record, Item { create: Result { status, error } }) in told.items.into_iter().enumerate() {
        match status {
            200..=299 => {}
            409 if !refuses_known => {}
            // As for a whole request: full, failing, or not for this user, which may be put right.
            401 | 403 | 408 | 425 | 429 | 500.. => {
                answer.again.push(record);
                if answer.reason.is_empty() {
                    answer.reason = format!("a document was answered {status}: {}", reason(&error));
                }
            }
            _ => answer.rejected.push(Rejected {
                record,
                reason: reason(&error),
                status: Some(status),
            }),
        }
    }
    Ok(answer)
}

/// The reason in the server's words: that of the error, and what caused it.
fn reason(error: &Json) -> String {
    let mut said = String::new();
    let mut next = error;
    while next.is_object() {
        let text = |key: &str| next[key].as_str().unwrap_or_default();
        let (kind, reason) = (text("type"), text("reason"));
        for part in [kind, reason] {
            if !part.is_empty() && !said.ends_with(part) {
                if !said.is_empty() {
                    said.push_str(": ");
                }
                said.push_str(part);
            }
        }
        next = &next["caused_by"];
    }
    if said.is_empty() {
        said = error.as_str().unwrap_or("no reason given").to_owned();
    }
    said.chars().filter(|char| !char.is_control()).take(REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_document_has_its_own_result() {
        let cause = json!({ "type": "number_format_exception", "reason": "For input: \"x\"" });
        let error = json!({
            "type": "document_parsing_exception", "reason": "field [n]", "caused_by": cause,
        });
        let busy = json!({ "type": "es_rejected_execution_exception", "reason": "full" });
        let text = json!({ "errors": true, "took": 3, "items": [
            { "create": { "status": 201, "_id": "a" } },
            { "create": { "status": 409, "error": { "type": "version_conflict_engine_exception" } } },
            { "create": { "status": 429, "error": busy } },
            { "create": { "status": 400, "error": error } },
            { "create": { "status": 503, "error": "old servers say it in a text" } },
        ]})
        .to_string();
        let answer = read(&text, 5, false).unwrap();
        assert_eq!(answer.again, [2, 4]);
        assert!(answer.reason.contains("429: es_rejected_execution_exception: full"));
        let [rejected] = answer.rejected.as_slice() else { panic!("{answer:?}") };
        assert_eq!((rejected.record, rejected.status), (3, Some(400)));
        assert_eq!(
            rejected.reason,
            "document_parsing_exception: field [n]: number_format_exception: For input: \"x\""
        );
        let answer = read(&text, 5, true).unwrap();
        assert_eq!(answer.rejected[0].reason, "version_conflict_engine_exception");
        assert_eq!(answer.rejected[0].record, 1);
    }

    #[test]
    fn an_answer_of_something_else_is_no_delivery() {
        for text in ["", "<html>", "{}", r#"{"errors":true,"items":[]}"#, r#"{"ok":true}"#] {
            assert!(read(text, 2, false).is_err(), "{text}");
        }
        assert_eq!(read(r#"{"errors":false}"#, 2, false), Ok(Answer::default()));
        let one_of_two = r#"{"errors":false,"items":[{"create":{"status":201}}]}"#;
        assert!(read(one_of_two, 2, false).is_err());
        let told_late = r#"{"errors":false,"items":[{"create":{"status":429}}]}"#;
        assert_eq!(read(told_late, 1, false).map(|answer| answer.again), Ok(vec![0]));
        let index = r#"{"errors":true,"items":[{"index":{"status":201}}]}"#;
        assert_eq!(read(index, 1, false), Ok(Answer::default()));
    }
}
