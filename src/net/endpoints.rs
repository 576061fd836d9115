//! Endpoints: several servers that are as good as each other.

use super::endpoint::{Endpoint, Wanted};
use crate::topology::component::{Fault, FaultKind};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a server that has failed is left alone, as long as another one does not fail.
const REST: Duration = Duration::from_secs(30);

/// Which of several servers gets a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    /// The first in the list that is well.
    #[default]
    Failover,
    /// Those that are well, in turn.
    Spread,
}

/// Servers that requests go to. One that cannot be reached, does not answer in time or answers 5xx
/// is left alone for a while, and the same request goes to the next.
pub struct Endpoints {
    servers: Vec<Server>,
    balance: Balance,
    /// Counts requests.
    turn: AtomicUsize,
}

struct Server {
    endpoint: Endpoint,
    /// Until when it is left alone.
    rests: Mutex<Option<Instant>>,
}

impl Server {
    fn rests_until(&self) -> Option<Instant> {
        let rests = *self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        rests.filter(|until| *until > Instant::now())
    }

    fn rest(&self, how_long: Option<Duration>) {
        let until = how_long.map(|how_long| Instant::now() + how_long);
        *self.rests.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

impl Endpoints {
    /// These, in this order.
    pub fn new(endpoints: Vec<Endpoint>, balance: Balance) -> Self {
        let server = |endpoint| Server { endpoint, rests: Mutex::new(None) };
        let servers = endpoints.into_iter().map(server).collect();
        Self { servers, balance, turn: AtomicUsize::new(0) }
    }

    /// All of them, in the order in which they are asked: those that rest come last, the one that
    /// has rested longest first.
    fn in_turn(&self) -> Vec<&Server> {
        let first = match self.balance {
            Balance::Failover => 0,
            Balance::Spread => {
                self.turn.fetch_add(1, Ordering::Relaxed) % self.servers.len().max(1)
            }
        };
        let (before, after) = self.servers.split_at(first.min(self.servers.len()));
        let mut servers: Vec<&Server> = after.iter().chain(before).collect();
        servers.sort_by_cached_key(|server| server.rests_until());
        servers
    }

    /// Sends `body` and waits until one server has it; `now` is the time since the epoch. Gives the
    /// answer's text.
    ///
    /// # Errors
    /// What a server says that has the last word, as [`Endpoint::send`] has it; where all have
    /// failed, what the last one met.
    pub async fn send(&self, body: &Bytes, wanted: Wanted, now: Duration) -> Result<String, Fault> {
        let mut told = Err(Fault::passing("there is no server"));
        let mut pauses = Vec::new();
        for server in self.in_turn() {
            told = server.endpoint.send(body.clone(), None, wanted, now).await;
            let Err(Fault { kind: FaultKind::Passing(pause), status, .. }) = &told else {
                server.rest(None);
                return told;
            };
            if status.is_some_and(|status| status < 500) {
                // It is well, and has something to say about this client.
                return told;
            }
            server.rest(Some(pause.unwrap_or_default().max(REST)));
            pauses.push(*pause);
        }
        // The one that wants the shortest pause may be asked again then.
        let pause = pauses.into_iter().min().flatten();
        told.map_err(|fault| Fault { kind: FaultKind::Passing(pause), ..fault })
    }

    /// Whether anything answers at each of them.
    ///
    /// # Errors
    /// A passing fault that tells of those where nothing does.
    pub async fn answer(&self) -> Result<(), Fault> {
        all(self.servers.iter().map(|server| server.endpoint.answers())).await
    }

    /// Whether each of them lets this client in.
    ///
    /// # Errors
    /// A passing fault that tells of those that do not.
    pub async fn admit(&self) -> Result<(), Fault> {
        all(self.servers.iter().map(|server| server.endpoint.admits())).await
    }
}

/// What is wrong anywhere, as one fault.
async fn all(
    looks: impl Iterator<Item = impl Future<Output = Result<(), Fault>>>,
) -> Result<(), Fault> {
    let seen = futures::future::join_all(looks).await;
    let wrong: Vec<String> =
        seen.into_iter().filter_map(|seen| seen.err().map(|fault| fault.message)).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Fault::passing(wrong.join("; "))) }
}
