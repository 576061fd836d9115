//! A program that is talked with: what it is told and what it says are two streams, and it has
//! until a deadline.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much of what a program complains about is kept.
const COMPLAINT_BYTES: u64 = 8 << 10;

/// What a pipe that is ready takes without making its writer wait (`PIPE_BUF` of pipe(7)).
const PIPE_BYTES: usize = 4096;

/// How long a program that has said all may take to end.
const PARTING: Duration = Duration::from_secs(5);

/// A running program. It is killed when this is dropped.
pub struct Dialogue {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    complaint: Option<JoinHandle<String>>,
    deadline: Instant,
}

/// What a program answered that was told everything at once.
pub struct Answer {
    /// All that it said.
    pub said: Vec<u8>,
    /// What it complained about, where it ended badly.
    pub complaint: Option<String>,
}

impl Dialogue {
    /// Starts a program, without a shell, in the C locale and a process group of its own.
    ///
    /// # Errors
    /// Where there is no such program, or the system has no room for it.
    pub fn start(argv: &[String], deadline: Instant) -> io::Result<Self> {
        let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (stdin @ Some(_), Some(stdout), Some(mut stderr)) = streams else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        // Read all along, since a program whose complaints nobody takes would wait.
        let complaint = std::thread::spawn(move || {
            let mut kept = Vec::new();
            let beginning = stderr.by_ref().take(COMPLAINT_BYTES).read_to_end(&mut kept);
            beginning.and_then(|_| io::copy(&mut stderr, &mut io::sink())).ok();
            String::from_utf8_lossy(&kept).into_owned()
        });
        Ok(Self { child, stdin, stdout, complaint: Some(complaint), deadline })
    }

    /// Waits until one of `wanted` can be done with a stream, or it is too late.
    fn wait(&self, stream: impl AsFd, wanted: PollFlags) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(stream.as_fd(), wanted)], left) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => Ok(()),
            Err(nix::errno::Errno::EINTR) => self.wait(stream, wanted),
            Err(error) => Err(error.into()),
        }
    }

    /// What the program complained about, once it has ended, if it ended badly.
    fn complaint(&mut self) -> Option<String> {
        let patience = Instant::now() + PARTING;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < patience => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(None) | Err(_) => return None,
            }
        };
        if status.success() {
            return None;
        }
        let text = self.complaint.take().and_then(|thread| thread.join().ok());
        Some(text.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| status.to_string()))
    }
}

impl Read for Dialogue {
    /// As for any stream; the end is an error where the program ended badly, which says why.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(&self.stdout, PollFlags::POLLIN)?;
        match self.stdout.read(buffer)? {
            0 => self.complaint().map_or(Ok(0), |text| Err(io::Error::other(text))),
            count => Ok(count),
        }
    }
}

impl Write for Dialogue {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(stdin) = &self.stdin else { return Err(io::ErrorKind::BrokenPipe.into()) };
        self.wait(stdin, PollFlags::POLLOUT)?;
        let Some(stdin) = &mut self.stdin else { return Err(io::ErrorKind::BrokenPipe.into()) };
        stdin.write(&bytes[..bytes.len().min(PIPE_BYTES)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs a program, tells it `input` and hears what it says, up to `most` bytes. For one that says
/// little before it has heard all.
///
/// # Errors
/// Where it cannot be started, says more, or has not ended by the deadline.
pub fn ask(argv: &[String], input: &[u8], most: u64, deadline: Instant) -> io::Result<Answer> {
    let mut dialogue = Dialogue::start(argv, deadline)?;
    // One that ends without reading it all says why by how it ends.
    dialogue.write_all(input).ok();
    // The end of its input is what such a program waits for.
    dialogue.stdin = None;
    let mut said = Vec::new();
    let read = Read::by_ref(&mut dialogue).take(most + 1).read_to_end(&mut said);
    if said.len() as u64 > most {
        return Err(io::Error::other("it says too much"));
    }
    match read {
        Ok(_) => Ok(Answer { complaint: None, said }),
        Err(error) if error.kind() == io::ErrorKind::Other => {
            Ok(Answer { complaint: Some(error.to_string()), said })
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_program_hears_all_and_says_all() {
        let input = vec![b'x'; 300_000];
        let answer = ask(&shell("wc -c"), &input, 100, soon()).unwrap();
        assert!(answer.complaint.is_none());
        assert_eq!(answer.said.trim_ascii(), b"300000");
        assert!(ask(&shell("head -c 5000 /dev/zero"), b"", 1000, soon()).is_err());
    }

    #[test]
    fn one_that_ends_badly_says_why() {
        let script = "echo so far; echo no key >&2; exit 3";
        let answer = ask(&shell(script), b"unread", 100, soon()).unwrap();
        assert_eq!(answer.said, b"so far\n");
        assert_eq!(answer.complaint.unwrap().trim(), "no key");
    }

    #[test]
    fn one_that_says_nothing_is_not_waited_for_beyond_the_deadline() {
        let late = Instant::now() + Duration::from_millis(50);
        let mut dialogue = Dialogue::start(&shell("exec sleep 600"), late).unwrap();
        let error = dialogue.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
