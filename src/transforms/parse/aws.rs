//! Logs of AWS's load balancers and of its virtual networks.
//!
//! ```text
//! http 2018-07-02T22:23:00.186641Z app/lb/50dc 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET http://x:80/ HTTP/1.1" "curl/7.46.0" - - …
//! 2 123456789010 eni-1235b8ca 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK
//! ```

use super::Emit;
use super::text::{quoted, until, word};
use crate::event::log::Value;
use crate::event::moment::{Moment, rfc3339};

/// How a column is read.
#[derive(Clone, Copy)]
enum Column {
    Text(&'static str),
    Number(&'static str),
    Time,
    /// In three fields: method, URL, protocol.
    Request,
}

use Column::{Number, Request, Text, Time};

/// An application load balancer. What newer versions add behind is taken as it comes.
const ALB: &[Column] = &[
    Text("type"),
    Time,
    Text("elb"),
    Text("client_host"),
    Text("target_host"),
    Number("request_processing_time"),
    Number("target_processing_time"),
    Number("response_processing_time"),
    Number("elb_status_code"),
    Number("target_status_code"),
    Number("received_bytes"),
    Number("sent_bytes"),
    Request,
    Text("user_agent"),
    Text("ssl_cipher"),
    Text("ssl_protocol"),
    Text("target_group_arn"),
    Text("trace_id"),
    Text("domain_name"),
    Text("chosen_cert_arn"),
    Number("matched_rule_priority"),
    Text("request_creation_time"),
    Text("actions_executed"),
    Text("redirect_url"),
    Text("error_reason"),
    Text("target_port_list"),
    Text("target_status_code_list"),
    Text("classification"),
    Text("classification_reason"),
    Text("traceability_id"),
];
const ALB_LEAST: usize = 22;

/// A classic load balancer: the same, without the type before and what came after the TLS columns.
const ELB: &[Column] = ALB.split_at(16).0.split_at(1).1;
const ELB_LEAST: usize = 12;

/// Splits a line of an application load balancer.
pub(super) fn alb(line: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    columns(line, ALB, ALB_LEAST, emit)
}

/// Splits a line of a classic load balancer.
pub(super) fn elb(line: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    columns(line, ELB, ELB_LEAST, emit)
}

fn columns(
    line: &[u8],
    columns: &[Column],
    least: usize,
    emit: &mut Emit<'_, '_, '_>,
) -> Result<(), &'static str> {
    let mut rest = line;
    for (at, column) in columns.iter().enumerate() {
        if rest.is_empty() {
            return if at < least { Err("more columns") } else { Ok(()) };
        }
        let (value, after) = match rest.first() {
            Some(b'"') => {
                let (value, after) = quoted(rest).ok_or("a quote after a value")?;
                match after {
                    [] => (value, after),
                    _ => (value, after.strip_prefix(b" ").ok_or("a blank after a quote")?),
                }
            }
            _ => word(rest),
        };
        rest = after;
        match column {
            Text(name) => emit.quoted(name, value),
            Number(name) => emit.number(name, value),
            Time => {
                let moment =
                    rfc3339(value).ok_or("a time such as `2018-07-02T22:23:00.186641Z`")?;
                emit.rfc3339(value, moment);
            }
            Request => request(value, emit)?,
        }
    }
    Ok(())
}

fn request(text: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let (method, rest) = until(text, b' ').ok_or("method, URL and protocol")?;
    let at = memchr::memrchr(b' ', rest).ok_or("method, URL and protocol")?;
    emit.text_or_null("request_method", method);
    emit.quoted("request_url", &rest[..at]);
    // Where nothing was asked for, the line is `- http://host:80- -`.
    emit.text_or_null("request_protocol", rest[at + 1..].trim_ascii());
    Ok(())
}

/// Columns of a flow log, version 2, unless the config names others.
pub(super) const FLOW: [&str; 14] = [
    "version",
    "account_id",
    "interface_id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log_status",
];

/// Splits a line of a flow log. The line of names with which a file begins is no record: then
/// the answer is `false`.
pub(super) fn flow(
    line: &[u8],
    columns: &[String],
    emit: &mut Emit<'_, '_, '_>,
) -> Result<bool, &'static str> {
    let mut rest = Some(line.trim_ascii());
    let mut header = true;
    for column in columns {
        let text = rest.filter(|rest| !rest.is_empty()).ok_or("as many columns as are named")?;
        let (value, after) = word(text);
        rest = (value.len() < text.len()).then_some(after);
        header &=
            value.iter().map(|byte| if *byte == b'-' { &b'_' } else { byte }).eq(column.as_bytes());
        match column.as_str() {
            _ if value == b"-" => emit.value(column, Value::Null),
            // Twelve digits that are a name.
            "account_id" => emit.text(column, value),
            _ => emit.bare(column, value),
        }
        if column == "start"
            && let Ok(text) = std::str::from_utf8(value)
            && let Some(time_ns) = text.parse().ok().and_then(|s: i64| s.checked_mul(1_000_000_000))
        {
            emit.only_time(Moment::Utc(time_ns));
        }
    }
    if rest.is_some() {
        return Err("no more columns than are named");
    }
    Ok(!header)
}
