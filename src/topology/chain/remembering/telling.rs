//! What members that keep their state have said: it is kept with that before it is sent, and sent
//! again where a crash or a sink has lost it.

use super::{Memory, Piece, Place, Transforms};
use crate::event::ack::SinkSet;
use crate::topology::chain::Chain;
use crate::topology::component::Fault;
use crate::topology::untold::{Again, Untold};
use std::time::Duration;

impl Chain {
    /// Takes up what the process before has not brought to every sink.
    pub(super) fn take_up(&self, untold: &mut Untold) {
        for (at, member) in self.members.iter().enumerate() {
            let gives = member.config.gives(member.config.takes());
            untold.take_up(at, &member.build.untold().unwrap_or_default(), gives);
        }
    }

    /// Lets go of the ways on, so that what lies behind them brings at once what it gathers, and
    /// waits for news of all that was said.
    pub(super) async fn see_told(&self, memory: &mut Memory) {
        self.fanouts.iter().for_each(|(_, fanout)| fanout.close());
        while memory.untold.is_open() {
            memory.untold.hear().await;
            self.keep(memory).await;
        }
    }

    /// Sends again what the process before has not brought to every sink, and what a sink has
    /// lost.
    pub(super) async fn say_again(
        &self,
        transforms: &mut Transforms,
        memory: &mut Memory,
        now: Duration,
    ) -> Result<(), Fault> {
        if !memory.untold.has_lost() {
            return Ok(());
        }
        memory.at = Place::Tick;
        for Again { member, batch, ack } in memory.untold.again(self.reach()) {
            let piece = Piece { output: "".into(), batch, ack };
            let pieces = self.pass(transforms, memory, member + 1, vec![piece], now)?;
            self.keep(memory).await;
            self.give_on_pieces(pieces).await;
        }
        self.keep(memory).await;
        Ok(())
    }

    /// Keeps what members have to know after a restart, and first what they have said.
    pub(super) async fn keep(&self, memory: &mut Memory) {
        for (member, bytes) in memory.untold.take_changed() {
            self.members[member].build.keep_untold(bytes).await;
        }
        for (member, bytes) in std::mem::take(&mut memory.to_keep) {
            self.members[member].build.keep(bytes).await;
        }
    }

    /// The sinks behind the chain.
    pub(super) fn reach(&self) -> SinkSet {
        let routes = self.routes();
        routes.iter().fold(SinkSet::NONE, |set, (_, route)| set.union(route.reach))
    }
}
