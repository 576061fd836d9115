//! Formats that a program has of its own, on lines as it writes them.

use super::*;
use serde_json::json;

#[test]
fn apache_errors_of_both_forms() {
    let new = "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187:52301] File does not exist: /x";
    let (fields, time) = read("{format: apache_error, timezone: UTC}", new);
    assert_eq!(
        fields,
        json!({
            "timestamp": "2011-09-09T10:42:29.902022Z", "module": "core", "severity": "error",
            "pid": 35708, "thread": 4_328_636_416u64, "client": "72.15.99.187", "port": 52301,
            "message": "File does not exist: /x",
        })
    );
    assert_eq!(time.unwrap(), "2011-09-09T10:42:29.902022Z");
    let system = "[Fri Sep 09 10:42:29 2011] [core:error] [pid 7] (13)Permission denied: [client ::1:80] AH00035: denied";
    let (fields, _) = read("{format: apache_error, timezone: UTC}", system);
    assert_eq!(
        (&fields["client"], &fields["message"]),
        (&json!("::1"), &json!("(13)Permission denied: AH00035: denied"))
    );
    let old = "[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok /etc/x.properties";
    let (fields, _) = read("{format: apache_error, timezone: UTC}", old);
    assert_eq!(
        fields,
        json!({
            "timestamp": "2005-12-04T04:47:44Z", "severity": "notice",
            "message": "workerEnv.init() ok /etc/x.properties",
        })
    );
}

#[test]
fn nginx_errors_have_their_context() {
    let line = concat!(
        r#"2021/04/01 13:02:31 [error] 31#32: *1 open() "/x" failed (2: No such file or directory), "#,
        r#"client: 10.0.0.1, server: a, request: "POST /x?q=a,%20b HTTP/1.1", upstream: "http://u/", "#,
        r#"host: "a:7777", referrer: "http://b/""#
    );
    let (fields, _) = read("{format: nginx_error, timezone: UTC}", line);
    assert_eq!(
        fields,
        json!({
            "timestamp": "2021-04-01T13:02:31Z", "severity": "error", "pid": 31, "tid": 32,
            "cid": 1, "message": "open() \"/x\" failed (2: No such file or directory)",
            "client": "10.0.0.1", "server": "a", "request": "POST /x?q=a,%20b HTTP/1.1",
            "upstream": "http://u/", "host": "a:7777", "referer": "http://b/",
        })
    );
    let limit = r#"2021/04/01 13:02:31 [error] 7#7: *5 limiting requests, excess: 50.416 by zone "api", client: ::1, server: "#;
    let (fields, _) = read("{format: nginx_error, timezone: UTC}", limit);
    assert_eq!(fields["message"], "limiting requests");
    assert_eq!((&fields["excess"], &fields["zone"]), (&json!(50.416), &json!("api")));
    assert_eq!(fields["server"], "");
    let plain = "2021/04/01 13:02:31 [notice] 1#1: start worker process 31";
    assert_eq!(read("format: nginx_error", plain).0["message"], "start worker process 31");
}

#[test]
fn ingress_nginx_has_its_upstreams() {
    let line = concat!(
        r#"10.0.186.113 - bob [18/Mar/2023:15:00:00 +0000] "GET /some/path HTTP/2.0" 200 12312 "#,
        r#""https://10.0.0.1/some/referer" "Mozilla/5.0" 462 0.050 [default-app-80] [] "#,
    );
    let (fields, time) =
        read("format: nginx_ingress", &format!("{line}10.0.50.80:9000 19437 0.049 200 752178adb1"));
    assert_eq!(time.unwrap(), "2023-03-18T15:00:00Z");
    assert_eq!(
        fields,
        json!({
            "remote_addr": "10.0.186.113", "remote_user": "bob",
            "time_local": "18/Mar/2023:15:00:00 +0000", "method": "GET", "path": "/some/path",
            "protocol": "HTTP/2.0", "status": 200, "body_bytes_sent": 12312,
            "http_referer": "https://10.0.0.1/some/referer", "http_user_agent": "Mozilla/5.0",
            "request_length": 462, "request_time": 0.050, "proxy_upstream_name": "default-app-80",
            "proxy_alternative_upstream_name": null, "upstream_addr": "10.0.50.80:9000",
            "upstream_response_length": 19437, "upstream_response_time": 0.049,
            "upstream_status": 200, "req_id": "752178adb1",
        })
    );
    let tried =
        "10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80 0, 0 : 5 0.001, 0.002 : 0.1 502, 502 : 200 id";
    let (fields, _) = read("format: nginx_ingress", &format!("{line}{tried}"));
    assert_eq!(fields["upstream_addr"], "10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80");
    assert_eq!(
        (&fields["upstream_status"], &fields["req_id"]),
        (&json!("502, 502 : 200"), &json!("id"))
    );
}

#[test]
fn haproxy_speaks_http_and_tcp() {
    let line = concat!(
        r#"Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in "#,
        r#"static/srv1 10/0/30/69/+109 200 2750 - s=1 ---- 1/1/1/1/+0 0/0 {1wt.eu|x} {} "GET /index.html HTTP/1.1""#
    );
    let (fields, time) = read("{format: haproxy, timezone: UTC}", line);
    assert_eq!(
        fields,
        json!({
            "client_ip": "10.0.1.2", "client_port": 33317, "timestamp": "2009-02-06T12:14:14.655Z",
            "frontend_name": "http-in", "backend_name": "static", "server_name": "srv1",
            "time_request": 10, "time_queue": 0, "time_backend_connect": 30,
            "time_backend_response": 69, "time_duration": 109, "status": 200, "bytes_read": 2750,
            "captured_request_cookie": null, "captured_response_cookie": "s=1",
            "termination_state": "----", "actconn": 1, "feconn": 1, "beconn": 1, "srvconn": 1,
            "retries": 0, "srv_queue": 0, "backend_queue": 0,
            "captured_request_headers": "1wt.eu|x", "captured_response_headers": "",
            "method": "GET", "path": "/index.html", "protocol": "HTTP/1.1",
        })
    );
    assert_eq!(time.unwrap(), "2009-02-06T12:14:14.655Z");
    let tcp =
        "10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0";
    let (fields, _) = read("{format: haproxy, timezone: UTC}", tcp);
    assert_eq!((&fields["time_duration"], &fields["bytes_read"]), (&json!(5007), &json!(212)));
    assert_eq!((&fields["retries"], &fields["backend_queue"]), (&json!(3), &json!(0)));
    let bad = r#"[::1]:5 [06/Feb/2009:12:14:14.655] f~ f/<NOSRV> -1/-1/-1/-1/5 400 0 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>""#;
    let (fields, _) = read("format: haproxy", bad);
    assert_eq!((&fields["request"], &fields["time_queue"]), (&json!("<BADREQ>"), &json!(-1)));
    let failed =
        "10.0.0.1:5 [06/Feb/2009:12:14:14.655] frt/f1: Connection error during SSL handshake";
    let (fields, _) = read("format: haproxy", failed);
    assert_eq!(fields["message"], "Connection error during SSL handshake");
}

#[test]
fn klog_and_glog() {
    let klog = "I0505 17:59:40.692994   28133 klog.go:70] hello from klog";
    let (fields, time) = read("{format: klog, timezone: UTC}", klog);
    assert_eq!(
        fields,
        json!({
            "level": "info", "timestamp": "2026-05-05T17:59:40.692994Z", "id": 28133,
            "file": "klog.go", "line": 70, "message": "hello from klog",
        })
    );
    assert_eq!(time.unwrap(), "2026-05-05T17:59:40.692994Z");
    let glog = "F20210131 14:48:54.411655 15520 main.c++:9] Hello world!";
    let (fields, _) = read("{format: glog, timezone: UTC}", glog);
    assert_eq!(fields["timestamp"], "2021-01-31T14:48:54.411655Z");
    assert_eq!((&fields["level"], &fields["line"]), (&json!("fatal"), &json!(9)));
    assert_eq!(refused("format: klog", "X0505"), "expected I, W, E or F");
}

#[test]
fn what_container_runtimes_write() {
    let cri = "2016-10-06T00:17:09.669794202+00:00 stdout P The content ";
    let (fields, time) = read("format: cri", cri);
    assert_eq!(
        fields,
        json!({
            "timestamp": "2016-10-06T00:17:09.669794202+00:00", "stream": "stdout",
            "partial": true, "message": "The content ",
        })
    );
    assert_eq!(time.unwrap(), "2016-10-06T00:17:09.669794202Z");
    assert_eq!(read("format: cri", "2016-10-06T00:17:09Z stderr F").0["message"], "");
    assert!(refused("format: cri", "2016-10-06T00:17:09Z stdout X a").contains("`F` for a whole"));
    let docker = r#"{"log":"a \"b\" \u00e9\n","stream":"stderr","attrs":{"x":"y"},"time":"2016-10-06T00:17:09.669794202Z"}"#;
    let (fields, time) = read("format: docker", docker);
    assert_eq!(
        fields,
        json!({
            "partial": false, "message": "a \"b\" é", "stream": "stderr", "attrs": {"x": "y"},
            "timestamp": "2016-10-06T00:17:09.669794202Z",
        })
    );
    assert_eq!(time.unwrap(), "2016-10-06T00:17:09.669794202Z");
    // A backslash and an n, and not a line end.
    let (fields, _) = read("format: docker", r#"{"log":"C:\\n"}"#);
    assert_eq!(fields, json!({"partial": true, "message": "C:\\n"}));
    assert_eq!(refused("format: docker", "{}"), "expected an entry `log`");
}

#[test]
fn audit_records_are_decoded() {
    let line = concat!(
        r#"type=EXECVE msg=audit(1364481363.243:24287): argc=2 a0="cat" a1=2F746D702F6120622F63206420 "#,
        r#"uid=0 arch=10000 key=(null) proctitle=636174002F746D70 comm="cat""#,
        "\u{1d}UID=\"root\""
    );
    let (fields, time) = read("format: auditd", line);
    assert_eq!(
        fields,
        json!({
            "type": "EXECVE", "timestamp": "2013-03-28T14:36:03.243Z", "serial": 24287, "argc": 2,
            "a0": "cat", "a1": "/tmp/a b/c d ", "uid": 0, "arch": "10000", "key": null,
            "proctitle": "cat /tmp", "comm": "cat", "UID": "root",
        })
    );
    assert_eq!(time.unwrap(), "2013-03-28T14:36:03.243Z");
    let nested = concat!(
        r#"node=web1 type=USER_LOGIN msg=audit(1364481363.243:24288): pid=1 uid=0 "#,
        r#"msg='op=login acct=7261C3A974 exe="/usr/sbin/sshd" addr=10.0.0.1 res=failed'"#
    );
    let (fields, _) = read("format: linux_audit", nested);
    assert_eq!(fields["node"], "web1");
    assert_eq!(
        fields["msg"],
        json!({
            "op": "login", "acct": "raét", "exe": "/usr/sbin/sshd", "addr": "10.0.0.1",
            "res": "failed",
        })
    );
    assert!(refused("format: auditd", "type=X msg=audit(1:2): a=b").contains("a time such as"));
}

#[test]
fn cef_has_a_header_and_an_extension() {
    let line = concat!(
        r"Sep 19 08:26:10 host CEF:0|Security|threat\|manager|1.0|100|worm stopped|10|",
        r"src=10.0.0.1 spt=1232 msg=it worked\nwell a\=b cs1Label=x",
    );
    let (fields, _) = read("format: cef", line);
    assert_eq!(
        fields,
        json!({
            "cefVersion": "0", "deviceVendor": "Security", "deviceProduct": "threat|manager",
            "deviceVersion": "1.0", "deviceEventClassId": "100", "name": "worm stopped",
            "severity": "10", "src": "10.0.0.1", "spt": 1232, "msg": "it worked\nwell a=b",
            "cs1Label": "x",
        })
    );
    assert_eq!(read("format: cef", "CEF:1|a|b|c|d|e|Low|").0["severity"], "Low");
    assert!(refused("format: cef", "CEF:0|a|b").contains("seven header fields"));
}

#[test]
fn w3c_columns_are_those_of_the_files_last_directive() {
    let mut parse = parser("format: w3c");
    let text = concat!(
        "#Software: Microsoft Internet Information Services 10.0\n",
        "#Fields: date time s-ip cs-uri-query sc-status cs(User-Agent)\n",
        "2024-02-29 12:00:00 10.0.0.1 - 200 Mozilla/5.0+(X)\n",
    );
    let (out, errors) = run(&mut parse, batch(text.as_bytes()));
    assert_eq!((out[0].1.len(), errors), (1, 0));
    let expected = json!({
        "date": "2024-02-29", "time": "12:00:00", "s_ip": "10.0.0.1", "cs_uri_query": null,
        "sc_status": 200, "cs_user_agent": "Mozilla/5.0+(X)",
    });
    assert_eq!(fields(&out[0].1), expected);
    assert_eq!(out[0].1.records().next().unwrap().time_ns(), 1_709_208_000_000_000_000);
    // The directive counts for what is read of the file later, and for no other file.
    let line = b"2024-02-29 12:00:00 10.0.0.1 - 200 Mozilla/5.0+(X)\n";
    assert_eq!(fields(&run(&mut parse, batch(line)).0[0].1), expected);
    let mut other = batch(line);
    other.origin = Arc::new(Origin { path: Some("/other".into()), ..Origin::default() });
    assert_eq!(run(&mut parse, other).1, 1);
    let (fields, _) = read("{format: iis, columns: [cs-method, x]}", "GET \"a b\"");
    assert_eq!(fields, json!({"cs_method": "GET", "x": "a b"}));
}

#[test]
fn aws_load_balancers_and_networks() {
    let alb = concat!(
        r#"http 2018-07-02T22:23:00.186641Z app/lb/50dc 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 "#,
        r#"0.000 200 200 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - - "#,
        r#"arn:aws:x "Root=1-58337262" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#
    );
    let (fields, time) = read("format: aws_alb", alb);
    assert_eq!(time.unwrap(), "2018-07-02T22:23:00.186641Z");
    for (name, value) in [
        ("type", json!("http")),
        ("client_host", json!("192.168.131.39:2817")),
        ("target_processing_time", json!(0.001)),
        ("elb_status_code", json!(200)),
        ("request_method", json!("GET")),
        ("request_url", json!("http://www.example.com:80/")),
        ("request_protocol", json!("HTTP/1.1")),
        ("user_agent", json!("curl/7.46.0")),
        ("ssl_cipher", json!(null)),
        ("trace_id", json!("Root=1-58337262")),
        ("actions_executed", json!("forward")),
        ("target_status_code_list", json!("200")),
        ("classification_reason", json!(null)),
    ] {
        assert_eq!(fields[name], value, "{name}");
    }
    let elb = r#"2015-05-13T23:39:43.945958Z my-lb 192.168.131.39:2817 10.0.0.1:80 0.000086 0.001048 0.001337 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" "curl/7.38.0" DHE-RSA-AES128-SHA TLSv1.2"#;
    assert_eq!(read("format: aws_elb", elb).0["ssl_protocol"], "TLSv1.2");
    assert_eq!(refused("format: aws_elb", "2015-05-13T23:39:43Z my-lb"), "expected more columns");
    let flow = "2 123456789010 eni-1235b8ca 172.31.16.139 - 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK";
    let (fields, time) = read("format: aws_vpc_flow", flow);
    assert_eq!(
        (&fields["account_id"], &fields["srcport"], &fields["dstaddr"], &fields["action"]),
        (&json!("123456789010"), &json!(20641), &json!(null), &json!("ACCEPT"))
    );
    assert_eq!(time.unwrap(), "2014-12-14T04:06:50Z");
    let own = "{format: aws_vpc_flow, columns: [vpc-id, bytes]}";
    let (out, _) = run(&mut parser(own), batch(b"vpc-id bytes\nvpc-1 5\n"));
    assert_eq!(super::fields(&out[0].1), json!({"vpc_id": "vpc-1", "bytes": 5}));
}
