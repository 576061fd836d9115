//! How many requests at once, and how many in a while.

use super::delivery::{Concurrency, RateLimit};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// More than this are never in flight, however well it goes.
const MOST: u32 = 64;
/// What is added to the usual time before an answer counts as slow, so that a quick server's
/// noise does not.
const NOISE: Duration = Duration::from_millis(20);

/// How many requests may be in flight.
#[derive(Debug)]
pub(super) struct Flights {
    adapts: bool,
    limit: f64,
    /// Its whole part.
    whole: u32,
    /// The usual time of an answer, in seconds.
    usual: Option<f64>,
    /// Requests sent before then say nothing new.
    changed: Instant,
}

impl Flights {
    pub(super) fn new(setting: Concurrency) -> Self {
        let (adapts, limit) = match setting {
            Concurrency::Fixed(limit) => (false, limit.max(1)),
            Concurrency::Adaptive => (true, 1),
        };
        Self { adapts, limit: f64::from(limit), whole: limit, usual: None, changed: Instant::now() }
    }

    pub(super) fn limit(&self) -> usize {
        self.whole as usize
    }

    /// Learns from a request that was sent at `sent`: one more at a time while all is well, half
    /// as many once the other side fails or slows down. `busy` tells whether the limit was in use.
    pub(super) fn learn(&mut self, sent: Instant, is_well: bool, busy: bool) {
        if !self.adapts || sent < self.changed {
            return;
        }
        let now = Instant::now();
        let took = (now - sent).as_secs_f64();
        let usual = *self.usual.get_or_insert(took);
        let slow = took > usual * 2.0 + NOISE.as_secs_f64();
        if !is_well || slow {
            self.limit = (self.limit / 2.0).max(1.0);
            self.changed = now;
        } else if busy {
            self.limit = (self.limit + 1.0 / self.limit).min(f64::from(MOST));
        }
        self.whole = (1..=MOST).rev().find(|n| f64::from(*n) <= self.limit).unwrap_or(1);
        if is_well {
            // A server that has become slower for good is the usual one after a while.
            let weight = if took < usual { 0.5 } else { 0.05 };
            self.usual = Some(usual + (took - usual) * weight);
        }
    }
}

/// Spaces requests out evenly.
#[derive(Debug)]
pub(super) struct Rate {
    gap: Duration,
    next: Mutex<Option<Instant>>,
}

impl Rate {
    pub(super) fn new(limit: Option<RateLimit>) -> Self {
        let gap = limit.map_or(Duration::ZERO, |limit| limit.per.0 / limit.requests.max(1));
        Self { gap, next: Mutex::new(None) }
    }

    /// Returns when it is this request's turn.
    pub(super) async fn turn(&self) {
        if self.gap.is_zero() {
            return;
        }
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.map_or(now, |next| next.max(now));
            *next = Some(turn + self.gap);
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::settings::Period;

    #[tokio::test(start_paused = true)]
    async fn the_number_in_flight_grows_while_all_is_well_and_halves_when_it_is_not() {
        let mut flights = Flights::new(Concurrency::Adaptive);
        let round = async |flights: &mut Flights, millis: u64, is_well: bool| {
            let sent = Instant::now();
            tokio::time::sleep(Duration::from_millis(millis)).await;
            for _ in 0..flights.limit() {
                flights.learn(sent, is_well, true);
            }
        };
        assert_eq!(flights.limit(), 1);
        for _ in 0..10 {
            round(&mut flights, 50, true).await;
        }
        let grown = flights.limit();
        assert!((8..=11).contains(&grown), "{grown}");
        round(&mut flights, 50, false).await;
        assert_eq!(flights.limit(), grown / 2, "once a round, however many fail");
        round(&mut flights, 500, true).await;
        assert_eq!(flights.limit(), grown / 4, "slow is a sign too");
        for _ in 0..1000 {
            round(&mut flights, 50, true).await;
        }
        assert_eq!(flights.limit(), MOST as usize);
        assert_eq!(Flights::new(Concurrency::Fixed(7)).limit(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_spaced_out_as_the_rate_says() {
        let limit = RateLimit { requests: 4, per: Period(Duration::from_secs(1)) };
        let rate = Rate::new(Some(limit));
        let begun = Instant::now();
        for _ in 0..9 {
            rate.turn().await;
        }
        assert_eq!(begun.elapsed().as_millis(), 2000);
    }
}
