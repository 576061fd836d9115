//! The runners: what turns a component into a task that reads, settles and counts.

use super::component::{
    BuildContext, BuiltSink, Fault, FaultKind, Outputs, Request, Sink, SinkConfig, SourceConfig,
    Transform, TransformConfig,
};
use super::context::{SinkContext, SourceContext, Stop};
use super::demand::{DemandPort, Demands};
use super::edge::{Envelope, Input};
use super::output::{Fanout, Output};
use super::settings::{BatchSettings, RetrySettings};
use super::supervise::{Backoff, supervise};
use super::telemetry::ComponentTelemetry;
use crate::event::Batch;
use crate::event::ack::{Ack, Outcome};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Runs a source until it ends.
pub(super) async fn run_source(
    config: Arc<dyn SourceConfig>,
    build: BuildContext,
    fanout: Fanout,
    stop: Stop,
    demands: Demands,
) {
    let telemetry = build.env.telemetry.component(&build.name);
    supervise(&build.name, &telemetry, Some(&stop), || {
        let (receipts_in, receipts) = mpsc::unbounded_channel();
        let telemetry = telemetry.clone();
        let output =
            Output { fanout: fanout.clone(), receipts: receipts_in, telemetry: telemetry.clone() };
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
    })
    .await;
    fanout.clear();
}

/// One transform of a chain.
pub(super) struct Member {
    pub(super) config: Arc<dyn TransformConfig>,
    pub(super) build: BuildContext,
}

/// Runs a chain of transforms until its input ends.
pub(super) async fn run_chain(
    members: Vec<Member>,
    input: Input,
    fanouts: Vec<(Arc<str>, Fanout)>,
) {
    let telemetry: Vec<ComponentTelemetry> = members
        .iter()
        .map(|member| member.build.env.telemetry.component(&member.build.name))
        .collect();
    let (Some(first), Some(first_telemetry)) = (members.first(), telemetry.first()) else { return };
    supervise(&first.build.name, first_telemetry, None, || async {
        let mut chain = Vec::new();
        for member in &members {
            chain.push(member.config.build(&member.build)?);
        }
        while let Some(envelope) = input.next().await {
            pass_through(&mut chain, &telemetry, envelope, &fanouts).await?;
        }
        Ok(())
    })
    .await;
    for (_, fanout) in &fanouts {
        fanout.clear();
    }
}

/// Takes one batch through a chain and to the edges behind it.
async fn pass_through(
    chain: &mut [Box<dyn Transform>],
    telemetry: &[ComponentTelemetry],
    envelope: Envelope,
    fanouts: &[(Arc<str>, Fanout)],
) -> Result<(), Fault> {
    let (batch, ack, demand) = envelope.open();
    let unanswered = demand.is_some().then(|| emptied(&batch));
    let mut current: Vec<(Arc<str>, Batch)> = vec![(Arc::from(""), batch)];
    for (transform, telemetry) in chain.iter_mut().zip(telemetry) {
        let started = Instant::now();
        let mut out = Outputs::default();
        for (output, batch) in current {
            // Only the default output leads to the next transform of a chain.
            if output.is_empty() {
                telemetry.received(&batch);
                transform.transform(batch, &mut out)?;
            }
        }
        let (emitted, errors) = out.take();
        telemetry.errors(errors);
        for (_, batch) in &emitted {
            telemetry.sent(batch);
        }
        telemetry.busy(started.elapsed());
        current = emitted;
    }
    if let (true, Some(empty)) = (current.is_empty(), unanswered) {
        // Whoever asked should learn that there is nothing, rather than wait.
        current.push((Arc::from(""), empty));
    }
    let mut arrived = true;
    for (output, batch) in current {
        if let Some((_, fanout)) = fanouts.iter().find(|(name, _)| *name == output) {
            let share = ack.share(fanout.reach());
            arrived &= fanout.send(batch, share, demand).await;
        }
    }
    // What is left of the token stands for what was left out on purpose.
    ack.settle(Outcome::Delivered);
    if arrived { Ok(()) } else { Err(Fault::passing("a component that reads from here has ended")) }
}

fn emptied(batch: &Batch) -> Batch {
    match batch {
        Batch::Metrics(_) => Batch::Metrics(crate::event::metric::MetricBatch::default()),
        other => other.clone(),
    }
}

/// Runs a sink until its input ends.
pub(super) async fn run_sink(
    config: Arc<dyn SinkConfig>,
    build: BuildContext,
    input: Input,
    demand: Arc<DemandPort>,
) {
    let telemetry = build.env.telemetry.component(&build.name);
    supervise(&build.name, &telemetry, None, || async {
        match config.build(&build)? {
            BuiltSink::Stream(sink) => {
                let cx = SinkContext {
                    name: Arc::clone(&build.name),
                    demand: Arc::clone(&demand),
                    telemetry: telemetry.clone(),
                    env: Arc::clone(&build.env),
                };
                sink.run(input.clone(), cx).await
            }
            BuiltSink::Requests { sink, batch, retry } => {
                let name = Arc::clone(&build.name);
                let telemetry = telemetry.clone();
                Requests { sink, batch, retry, name, telemetry }.run(&input).await
            }
        }
    })
    .await;
    // Writers that still wait must not wait for ever.
    input.close().await;
}

struct Requests {
    sink: Box<dyn Sink>,
    batch: BatchSettings,
    retry: RetrySettings,
    name: Arc<str>,
    telemetry: ComponentTelemetry,
}

impl Requests {
    async fn run(mut self, input: &Input) -> Result<(), Fault> {
        let mut request = Request::default();
        let mut acks: Vec<Ack> = Vec::new();
        while let Some(first) = input.next().await {
            let due = Instant::now() + self.batch.age.0;
            self.add(first, &mut request, &mut acks);
            while !self.is_full(&request) {
                let next = if self.batch.age.0 == Duration::ZERO {
                    input.try_next().await
                } else {
                    timeout_at(due, input.next()).await.ok().flatten()
                };
                let Some(next) = next else { break };
                self.add(next, &mut request, &mut acks);
            }
            if request.records() > 0 {
                let outcome = self.deliver(&request).await;
                acks.drain(..).for_each(|ack| ack.settle(outcome));
            } else {
                acks.drain(..).for_each(|ack| ack.settle(Outcome::Delivered));
            }
            request.clear();
        }
        Ok(())
    }

    fn is_full(&self, request: &Request) -> bool {
        request.bytes() >= self.batch.bytes.as_usize() || request.records() >= self.batch.records
    }

    /// Encodes a batch into the request. Its memory is free again once this returns.
    fn add(&mut self, envelope: Envelope, request: &mut Request, acks: &mut Vec<Ack>) {
        let (batch, ack, _) = envelope.open();
        let started = Instant::now();
        self.telemetry.received(&batch);
        match self.sink.encode(&batch, request) {
            Ok(()) => acks.push(ack),
            Err(fault) => {
                tracing::error!(component = &*self.name, reason = fault.message, "batch dropped");
                self.telemetry.errors(1);
                self.telemetry.dropped("encoding", batch.len() as u64);
                ack.settle(Outcome::Dropped);
            }
        }
        self.telemetry.busy(started.elapsed());
    }

    /// Sends until it is accepted or refused for good.
    async fn deliver(&mut self, request: &Request) -> Outcome {
        let mut backoff = Backoff::new(self.retry.initial.0, self.retry.max.0);
        loop {
            let started = Instant::now();
            let sent = self.sink.send(request).await;
            self.telemetry.busy(started.elapsed());
            let fault = match sent {
                Ok(()) => {
                    self.telemetry.delivered(request.records(), request.bytes() as u64);
                    return Outcome::Delivered;
                }
                Err(fault) => fault,
            };
            self.telemetry.errors(1);
            match fault.kind {
                FaultKind::Final => {
                    let records = request.records();
                    tracing::error!(
                        component = &*self.name,
                        reason = fault.message,
                        records,
                        "refused for good, dropped"
                    );
                    self.telemetry.dropped("rejected", records);
                    return Outcome::Dropped;
                }
                FaultKind::Passing(asked) => {
                    let pause = backoff.pause().max(asked.unwrap_or_default());
                    let pause_seconds = pause.as_secs_f64();
                    tracing::warn!(
                        component = &*self.name,
                        reason = fault.message,
                        pause_seconds,
                        "will try again"
                    );
                    self.telemetry.retried();
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}
