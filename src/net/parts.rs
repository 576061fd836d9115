//! A request that a server refuses as a whole is sent again in halves, until what it cannot take is
//! found. What only a person can put right waits for that.

use crate::event::encode::compress::Compression;
use crate::topology::component::{Fault, FaultKind};
use crate::topology::request::{Answer, Rejected};
use async_trait::async_trait;
use std::ops::Range;

/// So many times something wrong is looked for in a request. What is refused then is rejected as it
/// is, so that a server that dislikes everything costs a bounded number of requests.
const MOST_SEARCHES: usize = 400;

/// Sends some of a request's records.
#[async_trait]
pub trait SendPart: Sync {
    /// Sends the records of this range. Their places in the answer count from its beginning.
    async fn send(&self, part: Range<usize>) -> Result<Answer, Fault>;
}

/// Sends all `records` of a request, in order: at once, or in parts where the server says that
/// there is too much (413) or something wrong (400, 422) in it. A single record that it still
/// refuses is rejected. A server that lets nobody in (401, 403) or is not there (404, 405) counts as
/// one that is away.
///
/// # Errors
/// What befell all of it. What befell a part is in the answer.
pub async fn send_in_parts(sender: &dyn SendPart, records: usize) -> Result<Answer, Fault> {
    // From the last to the next.
    let mut left: Vec<Range<usize>> = std::iter::once(0..records).collect();
    let mut answer = Answer::default();
    let mut searches = 0;
    while let Some(part) = left.pop() {
        let is_all = part.len() == records;
        let fault = match sender.send(part.clone()).await {
            Ok(said) => {
                add(&mut answer, said, part.start);
                continue;
            }
            Err(fault) => waiting(fault),
        };
        match (fault.kind, fault.status) {
            (FaultKind::Final, Some(status @ (400 | 413 | 422)))
                if part.len() > 1 && (status == 413 || searches < MOST_SEARCHES) =>
            {
                searches += usize::from(status != 413);
                let middle = part.start + part.len() / 2;
                left.push(middle..part.end);
                left.push(part.start..middle);
            }
            (FaultKind::Passing(_), _) if is_all => return Err(fault),
            (FaultKind::Passing(pause), _) => {
                left.push(part);
                answer.again.extend(left.drain(..).rev().flatten());
                answer.reason = fault.message;
                answer.pause = answer.pause.max(pause);
            }
            (FaultKind::Final, _) if is_all => return Err(fault),
            (FaultKind::Final, status) => answer.rejected.extend(part.map(|record| Rejected {
                record,
                reason: fault.message.clone(),
                status,
            })),
        }
    }
    Ok(answer)
}

/// What a person has to put right at the server or in the config is no reason to drop anything.
fn waiting(fault: Fault) -> Fault {
    let hint = match fault.status {
        Some(401 | 403) => "look at `auth` and what this user may do",
        Some(404 | 405) => "look at `url`",
        _ => return fault,
    };
    let message = format!("{}; {hint}; until then everything waits", fault.message);
    Fault { message, kind: FaultKind::Passing(None), ..fault }
}

/// A request's body as it goes over the wire.
///
/// # Errors
/// Where it cannot be compressed.
pub fn packed(compression: Compression, parts: &[&[u8]]) -> Result<Vec<u8>, Fault> {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let room = if compression.is_none() { bytes } else { bytes / 8 + 64 };
    let mut body = Vec::with_capacity(room);
    compression
        .append(parts, &mut body)
        .map_err(|error| Fault::fatal(format!("compress a request: {error}")))?;
    Ok(body)
}

/// Adds what was said of a part that begins at `start`.
fn add(answer: &mut Answer, said: Answer, start: usize) {
    answer.rejected.extend(said.rejected.into_iter().map(|mut rejected| {
        rejected.record += start;
        rejected
    }));
    answer.again.extend(said.again.into_iter().map(|record| record + start));
    if answer.reason.is_empty() {
        answer.reason = said.reason;
    }
    answer.pause = answer.pause.max(said.pause);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::time::Duration;

    /// A server that takes so many records at a time, dislikes some, and gives out after a while.
    struct Server {
        most: usize,
        bad: Vec<usize>,
        sends: usize,
        taken: Mutex<(usize, Vec<usize>)>,
    }

    #[async_trait]
    impl SendPart for Server {
        async fn send(&self, part: Range<usize>) -> Result<Answer, Fault> {
            let mut taken = self.taken.lock().unwrap();
            taken.0 += 1;
            if taken.0 > self.sends {
                let kind = FaultKind::Passing(Some(Duration::from_secs(5)));
                return Err(Fault { message: "busy".into(), kind, status: Some(429) });
            }
            let refusal = |status| Fault { status: Some(status), ..Fault::fatal("no") };
            if part.len() > self.most {
                return Err(refusal(413));
            }
            if part.clone().any(|record| self.bad.contains(&record)) {
                return Err(refusal(400));
            }
            taken.1.extend(part);
            Ok(Answer::default())
        }
    }

    fn server(most: usize, bad: &[usize]) -> Server {
        Server { most, bad: bad.to_vec(), sends: usize::MAX, taken: Mutex::default() }
    }

    #[tokio::test]
    async fn what_is_too_much_goes_in_parts_and_in_order() {
        let server = server(3, &[]);
        assert_eq!(send_in_parts(&server, 10).await, Ok(Answer::default()));
        assert_eq!(server.taken.lock().unwrap().1, (0..10).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn only_the_bad_records_are_rejected() {
        let server = server(100, &[0, 7, 8]);
        let answer = send_in_parts(&server, 10).await.unwrap();
        let rejected: Vec<usize> = answer.rejected.iter().map(|it| it.record).collect();
        assert_eq!((rejected, answer.rejected[0].status), (vec![0, 7, 8], Some(400)));
        assert_eq!(server.taken.lock().unwrap().1, [1, 2, 3, 4, 5, 6, 9]);
    }

    #[tokio::test]
    async fn a_server_that_lets_nobody_in_is_one_that_is_away() {
        struct Closed(u16);
        #[async_trait]
        impl SendPart for Closed {
            async fn send(&self, _: Range<usize>) -> Result<Answer, Fault> {
                Err(Fault { status: Some(self.0), ..Fault::fatal("no") })
            }
        }
        for (status, hint) in [(401, "`auth`"), (403, "`auth`"), (404, "`url`"), (405, "`url`")] {
            let fault = send_in_parts(&Closed(status), 3).await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::Passing(None), "{status}");
            assert!(fault.message.contains(hint), "{}", fault.message);
        }
    }

    #[tokio::test]
    async fn what_was_not_taken_in_time_goes_again_alone() {
        let server = Server { sends: 3, ..server(4, &[]) };
        let answer = send_in_parts(&server, 8).await.unwrap();
        let pause = Some(Duration::from_secs(5));
        assert_eq!(answer.again, Vec::<usize>::new(), "three sends are enough here");
        let server = Server { sends: 2, ..self::server(4, &[]) };
        let answer_2 = send_in_parts(&server, 8).await.unwrap();
        assert_eq!((answer_2.again, answer_2.pause), (vec![4, 5, 6, 7], pause));
        assert_eq!(answer_2.reason, "busy");
        let server = Server { sends: 0, ..self::server(4, &[]) };
        assert_eq!(send_in_parts(&server, 8).await.unwrap_err().message, "busy");
    }

    #[tokio::test]
    async fn a_server_that_refuses_everything_is_not_asked_without_end() {
        let server = server(100_000, &(0..50_000).collect::<Vec<_>>());
        let answer = send_in_parts(&server, 50_000).await.unwrap();
        assert_eq!(answer.rejected.len(), 50_000);
        assert!(server.taken.lock().unwrap().0 < 2 * MOST_SEARCHES + 2);
    }
}
