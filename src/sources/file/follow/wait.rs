//! Waiting for room below without losing sight of the files: while a sink is away they are
//! renamed and removed all the same.

use super::{End, Follower};
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

/// Between two looks at the files while nothing can be sent.
const LOOK_EVERY: Duration = Duration::from_millis(500);

enum Woken<T> {
    Done(T),
    Abandoned,
    Look,
}

impl Follower {
    /// Waits for `future`, and does what is due meanwhile.
    pub(super) fn wait_for<T>(&mut self, future: impl Future<Output = T>) -> Result<T, End> {
        let mut future = pin!(future);
        loop {
            let abandoned = &mut self.abandoned;
            let woken = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    done = &mut future => Woken::Done(done),
                    _ = abandoned.changed() => Woken::Abandoned,
                    () = tokio::time::sleep(LOOK_EVERY) => Woken::Look,
                }
            });
            match woken {
                Woken::Done(done) => return Ok(done),
                Woken::Abandoned => return Err(End::Abandoned),
                Woken::Look => self.look_around(),
            }
        }
    }

    /// Meets new files, follows names, notes sizes and pins what is behind, but reads nothing.
    fn look_around(&mut self) {
        while let Ok(receipt) = self.cx.receipts.try_recv() {
            self.settle(receipt);
        }
        self.listen(Duration::ZERO);
        for id in &self.catalog.busy {
            if let Some(file) = self.catalog.files.get_mut(id) {
                file.look_at_size();
            }
        }
        self.do_what_is_due(Instant::now());
    }
}
