//! The runners of sources and sinks: what turns a component into a task that is supervised.

use super::component::{BuildContext, BuiltSink, Fault, SinkConfig, SourceConfig};
use super::context::{SinkContext, SourceContext, Stop};
use super::dead_letters::DeadLetters;
use super::demand::{DemandPort, Demands};
use super::edge::Input;
use super::health::State;
use super::output::{CloseOnEnd, Fanout, Output};
use super::requests::{Hand, Runner};
use super::supervise::supervise;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// Runs a source until it ends.
pub(super) async fn run_source(
    config: Arc<dyn SourceConfig>,
    build: BuildContext,
    fanout: Fanout,
    stop: Stop,
    demands: Demands,
) {
    let _end = CloseOnEnd(vec![fanout.clone()]);
    let telemetry = build.env.telemetry.component(&build.name);
    let account = build.env.telemetry.account(&build.name);
    // One of this name may have come to its end before a reload.
    telemetry.at_work();
    supervise(
        || &telemetry,
        Some(&stop),
        || {
            let (receipts_in, receipts) = mpsc::unbounded_channel();
            let telemetry = telemetry.clone();
            let output = Output {
                fanout: fanout.clone(),
                receipts: receipts_in,
                telemetry: telemetry.clone(),
                account: Arc::clone(&account),
            };
            let cx = SourceContext {
                name: Arc::clone(&build.name),
                stop: stop.clone(),
                receipts,
                demands: demands.clone(),
                telemetry,
                env: Arc::clone(&build.env),
            };
            let source = config.build(&build);
            async move { source?.run(output, cx).await }
        },
    )
    .await;
    telemetry.not_at_work(State::Ended, "");
}

/// Runs a sink until its input ends.
pub(super) async fn run_sink(
    config: Arc<dyn SinkConfig>,
    build: BuildContext,
    input: Input,
    demand: Arc<DemandPort>,
    dead_letters: Option<Fanout>,
) {
    let _end = CloseOnEnd(dead_letters.iter().cloned().collect());
    let telemetry = build.env.telemetry.component(&build.name);
    let letters = |way| DeadLetters::new(way, &build.name, &build.env.host);
    let dead_letters = dead_letters.map(letters);
    let hand = Mutex::new(None);
    supervise(
        || &telemetry,
        None,
        || async {
            match config.build(&build)? {
                BuiltSink::Stream(sink) => {
                    let cx = SinkContext {
                        name: Arc::clone(&build.name),
                        demand: Arc::clone(&demand),
                        dead_letters: dead_letters.clone(),
                        telemetry: telemetry.clone(),
                        env: Arc::clone(&build.env),
                    };
                    sink.run(input.clone(), cx).await?;
                    if input.is_over().await {
                        Ok(())
                    } else {
                        Err(Fault::passing("it ended before its input did"))
                    }
                }
                BuiltSink::Requests { encoder, sender, delivery } => {
                    let mut hand = hand.lock().await;
                    let marking = delivery.marking(dead_letters.is_some());
                    let hand = hand.get_or_insert_with(|| Hand::new(marking, &delivery));
                    let dead_letters = dead_letters.clone();
                    let telemetry = &telemetry;
                    let runner =
                        Runner { encoder, sender, delivery, telemetry, hand, dead_letters };
                    runner.run(&input).await
                }
            }
        },
    )
    .await;
}
