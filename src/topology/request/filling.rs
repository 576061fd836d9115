//! The requests that are being filled.

use super::{Marking, Request, Share, Size};
use crate::event::Batch;
use crate::event::ack::Ack;
use crate::event::encode::Encoder;
use crate::topology::component::Fault;
use crate::topology::once::Extents;
use crate::topology::settings::BatchSettings;
use indexmap::IndexMap;
use tokio::time::Instant;

/// The requests that are being filled, one a destination, the oldest first.
#[derive(Default)]
pub struct Requests {
    open: IndexMap<String, Request>,
    /// Those that the batch at hand has filled, by their places among the open ones.
    full: Vec<(usize, Request)>,
    /// Those that the batch at hand has added to, as they were before.
    touched: Vec<Size>,
    epoch: u64,
    /// Records of the batch at hand that go nowhere, and why.
    left_out: Vec<(&'static str, usize)>,
    marking: Marking,
    batch: BatchSettings,
    /// Whether the extents of records are noted.
    extents: bool,
    /// The destination that was last asked for.
    last: usize,
    /// A buffer to fill again.
    spare: Vec<u8>,
}

impl Requests {
    /// None yet; of each record `marking` is noted, and one that is full as `batch` says is
    /// followed by another.
    pub fn new(marking: Marking, batch: BatchSettings) -> Self {
        Self { marking, batch, ..Self::default() }
    }

    /// The same, which notes where records are from if `extents` says so.
    #[must_use]
    pub fn noting(self, extents: bool) -> Self {
        Self { extents, ..self }
    }

    /// The request for `key`, begun now if there is none, or if the one that is there is full.
    pub fn to(&mut self, key: &str) -> &mut Request {
        let is_last = self.open.get_index(self.last).is_some_and(|(last, _)| last == key);
        let known = if is_last { Some(self.last) } else { self.open.get_index_of(key) };
        let at = match known {
            Some(at) => at,
            None => {
                let request = self.begin_request(key);
                self.open.insert_full(key.to_owned(), request).0
            }
        };
        self.last = at;
        if self.open[at].epoch != self.epoch {
            self.open[at].epoch = self.epoch;
            self.touched.push(self.open[at].size(at));
        }
        if self.open[at].is_full(&self.batch) {
            let next = Request { epoch: self.epoch, ..self.begin_request(key) };
            let full = std::mem::replace(&mut self.open[at], next);
            self.full.push((at, full));
        }
        &mut self.open[at]
    }

    /// Adds a batch to the requests for `key`, as many as it fills.
    ///
    /// # Errors
    /// Where the batch has no encoded form.
    pub fn append(&mut self, key: &str, encoder: &mut Encoder, batch: &Batch) -> Result<(), Fault> {
        let limit = self.batch;
        let request = self.to(key);
        let fits = request.body.len() + batch.bytes() <= limit.bytes.as_usize()
            && request.records + batch.len() as u64 <= limit.records;
        match batch {
            Batch::Logs(logs) if !fits => {
                for record in logs.records() {
                    let request = self.to(key);
                    if request.body.is_empty() {
                        encoder.begin(&mut request.body);
                    }
                    request.append_record(&record, |body| {
                        let start = body.len();
                        encoder.encode_record(&record, body);
                        start
                    });
                }
                Ok(())
            }
            _ => request.append(encoder, batch),
        }
    }

    /// Gives up a record of the batch at hand, by its place in it, as one that cannot be sent for this
    /// `reason`. For metrics it is one of the lines that were made of them.
    pub fn leave_out(&mut self, record: usize, reason: &'static str) {
        self.left_out.push((reason, record));
    }

    fn begin_request(&mut self, key: &str) -> Request {
        let mut request = Request::new(key, self.marking);
        request.body = std::mem::take(&mut self.spare);
        request.opened = Some(Instant::now());
        request.extents = self.extents.then(Extents::default);
        request
    }

    /// All that are being filled, the full ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Request> {
        self.full.iter().map(|(_, request)| request).chain(self.open.values())
    }

    /// Begins a batch.
    pub(in crate::topology) fn begin(&mut self) {
        self.epoch += 1;
        self.touched.clear();
        self.left_out.clear();
    }

    /// Takes back what the batch at hand has added.
    pub(in crate::topology) fn roll_back(&mut self) {
        self.left_out.clear();
        // The first that it has filled at a place is the one that was there before.
        while let Some((at, request)) = self.full.pop() {
            if let Some((_, open)) = self.open.get_index_mut(at) {
                *open = request;
            }
        }
        while let Some(size) = self.touched.pop() {
            if size.records == 0 && size.front == 0 && size.body == 0 {
                // What the batch has begun stands behind all that was there before.
                self.open.truncate(size.at);
            } else if let Some((_, request)) = self.open.get_index_mut(size.at) {
                request.cut_back(size);
            }
        }
    }

    /// Ends a batch: gives each request that it has added to its share of it, and gives those
    /// that it has filled, in order.
    pub(in crate::topology) fn end(&mut self, ack: &Ack) -> impl Iterator<Item = Request> + '_ {
        let mut all = 0;
        self.each_added_to(|_, records| all += records);
        self.each_added_to(|request, records| {
            request.shares.push(Share { ack: ack.share_some(records, all), records });
        });
        self.full.drain(..).map(|(_, request)| request)
    }

    /// The reasons for which records of the batch at hand go nowhere, with the places of those.
    pub(in crate::topology) fn take_left_out(&mut self) -> IndexMap<&'static str, Vec<usize>> {
        let mut all: IndexMap<_, Vec<_>> = IndexMap::new();
        for (reason, record) in self.left_out.drain(..) {
            all.entry(reason).or_default().push(record);
        }
        all
    }

    /// Calls `look` with each request that the batch at hand has added to, and with how many
    /// records those are, as they can be told apart.
    fn each_added_to(&mut self, mut look: impl FnMut(&mut Request, u64)) {
        for size in &self.touched {
            let full = self.full.iter_mut().filter(|(at, _)| *at == size.at);
            let full = full.map(|(_, request)| request);
            let open = self.open.get_index_mut(size.at).map(|(_, request)| request);
            // Only the first was there before.
            let mut before = *size;
            for request in full.chain(open) {
                if request.records > before.records {
                    let added = request.since(&before);
                    look(request, added);
                }
                before = Size::default();
            }
        }
    }

    /// Takes out the first that is `done`, if any.
    pub(in crate::topology) fn take(&mut self, done: impl Fn(&Request) -> bool) -> Option<Request> {
        let at = self.open.values().position(done)?;
        self.open.shift_remove_index(at).map(|(_, request)| request)
    }

    pub(in crate::topology) fn len(&self) -> usize {
        self.open.len()
    }

    /// Bytes in all of them.
    pub(in crate::topology) fn bytes(&self) -> usize {
        self.open.values().map(Request::bytes).sum()
    }

    /// When the oldest was begun.
    pub(in crate::topology) fn oldest(&self) -> Option<Instant> {
        self.open.first().and_then(|(_, request)| request.opened)
    }

    /// Takes back the buffer of a request that is done with.
    pub(in crate::topology) fn reuse(&mut self, mut body: Vec<u8>) {
        if body.capacity() > self.spare.capacity() {
            body.clear();
            self.spare = body;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ack::{Outcome, SinkId, SinkSet};
    use crate::event::encode::{Encoding, Extra};
    use crate::event::log::LogBatch;
    use bytes::Bytes;
    use tokio::sync::mpsc;

    fn requests(records: u64) -> Requests {
        Requests::new(Marking::Nothing, BatchSettings { records, ..BatchSettings::default() })
    }

    fn add(requests: &mut Requests, lines: &'static str, encoding: &Encoding) {
        let batch = LogBatch::from_lines(&Bytes::from(lines), Default::default(), 0, 0);
        requests.begin();
        let mut encoder = Encoder::new(encoding, Extra::Nothing);
        requests.append("", &mut encoder, &Batch::Logs(batch)).unwrap();
    }

    fn bodies(requests: &Requests) -> Vec<String> {
        requests.iter().map(|it| String::from_utf8(it.body.clone()).unwrap()).collect()
    }

    #[test]
    fn a_batch_fills_as_many_requests_as_it_takes_each_of_them_whole() {
        let mut text = requests(2);
        add(&mut text, "1\n2\n3\n4\n5\n", &Encoding::Text);
        assert_eq!(bodies(&text), ["1\n2\n", "3\n4\n", "5\n"]);
        let mut json = requests(2);
        add(&mut json, "1\n2\n3\n", &Encoding::Json);
        let message = |text: &str| format!(r#"{{"message":"{text}"}}"#);
        for body in bodies(&json) {
            assert!(body.starts_with('['), "{body}");
        }
        assert!(bodies(&json)[1].contains(&message("3")), "{:?}", bodies(&json));
    }

    #[test]
    fn what_a_batch_has_filled_is_taken_back_with_the_rest_of_it() {
        let mut requests = requests(2);
        add(&mut requests, "1\n", &Encoding::Text);
        requests.end(&Ack::unobserved(SinkSet::ALL)).for_each(drop);
        add(&mut requests, "2\n3\n4\n5\n6\n", &Encoding::Text);
        assert_eq!(bodies(&requests), ["1\n2\n", "3\n4\n", "5\n6\n"]);
        requests.roll_back();
        assert_eq!(bodies(&requests), ["1\n"]);
    }

    #[test]
    fn what_passes_uncopied_keeps_its_order_and_is_taken_back_like_the_rest() {
        let large = |letter: &str| format!("{}\n", letter.repeat(super::super::LEAST_PASSED));
        let pass = |requests: &mut Requests, lines: &str, encoding: &Encoding| {
            let lines = Bytes::from(lines.to_owned());
            let batch = LogBatch::from_lines(&lines, Default::default(), 0, 0);
            requests.begin();
            let mut encoder = Encoder::new(encoding, Extra::Nothing);
            requests.to("").pass(&mut encoder, &Batch::Logs(batch)).unwrap();
        };
        let all = |requests: &Requests| -> Vec<u8> {
            requests.iter().flat_map(Request::parts).flatten().copied().collect()
        };
        let mut requests = requests(100);
        pass(&mut requests, &large("a"), &Encoding::Text);
        pass(&mut requests, &large("b"), &Encoding::Text);
        assert_eq!(requests.iter().next().unwrap().body, b"", "nothing is copied");
        requests.roll_back();
        pass(&mut requests, "c\n", &Encoding::Ndjson);
        // What has no line end of its own, and what comes behind something that was encoded.
        pass(&mut requests, "d", &Encoding::Text);
        pass(&mut requests, &large("e"), &Encoding::Text);
        let expected = format!("{}{{\"message\":\"c\"}}\nd\n{}", large("a"), large("e"));
        assert!(all(&requests) == expected.into_bytes());
        assert_eq!(requests.bytes(), all(&requests).len());
    }

    #[test]
    fn a_batch_is_delivered_once_all_requests_that_hold_some_of_it_are() {
        let (tx, mut rx) = mpsc::unbounded_channel();
        let mut requests = requests(2);
        let sinks = SinkSet::one(SinkId::new(0).unwrap());
        add(&mut requests, "1\n2\n", &Encoding::Text);
        let first = Ack::new(1, sinks, tx.clone());
        assert_eq!(requests.end(&first).count(), 0);
        first.settle(Outcome::Delivered);
        add(&mut requests, "3\n4\n5\n", &Encoding::Text);
        let second = Ack::new(2, sinks, tx);
        let mut full: Vec<Request> = requests.end(&second).collect();
        second.settle(Outcome::Delivered);
        full.extend(requests.take(|_| true));
        let shares: Vec<usize> = full.iter().map(|request| request.shares.len()).collect();
        assert_eq!(shares, [1, 1, 1]);
        let mut settle = |at: usize| {
            full[at].shares.drain(..).for_each(|share| share.ack.settle(Outcome::Delivered));
            std::iter::from_fn(|| rx.try_recv().ok()).map(|it| it.mark).collect::<Vec<_>>()
        };
        assert_eq!(settle(1), Vec::<u64>::new());
        assert_eq!(settle(0), [1]);
        assert_eq!(settle(2), [2]);
    }
}
