//! Where records come from and go to: a socket, or two buffers in memory.

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};

use crate::bio::MemoryBIO;
use crate::buffer::borrow_fd;
use crate::failure::Failure;
use crate::pool::Buffer;
use crate::records::{BATCH, Begun, HEADER, MAX_FRAGMENT, RECORD_EXTRA};

/// More than an alert takes, in any version and suite: what a batch leaves in the kernel.
const LEFT_IN_SIGHT: usize = 64;
/// A record that is longer holds no alert, unless it is padded: something follows it in the same stream.
const NO_ALERT: usize = 64;

/// How long a writer waits before Python looks for signals again.
const LOOKUP: Duration = Duration::from_millis(250);

/// How many reads `drain` makes at most.
const DRAINS: usize = 4;

/// How long a call may take.
#[derive(Clone, Copy)]
pub enum Wait {
    No,
    Until(Instant),
    Forever,
}

/// Where records come from and go to.
pub trait Transport {
    /// Whole records, at least one, for a caller that wants `wanted` bytes of plaintext; what has come of the
    /// next one stays in `begun`. Nothing at all is the end.
    fn receive(&self, begun: &mut Begun, wanted: usize, wait: Wait) -> Result<Buffer, Failure>;
    /// Hands over `records`, and takes from them what was handed over, where not everything was.
    fn send(&self, records: &mut Buffer) -> Result<(), Failure>;
    /// Turns Nagle's algorithm off, where `on`, or on again; false where it was so, or there is none.
    fn hurry(&self, _on: bool) -> bool {
        false
    }
    /// Whether a write may carry more than one record: not where a caller may stop between two.
    fn batches(&self) -> bool;
    /// Looks up from a read that goes on without bringing anything: whether it is time to stop.
    fn pause(&self) -> Result<(), Failure>;
    /// Throws away what has come, up to a bound, where unread bytes would make closing a reset.
    fn drain(&self) {}
    fn wait(&self) -> Wait;
}

pub struct Socket {
    pub fd: RawFd,
    pub wait: Wait,
}

impl Socket {
    fn ready(&self, flags: PollFlags, blocked: Failure, wait: Wait) -> Result<(), Failure> {
        let timeout = match wait {
            Wait::No => return Err(blocked),
            Wait::Forever => None,
            Wait::Until(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Failure::Timeout);
                }
                Some(Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() })
            }
        };
        let fd = borrow_fd(self.fd).ok_or(Failure::Os(Errno::BADF.raw_os_error()))?;
        match poll(&mut [PollFd::new(&fd, flags)], timeout.as_ref()) {
            Ok(0) => Err(Failure::Timeout),
            Ok(_) => Ok(()),
            Err(Errno::INTR) => Err(Failure::Interrupted),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until the kernel takes more, and looks up once in a while: a signal that came just before the wait
    /// does not interrupt it.
    fn writable(&self) -> Result<(), Failure> {
        let lookup = Instant::now() + LOOKUP;
        let ready = |wait| self.ready(PollFlags::OUT, Failure::WantWrite, wait);
        match self.wait {
            Wait::Until(deadline) if deadline <= lookup => ready(self.wait),
            Wait::No => ready(Wait::No),
            _ => ready(Wait::Until(lookup)).map_err(|failure| match failure {
                Failure::Timeout => Failure::Interrupted,
                failure => failure,
            }),
        }
    }

    fn attempt(
        &self,
        flags: PollFlags,
        blocked: &Failure,
        wait: Wait,
        mut call: impl FnMut() -> Result<usize, Errno>,
    ) -> Result<usize, Failure> {
        loop {
            match call() {
                Ok(count) => return Ok(count),
                Err(Errno::AGAIN) => self.ready(flags, blocked.clone(), wait)?,
                Err(Errno::INTR) => return Err(Failure::Interrupted),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl Socket {
    fn read(&self, into: &mut [u8], wait: Wait) -> Result<usize, Failure> {
        let fd = borrow_fd(self.fd).ok_or(Failure::Os(Errno::BADF.raw_os_error()))?;
        let flags = match wait {
            Wait::Forever => RecvFlags::empty(),
            _ => RecvFlags::DONTWAIT,
        };
        self.attempt(PollFlags::IN, &Failure::WantRead, wait, || Ok(recv(fd, &mut *into, flags)?.0))
    }

    /// How much to read for a caller that wants `wanted` bytes of plaintext. What is taken from a socket is out
    /// of sight of `select`, be it data or the end. So it is one record, or, where there is much and much is
    /// wanted, several and never the last bytes. The header of the next record may come along: its rest is
    /// there to be seen.
    fn room(&self, begun: &Begun, wanted: usize) -> usize {
        let (have, whole) = (begun.len(), begun.whole());
        if have < HEADER {
            return HEADER - have;
        }
        let several = if wanted <= MAX_FRAGMENT { 0 } else { self.several(have, whole, wanted) };
        let header = if whole > NO_ALERT || begun.changes_cipher() { HEADER } else { 0 };
        several.max(whole) + header - have
    }

    /// As many bytes as whole records of the size `whole` take, if there are more and the caller can take
    /// away what is in them.
    fn several(&self, have: usize, whole: usize, wanted: usize) -> usize {
        let wanted = wanted.min(BATCH);
        let limit = wanted + RECORD_EXTRA * wanted.div_ceil(MAX_FRAGMENT);
        let count = borrow_fd(self.fd).and_then(|fd| ioctl_fionread(fd).ok()).unwrap_or(0);
        let there = (have + usize::try_from(count).unwrap_or(usize::MAX)).saturating_sub(LEFT_IN_SIGHT);
        limit.min(there) / whole * whole
    }
}

impl Transport for Socket {
    fn receive(&self, begun: &mut Begun, wanted: usize, wait: Wait) -> Result<Buffer, Failure> {
        loop {
            let room = self.room(begun, wanted);
            let count = self.read(begun.room(room), wait)?;
            if count == 0 {
                return Ok(Buffer::default());
            }
            if let Some(records) = begun.added(count) {
                return Ok(records);
            }
        }
    }

    fn send(&self, records: &mut Buffer) -> Result<(), Failure> {
        let fd = borrow_fd(self.fd).ok_or(Failure::Os(Errno::BADF.raw_os_error()))?;
        // The kernel never waits here: what a blocking `send` took before a signal is all that it would tell.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        while !records.is_empty() {
            match send(fd, records.bytes(), flags) {
                Ok(count) => records.discard(count),
                Err(Errno::AGAIN) => self.writable()?,
                Err(Errno::INTR) => return Err(Failure::Interrupted),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn hurry(&self, on: bool) -> bool {
        let Some(fd) = borrow_fd(self.fd) else { return false };
        // A socket of another family has no such option.
        sockopt::tcp_nodelay(fd).is_ok_and(|now| now != on) && sockopt::set_tcp_nodelay(fd, on).is_ok()
    }

    fn batches(&self) -> bool {
        !matches!(self.wait, Wait::No)
    }

    fn pause(&self) -> Result<(), Failure> {
        match self.wait {
            Wait::No => Err(Failure::WantRead),
            Wait::Until(deadline) if deadline <= Instant::now() => Err(Failure::Timeout),
            _ => Err(Failure::Interrupted),
        }
    }

    fn drain(&self) {
        let mut rest = Buffer::with_room(BATCH);
        for _ in 0..DRAINS {
            if !matches!(self.read(rest.room(BATCH), Wait::No), Ok(1..)) {
                return;
            }
        }
    }

    fn wait(&self) -> Wait {
        self.wait
    }
}

pub struct Memory<'a> {
    pub incoming: &'a MemoryBIO,
    pub outgoing: &'a MemoryBIO,
}

impl Transport for Memory<'_> {
    /// Everything that is whole, without a copy.
    fn receive(&self, _: &mut Begun, _: usize, _: Wait) -> Result<Buffer, Failure> {
        let mut bytes = self.incoming.lock();
        let records = bytes.take_records();
        match records.is_empty() && !bytes.ended() {
            true => Err(Failure::WantRead),
            false => Ok(records),
        }
    }

    fn send(&self, records: &mut Buffer) -> Result<(), Failure> {
        self.outgoing.lock().append_buffer(records);
        Ok(())
    }

    fn batches(&self) -> bool {
        true
    }

    /// Goes on: there is no more to process than the caller has put there.
    fn pause(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn wait(&self) -> Wait {
        Wait::No
    }
}
