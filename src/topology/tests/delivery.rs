//! Requests: filled by destination, several at a time, accepted in part, given up with a letter.

use crate::event::ack::Outcome;
use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::log::LogBatch;
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, BuiltSink, Deliver, Encode, Fault, SinkConfig};
use crate::topology::delivery::{Concurrency, Delivery};
use crate::topology::graph::{Component, Graph};
use crate::topology::request::{Answer, Rejected, Request, Requests};
use crate::topology::run::Topology;
use crate::topology::settings::{BatchSettings, ByteSize, Period, RetrySettings};
use crate::topology::testing::{
    Numbers, Through, add, environment, environment_in, metric, run_to_end, source, transform,
    until,
};
use async_trait::async_trait;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

type Answers = dyn Fn(&str, &[String]) -> Result<Answer, Fault> + Send + Sync;

/// A server that takes lines, by destination, and answers as a closure says.
struct Server {
    /// Destination and lines of what it was sent, when it came.
    got: Mutex<Vec<(String, Vec<String>, Instant)>>,
    answer: Box<Answers>,
    takes: Duration,
    flying: AtomicUsize,
    most_flying: AtomicUsize,
}

impl Server {
    fn new(
        takes_millis: u64,
        answer: impl Fn(&str, &[String]) -> Result<Answer, Fault> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            got: Mutex::default(),
            answer: Box::new(answer),
            takes: Duration::from_millis(takes_millis),
            flying: AtomicUsize::new(0),
            most_flying: AtomicUsize::new(0),
        })
    }

    fn good() -> Arc<Self> {
        Self::new(10, |_, _| Ok(Answer::default()))
    }

    /// What it was sent, in order.
    fn got(&self) -> Vec<(String, Vec<String>)> {
        let got = self.got.lock().unwrap();
        got.iter().map(|(key, lines, _)| (key.clone(), lines.clone())).collect()
    }

    /// The lines for one destination.
    fn lines(&self, key: &str) -> Vec<String> {
        self.got().into_iter().filter(|(to, _)| to == key).flat_map(|(_, lines)| lines).collect()
    }
}

/// A sink that sends lines, each to the destination that it names before a colon.
#[derive(Clone)]
struct Lines {
    server: Arc<Server>,
    delivery: Delivery,
    dead_letter: Option<&'static str>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lines")
    }
}

impl SinkConfig for Lines {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn dead_letter(&self) -> Option<&str> {
        self.dead_letter
    }

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        let encoder = Box::new(ByName(Encoder::new(&Encoding::Text, Extra::Nothing)));
        let sender = Arc::new(Sending(Arc::clone(&self.server)));
        Ok(BuiltSink::Requests { encoder, sender, delivery: self.delivery })
    }
}

struct ByName(Encoder);

impl Encode for ByName {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        let Batch::Logs(logs) = batch else { return Err(Fault::fatal("logs only")) };
        for record in logs.records() {
            let text = String::from_utf8_lossy(record.raw());
            let key = text.split_once(':').map_or("", |(key, _)| key);
            requests.to(key).append_record(&record, |body| {
                let start = body.len();
                self.0.encode_record(&record, body);
                start
            });
        }
        Ok(())
    }
}

struct Sending(Arc<Server>);

#[async_trait]
impl Deliver for Sending {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        let server = &self.0;
        let flying = server.flying.fetch_add(1, SeqCst) + 1;
        server.most_flying.fetch_max(flying, SeqCst);
        sleep(server.takes).await;
        server.flying.fetch_sub(1, SeqCst);
        let text = String::from_utf8(request.body.clone()).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let entry = (request.key.clone(), lines.clone(), Instant::now());
        server.got.lock().unwrap().push(entry);
        (server.answer)(&request.key, &lines)
    }
}

fn delivery(records: u64, age_millis: u64) -> Delivery {
    let age = Period(Duration::from_millis(age_millis));
    let batch = BatchSettings { bytes: ByteSize(1 << 20), records, age };
    Delivery { batch, partial: true, ..Delivery::default() }
}

fn lines(server: &Arc<Server>, delivery: Delivery) -> Lines {
    Lines { server: Arc::clone(server), delivery, dead_letter: None }
}

/// Numbers, which a transform makes lines of, and a sink for these.
fn graph(
    feed: &Arc<Numbers>,
    sink: &Lines,
    text: impl Fn(u64) -> String + Send + Sync + 'static,
) -> Graph {
    let spell = Through::new(move |batch, out| {
        let Batch::Logs(logs) = &batch else { return Ok(()) };
        let origin = Arc::clone(&logs.origin);
        let lines = text(crate::topology::testing::numbers(&batch)[0]).into();
        out.emit(Batch::Logs(LogBatch::from_lines(&lines, origin, logs.offset, 0)));
        Ok(())
    });
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(feed));
    add(&mut graph, "spell", &["in"], "1", transform(spell));
    add(&mut graph, "out", &["spell"], "1", Component::Sink(Arc::new(sink.clone())));
    graph
}

fn spelled(range: std::ops::Range<u64>, spell: impl Fn(u64) -> String) -> Vec<String> {
    range.map(spell).collect()
}

#[tokio::test(start_paused = true)]
async fn each_destination_is_full_and_of_age_by_itself() {
    let (feed, server) = (Numbers::up_to(25), Server::good());
    let sink = lines(&server, delivery(10, 5000));
    // Every fifth goes to b.
    let text = |n: u64| if n.is_multiple_of(5) { format!("b:{n}\n") } else { format!("a:{n}\n") };
    run_to_end(&graph(&feed, &sink, text), &environment()).await;
    let sizes: Vec<(String, usize)> =
        server.got().into_iter().map(|(key, lines)| (key, lines.len())).collect();
    let expected = [("a", 10), ("a", 10), ("b", 5)].map(|(key, size)| (key.to_owned(), size));
    assert_eq!(sizes, expected);
    assert_eq!(server.lines("b"), spelled(0..5, |n| format!("b:{}", n * 5)));
}

#[tokio::test(start_paused = true)]
async fn a_batch_counts_as_delivered_once_the_last_of_its_requests_is_safe() {
    let (feed, tries) = (Numbers::up_to(1), AtomicUsize::new(0));
    let server = Server::new(0, move |key, _| match key {
        "b" if tries.fetch_add(1, SeqCst) < 5 => Err(Fault::passing("away")),
        _ => Ok(Answer::default()),
    });
    let sink = lines(&server, delivery(10, 10));
    let graph = graph(&feed, &sink, |n| format!("a:{n}\nb:{n}\n"));
    let mut topology = Topology::start(&graph, environment()).unwrap();
    until("a has its share and b has refused", || server.got().len() > 3).await;
    assert_eq!(feed.outcomes("out", 0), []);
    topology.finished().await;
    assert_eq!(feed.outcomes("out", 0), [Outcome::Delivered]);
    assert_eq!(server.lines("a").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn beyond_so_many_destinations_the_oldest_goes_first() {
    let (feed, server) = (Numbers::up_to(10), Server::good());
    let sink = lines(&server, Delivery { open_requests: 3, ..delivery(100, 3_600_000) });
    let graph = graph(&feed, &sink, |n| format!("{n}:x\n"));
    let begun = Instant::now();
    let mut topology = Topology::start(&graph, environment()).unwrap();
    until("all but three have gone", || server.got().len() >= 7).await;
    assert!(begun.elapsed() < Duration::from_secs(60));
    topology.finished().await;
    let keys: Vec<String> = server.got().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, spelled(0..10, |n| n.to_string()));
}

#[tokio::test(start_paused = true)]
async fn several_requests_fly_at_a_time_but_of_one_destination_only_where_that_is_allowed() {
    for (key_order, expected) in [(true, 2), (false, 4)] {
        let (feed, server) = (Numbers::up_to(100), Server::good());
        let concurrency = Concurrency::Fixed(4);
        let sink = lines(&server, Delivery { concurrency, key_order, ..delivery(1, 1000) });
        let text =
            |n: u64| if n.is_multiple_of(2) { format!("a:{n}\n") } else { format!("b:{n}\n") };
        run_to_end(&graph(&feed, &sink, text), &environment()).await;
        assert_eq!(server.got().len(), 100);
        // A request of the one destination may wait for its turn before one of the other comes.
        let most = server.most_flying.load(SeqCst);
        assert!(most <= expected && most >= expected - 1, "{most}");
        if key_order {
            assert_eq!(server.lines("a"), spelled(0..50, |n| format!("a:{}", n * 2)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_records_that_were_not_accepted_are_sent_again() {
    let (feed, env) = (Numbers::up_to(10), environment());
    let tries = AtomicUsize::new(0);
    let server = Server::new(0, move |_, lines| {
        let at = |text: &str| lines.iter().position(|line| line == text);
        let first = tries.fetch_add(1, SeqCst) < 2;
        let again = if first { [at("3"), at("7")].into_iter().flatten().collect() } else { vec![] };
        let rejected =
            at("5").map(|record| Rejected { record, reason: "bad".into(), status: None });
        let reason = "busy".to_owned();
        Ok(Answer { rejected: rejected.into_iter().collect(), again, reason, pause: None })
    });
    let sink = lines(&server, delivery(10, 1000));
    run_to_end(&graph(&feed, &sink, |n| format!("{n}\n")), &env).await;
    let got: Vec<Vec<String>> = server.got().into_iter().map(|(_, lines)| lines).collect();
    assert_eq!(got[0], spelled(0..10, |n| n.to_string()));
    assert_eq!(got[1..], [["3", "7"], ["3", "7"]]);
    assert_eq!(feed.outcomes("out", 3), [Outcome::Dropped], "one of its request was");
    let counted = |name: &str| metric(&env, name, &[("component", "out")]);
    assert_eq!(counted("driftless_component_dropped_events_total"), 1.0);
    assert_eq!(counted("driftless_component_sent_events_total"), 9.0);
    assert_eq!(counted("driftless_component_retries_total"), 2.0);
}

fn with_letters(server: &Arc<Server>, delivery: Delivery) -> Lines {
    Lines { dead_letter: Some("letters"), ..lines(server, delivery) }
}

#[tokio::test(start_paused = true)]
async fn what_is_rejected_goes_to_the_dead_letters_and_is_delivered_once_it_is_safe_there() {
    let (feed, env) = (Numbers::up_to(6), environment());
    let server = Server::new(0, |_, lines| {
        let bad = lines.iter().position(|line| line == "4");
        let bad =
            bad.map(|record| Rejected { record, reason: "no \"4\"".into(), status: Some(400) });
        Ok(Answer { rejected: bad.into_iter().collect(), ..Answer::default() })
    });
    let tries = AtomicUsize::new(0);
    let letters = Server::new(0, move |_, _| match tries.fetch_add(1, SeqCst) {
        0..3 => Err(Fault::passing("full")),
        _ => Ok(Answer::default()),
    });
    let mut graph = graph(&feed, &with_letters(&server, delivery(3, 10)), |n| format!("{n}\n"));
    let to = Component::Sink(Arc::new(lines(&letters, delivery(10, 0))));
    add(&mut graph, "letters", &[], "1", to);
    let mut topology = Topology::start(&graph, Arc::clone(&env)).unwrap();
    until("all but the letter is safe", || server.got().len() == 2).await;
    assert_eq!(feed.outcomes("out", 4), []);
    topology.finished().await;
    assert_eq!(feed.outcomes("out", 4), [Outcome::Delivered]);
    let letter: serde_json::Value =
        serde_json::from_str(letters.got().last().unwrap().1.last().unwrap()).unwrap();
    let expected = serde_json::json!({
        "message": "4", "reason": "no \"4\"", "sink": "out", "status": 400, "source": "",
        "offset": 4,
    });
    assert_eq!(letter, expected);
    let counted = metric(&env, "driftless_component_dead_letters_total", &[("component", "out")]);
    assert_eq!(counted, 1.0);
    assert_eq!(metric(&env, "driftless_component_dropped_events_total", &[]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_has_arrived_is_not_sent_again_by_a_run_that_takes_over_from_one_that_failed() {
    let (feed, env) = (Numbers::up_to(40), environment());
    let crashed = AtomicUsize::new(0);
    let server = Server::new(10, move |_, lines| {
        let number: u64 = lines[0].parse().unwrap();
        assert!(number != 30 || crashed.fetch_add(1, SeqCst) > 0, "a bug");
        let bad = (number < 6).then(|| Rejected { record: 0, reason: "no".into(), status: None });
        Ok(Answer { rejected: bad.into_iter().collect(), ..Answer::default() })
    });
    // Letters wait for each other, and with them the requests that they are from.
    let letters = Server::new(600_000, |_, _| Ok(Answer::default()));
    let many = Delivery { concurrency: Concurrency::Fixed(8), key_order: false, ..delivery(1, 10) };
    let mut graph = graph(&feed, &with_letters(&server, many), |n| format!("{n}\n"));
    let to = Component::Sink(Arc::new(lines(&letters, delivery(1, 0))));
    add(&mut graph, "letters", &[], "1", to);
    let small = serde_json::json!({ "max_batches": 1 });
    graph.nodes["letters"].buffer.settings = serde_json::from_value(small).unwrap();
    run_to_end(&graph, &env).await;
    assert_eq!(metric(&env, "driftless_component_restarts_total", &[("component", "out")]), 1.0);
    for number in (0..40).filter(|number| *number != 30) {
        let sent = server.lines("").into_iter().filter(|line| *line == number.to_string()).count();
        assert!(sent == 1 || (number > 23 && sent == 2), "{number}: {sent} times");
    }
    assert_eq!(letters.lines("").len(), 6);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_wait_in_the_buffer_of_their_sink_like_all_that_comes_there() {
    let dir = tempfile::tempdir().unwrap();
    let graph = |feed: &Arc<Numbers>, letters: &Arc<Server>| {
        let server = Server::new(0, |_, _| Err(Fault::fatal("no")));
        let sink = with_letters(&server, delivery(3, 10));
        let mut graph = graph(feed, &sink, |n| format!("{n}\n"));
        let to = Component::Sink(Arc::new(lines(letters, delivery(10, 0))));
        add(&mut graph, "letters", &[], "1", to);
        let disk = serde_json::json!({ "type": "disk", "max_bytes": "1MiB", "sync": "10ms" });
        graph.nodes["letters"].buffer.settings = serde_json::from_value(disk).unwrap();
        graph
    };
    let feed = Numbers::up_to(6);
    let away = Server::new(0, |_, _| Err(Fault::passing("away")));
    let topology = Topology::start(&graph(&feed, &away), environment_in(dir.path())).unwrap();
    until("all is safe", || feed.outcomes("out", 5) == [Outcome::Delivered]).await;
    topology.stop(Duration::from_secs(60)).await;
    let back = Server::good();
    run_to_end(&graph(&Numbers::up_to(0), &back), &environment_in(dir.path())).await;
    assert_eq!(back.lines("").len(), 6);
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_while_a_sink_waits_for_its_server() {
    let (feed, env) = (Numbers::up_to(3), environment());
    let away = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_away = Arc::clone(&away);
    let server = Server::new(0, move |_, _| match is_away.load(SeqCst) {
        true => Err(Fault::passing("no such bucket")),
        false => Ok(Answer::default()),
    });
    let graph = graph(&feed, &lines(&server, delivery(10, 10)), |n| format!("{n}\n"));
    let mut topology = Topology::start(&graph, Arc::clone(&env)).unwrap();
    let failing = || metric(&env, "driftless_sink_failing", &[("component", "out")]);
    until("it has tried in vain", || failing() == 1.0).await;
    away.store(false, SeqCst);
    topology.finished().await;
    assert_eq!(failing(), 0.0);
}

#[tokio::test(start_paused = true)]
async fn after_so_many_attempts_a_request_is_given_up() {
    let (feed, env) = (Numbers::up_to(3), environment());
    let server = Server::new(0, |_, lines| match lines[0].as_str() {
        "1" => Err(Fault::passing("never")),
        _ => Ok(Answer::default()),
    });
    let letters = Server::good();
    let retry = RetrySettings { attempts: NonZeroU32::new(3), ..RetrySettings::default() };
    let sink = with_letters(&server, Delivery { retry, ..delivery(1, 10) });
    let mut graph = graph(&feed, &sink, |n| format!("{n}\n"));
    let to = Component::Sink(Arc::new(lines(&letters, delivery(10, 0))));
    add(&mut graph, "letters", &[], "1", to);
    run_to_end(&graph, &env).await;
    assert_eq!(server.lines(""), ["0", "1", "1", "1", "2"]);
    let letter = &letters.lines("")[0];
    assert!(letter.contains("given up after 3 attempts: never"), "{letter}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_tried_again() {
    let (feed, env, server) =
        (Numbers::up_to(1), environment(), Server::new(5000, |_, _| Ok(Answer::default())));
    let retry = RetrySettings { attempts: NonZeroU32::new(2), ..RetrySettings::default() };
    let timeout = Some(Duration::from_secs(1));
    let sink = lines(&server, Delivery { retry, timeout, ..delivery(1, 10) });
    run_to_end(&graph(&feed, &sink, |n| format!("{n}\n")), &env).await;
    assert_eq!(feed.outcomes("out", 0), [Outcome::Dropped]);
    let dropped = [("component", "out"), ("reason", "attempts")];
    assert_eq!(metric(&env, "driftless_component_dropped_events_total", &dropped), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_bug_in_one_of_many_requests_loses_none_and_costs_only_that_one() {
    let (feed, env) = (Numbers::up_to(50), environment());
    let server = Server::new(10, |_, lines| {
        assert_ne!(lines[0], "20", "a bug");
        Ok(Answer::default())
    });
    let concurrency = Concurrency::Fixed(4);
    let sink = lines(&server, Delivery { concurrency, key_order: false, ..delivery(1, 10) });
    run_to_end(&graph(&feed, &sink, |n| format!("{n}\n")), &env).await;
    let mut got: Vec<u64> = server.lines("").iter().map(|line| line.parse().unwrap()).collect();
    got.sort_unstable();
    got.dedup();
    assert_eq!(got, (0..50).collect::<Vec<_>>());
    let dropped = [("component", "out"), ("reason", "crashes")];
    assert_eq!(metric(&env, "driftless_component_dropped_events_total", &dropped), 1.0);
    assert_eq!(feed.sent(), 50, "nothing had to be read again");
}

#[tokio::test(start_paused = true)]
async fn a_reload_of_the_sink_for_dead_letters_loses_none() {
    let (feed, env) = (Numbers::up_to(200), environment());
    let server = Server::new(10, |_, lines| {
        let all = 0..lines.len();
        let rejected =
            all.map(|record| Rejected { record, reason: "no".into(), status: None }).collect();
        Ok(Answer { rejected, ..Answer::default() })
    });
    let (old, new) = (Server::good(), Server::good());
    let sink = with_letters(&server, delivery(1, 10));
    let graph = |letters: &Arc<Server>, revision: &str| {
        let mut graph = graph(&feed, &sink, |n| format!("{n}\n"));
        let to = Component::Sink(Arc::new(lines(letters, delivery(1, 0))));
        add(&mut graph, "letters", &[], revision, to);
        graph
    };
    // Only the sink for the letters differs: the same transform must be the same component.
    let mut topology = Topology::start(&graph(&old, "1"), Arc::clone(&env)).unwrap();
    until("some letters came", || old.got().len() > 20).await;
    topology.reload(&graph(&new, "2")).unwrap();
    topology.finished().await;
    assert!(!new.got().is_empty());
    let mut got: Vec<u64> = [old.lines(""), new.lines("")]
        .concat()
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|letter| letter["message"].as_str().unwrap().parse().unwrap())
        .collect();
    got.sort_unstable();
    assert_eq!(got, (0..200).collect::<Vec<_>>());
}

#[test]
fn dead_letters_go_to_another_sink_for_logs_and_never_around() {
    let feed = Numbers::up_to(0);
    let wired = |pairs: &[(&'static str, Option<&'static str>)]| {
        let mut graph = Graph::default();
        add(&mut graph, "in", &[], "1", source(&feed));
        for (name, dead_letter) in pairs {
            let sink = lines(&Server::good(), Delivery::default());
            let sink = Component::Sink(Arc::new(Lines { dead_letter: *dead_letter, ..sink }));
            let inputs: &[&str] = if *name == "letters" { &[] } else { &["in"] };
            add(&mut graph, name, inputs, "1", sink);
        }
        graph.wire().map_err(|all| {
            all.iter()
                .map(|one| format!("{} ({})", one.message, one.hint.as_deref().unwrap_or_default()))
                .collect::<Vec<_>>()
                .join("\n")
        })
    };
    let wiring = wired(&[("out", Some("letters")), ("letters", None)]).unwrap();
    assert_eq!(&*wiring.inputs["letters"][0].output, "dead_letter");
    for (pairs, reason) in [
        (&[("out", Some("leters")), ("letters", None)][..], "did you mean `letters`?"),
        (&[("out", Some("in"))], "which is no sink"),
        (&[("out", Some("out"))], "to itself"),
        (&[("out", Some("b")), ("b", Some("out"))], "in a circle"),
    ] {
        let refusal = wired(pairs).unwrap_err();
        assert!(refusal.contains(reason), "{refusal}");
    }
}
