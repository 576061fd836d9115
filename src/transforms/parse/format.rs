//! The formats, and the fields that each gives.

use schemars::JsonSchema;
use serde::Deserialize;

/// What a text can look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A JSON object. Its entries become fields; what is nested stays as it is.
    Json,
    /// `level=info msg="two words" cached`: names and values with blanks between pairs; a name
    /// alone is true. A line without any `=` is not of this format.
    Logfmt,
    /// Names and values with other marks: `delimiter` between pairs, `separator` between a name
    /// and its value. Values may stand in single or double quotes.
    KeyValue,
    /// Cells of a table, named by `columns`; in `quote`s a cell may hold the `delimiter`, and two
    /// quotes stand for one. A line of the columns' names is a header and left out.
    Csv,
    /// Labels and values parted by tabs: `host:10.0.0.1<tab>status:200`. A `time` in brackets or
    /// in RFC 3339 is the record's time.
    Ltsv,
    /// Whatever `pattern` matches: its named groups become fields. A pattern takes time in
    /// proportion to the line, whatever the line is.
    Regex,
    /// Whatever `pattern`, made of Logstash's named patterns and of those in `patterns`, matches:
    /// `%{IP:client} %{NUMBER:ms:int}`. Knows look-ahead, look-behind and back-references, within
    /// 50,000 steps and for lines of up to 32 KiB; slower than `regex`.
    Grok,
    /// Syslog, told apart by line: RFC 5424, RFC 3164 with or without priority (as rsyslog and
    /// syslog-ng write files), and the same with a time in RFC 3339. Fields: `facility` and
    /// `severity` (names), `version`, `timestamp`, `hostname`, `appname`, `procid`, `msgid`,
    /// `message`, and for each structured data element an object by its id. What a line lacks is
    /// no field.
    Syslog,
    /// nginx's `combined`, and `main` of its packages. Fields, named as nginx's variables where it has
    /// one for the thing: `remote_addr`, `remote_user`, `time_local` (which is the record's time),
    /// `method`, `path` (with the query) and `protocol` (or `request`, where it has no such
    /// parts), `status`, `body_bytes_sent`, `http_referer`, `http_user_agent`,
    /// `http_x_forwarded_for`. What is written `-` is null.
    NginxCombined,
    /// nginx's error log: `timestamp`, `severity`, `pid`, `tid`, `cid` (connection), `message`,
    /// and where they are told `client`, `server`, `request`, `subrequest`, `upstream`, `host`,
    /// `referer`, `excess` and `zone` (of limits).
    NginxError,
    /// The access log of Kubernetes' ingress-nginx (`upstreaminfo`): the fields of
    /// `nginx_combined`, then `request_length`, `request_time`, `proxy_upstream_name`,
    /// `proxy_alternative_upstream_name`, `upstream_addr`, `upstream_response_length`,
    /// `upstream_response_time`, `upstream_status`, `req_id`. After several tries the upstream's
    /// columns are text with one part a try.
    NginxIngress,
    /// Apache's `combined`; the fields of `nginx_combined`.
    ApacheCombined,
    /// Apache's error log: `timestamp`, `module`, `severity`, `pid`, `thread`, `client`, `port`,
    /// `message`.
    ApacheError,
    /// The common log format, which ends after the size; the fields of `nginx_combined`. Also
    /// written `apache_common`.
    #[serde(alias = "apache_common")]
    Common,
    /// haproxy's logs of HTTP and TCP, with a syslog header or without: `client_ip`,
    /// `client_port`, `timestamp`, `frontend_name`, `backend_name`, `server_name`,
    /// `time_request` (HTTP), `time_queue`, `time_backend_connect`, `time_backend_response`
    /// (HTTP), `time_duration` (all in ms, -1 where it came to nothing), `bytes_read`,
    /// `termination_state`, `actconn`, `feconn`, `beconn`, `srvconn`, `retries`, `srv_queue`,
    /// `backend_queue`; for HTTP also `status`, `captured_request_cookie`,
    /// `captured_response_cookie`, `captured_request_headers`, `captured_response_headers`,
    /// `method`, `path`, `protocol`. A connection that failed has `message`.
    Haproxy,
    /// Kubernetes' own programs: `level` (`info`, `warning`, `error`, `fatal`), `timestamp`, `id`
    /// (thread), `file`, `line`, `message`.
    Klog,
    /// Google's C++ library; the fields of `klog`.
    Glog,
    /// What containerd and CRI-O write: `timestamp`, `stream`, `partial` (true for a part of a
    /// line that was too long), `message`.
    Cri,
    /// What Docker's `json-file` writes: `timestamp`, `stream`, `partial`, `message` without its
    /// line end, and `attrs` where there are any.
    Docker,
    /// Records of Linux's audit: `type`, `timestamp`, `serial` (which the records of one event
    /// share), and the record's own names. Values in hexadecimal are decoded; what a program said
    /// in `msg='…'` is the object `msg`. Also written `linux_audit`.
    #[serde(alias = "linux_audit")]
    Auditd,
    /// The Common Event Format of security products, with a syslog header or without: `cefVersion`,
    /// `deviceVendor`, `deviceProduct`, `deviceVersion`, `deviceEventClassId`, `name`,
    /// `severity`, and the extension's own names.
    Cef,
    /// W3C's extended format, as IIS writes it. The columns are those of the last `#Fields`
    /// directive in the same file, or `columns`; `cs(User-Agent)` is `cs_user_agent`.
    /// `date` and `time`, which are in UTC, are the record's time. Lines of directives are left
    /// out. Also written `iis`.
    #[serde(alias = "iis")]
    W3c,
    /// AWS's application load balancer: `type`, `timestamp`, `elb`, `client_host`,
    /// `target_host`, `request_processing_time`, `target_processing_time`,
    /// `response_processing_time`, `elb_status_code`, `target_status_code`, `received_bytes`,
    /// `sent_bytes`, `request_method`, `request_url`, `request_protocol`, `user_agent`,
    /// `ssl_cipher`, `ssl_protocol`, `target_group_arn`, `trace_id`, `domain_name`,
    /// `chosen_cert_arn`, `matched_rule_priority`, `request_creation_time`, `actions_executed`,
    /// `redirect_url`, `error_reason`, `target_port_list`, `target_status_code_list`,
    /// `classification`, `classification_reason`, `traceability_id`.
    AwsAlb,
    /// AWS's classic load balancer; the fields of `aws_alb` up to `ssl_protocol`, without `type`.
    AwsElb,
    /// AWS's flow log of a virtual network, version 2: `version`, `account_id`, `interface_id`,
    /// `srcaddr`, `dstaddr`, `srcport`, `dstport`, `protocol`, `packets`, `bytes`, `start` (the
    /// record's time), `end`, `action`, `log_status`; or `columns`. A line of names is left out.
    AwsVpcFlow,
}

impl Format {
    /// As a config has it.
    pub(super) fn name(self) -> String {
        let mut name = String::new();
        for character in format!("{self:?}").chars() {
            if character.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(character.to_ascii_lowercase());
        }
        name
    }
}
