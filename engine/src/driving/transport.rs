//! Where records come from and go to: a socket, or two buffers in memory.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{RecvFlags, recv, send, sockopt};

use crate::driving::bell;
use crate::driving::descriptor::{Descriptor, Use};
use crate::driving::memory_bio::MemoryBuffer;
use crate::driving::platform;
use crate::driving::wait::Wait;
use crate::fork::AtWork;
use crate::memory::{give_back_stack, stack_is_deep};
use crate::tls::failure::Failure;
use crate::wire::buffers::Buffer;
use crate::wire::limits::{BATCH, HEADER, MAX_FRAGMENT, RECORD_EXTRA};
use crate::wire::records::Begun;

/// More than an alert takes, in any version and suite: what a batch leaves in the kernel.
const LEFT_IN_SIGHT: usize = 64;
/// A record that is longer holds no alert, unless it is padded: something follows it in the same stream.
const NO_ALERT: usize = 64;

/// How long a writer waits before Python looks for signals again.
const LOOKUP: Duration = Duration::from_millis(250);

/// How many reads `discard_incoming` makes at most.
const DRAINS: usize = 4;

/// A thread that has waited so long after its handshake may go on to: it keeps no more of its stack than that takes.
const IDLE: Duration = Duration::from_millis(100);

/// How long a wait is that nothing but the descriptor itself can end.
const WITHOUT_A_BELL: Duration = Duration::from_millis(50);

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: duration.subsec_nanos().into() }
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
    /// Has what has come acknowledged at once, and what comes until something is sent.
    fn acknowledge(&self) {}
    /// Whether a write may carry more than one record: not where a caller may stop between two.
    fn batches(&self) -> bool;
    /// Looks up from a read that goes on without bringing anything: whether it is time to stop.
    fn pause(&self) -> Result<(), Failure>;
    /// Throws away what has come, up to a bound, where unread bytes would make closing a reset.
    fn discard_incoming(&self) {}
    /// Whether it can still be used, for a thread that has waited for its turn.
    fn check(&self) -> Result<(), Failure>;
    fn wait(&self) -> Wait;
}

/// No system call here blocks but `poll`, which closing can wake.
pub struct Socket<'a> {
    pub descriptor: &'a Descriptor,
    pub at_work: &'a AtWork<'a>,
    pub wait: Wait,
}

impl Socket<'_> {
    fn enter(&self) -> Result<Use<'_>, Failure> {
        self.at_work.check()?;
        self.descriptor.enter()
    }

    /// Waits until it is worth another try.
    fn ready(used: &Use<'_>, flags: PollFlags, blocked: Failure, wait: Wait) -> Result<(), Failure> {
        let left = match wait {
            Wait::No => return Err(blocked),
            Wait::Forever => None,
            Wait::Until(deadline) => match deadline.saturating_duration_since(Instant::now()) {
                left if left.is_zero() => return Err(Failure::Timeout),
                left => Some(left),
            },
        };
        let bell = bell::hear();
        // A thread that closes it after this rings that bell.
        used.check()?;
        let fd = used.fd();
        let polled = match &bell {
            Some(bell) => {
                let both = &mut [PollFd::new(&fd, flags), PollFd::new(&**bell, PollFlags::IN)];
                let idles = stack_is_deep() && left.is_none_or(|left| left > IDLE);
                let polled = poll(both, if idles { Some(IDLE) } else { left }.map(timespec).as_ref());
                if idles && polled == Ok(0) {
                    give_back_stack();
                }
                polled
            }
            None => {
                let slice = left.map_or(WITHOUT_A_BELL, |left| left.min(WITHOUT_A_BELL));
                poll(&mut [PollFd::new(&fd, flags)], Some(&timespec(slice)))
            }
        };
        match polled {
            // Whether the time is over is found out by the next wait.
            Ok(_) => Ok(()),
            Err(Errno::INTR) => Err(Failure::Interrupted),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until the kernel takes more, and looks up once in a while: a signal that came just before the wait
    /// does not interrupt it.
    fn writable(&self, used: &Use<'_>) -> Result<(), Failure> {
        let lookup = Instant::now() + LOOKUP;
        let ready = |wait| Self::ready(used, PollFlags::OUT, Failure::WantWrite, wait);
        match self.wait {
            Wait::Until(deadline) if deadline <= lookup => ready(self.wait),
            Wait::No => ready(Wait::No),
            _ => {
                ready(Wait::Until(lookup))?;
                if lookup <= Instant::now() { Err(Failure::Interrupted) } else { Ok(()) }
            }
        }
    }

    fn attempt(
        &self,
        flags: PollFlags,
        blocked: &Failure,
        wait: Wait,
        mut call: impl FnMut(BorrowedFd<'_>) -> Result<usize, Errno>,
    ) -> Result<usize, Failure> {
        loop {
            let used = self.enter()?;
            match call(used.fd()) {
                Ok(count) => return Ok(count),
                Err(Errno::AGAIN) => Self::ready(&used, flags, blocked.clone(), wait)?,
                Err(Errno::INTR) => return Err(Failure::Interrupted),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn read(&self, into: &mut [u8], wait: Wait) -> Result<usize, Failure> {
        let call = |fd: BorrowedFd<'_>| Ok(recv(fd, &mut *into, RecvFlags::DONTWAIT)?.0);
        self.attempt(PollFlags::IN, &Failure::WantRead, wait, call)
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
        let count = self.enter().ok().and_then(|used| ioctl_fionread(used.fd()).ok()).unwrap_or(0);
        let there = (have + usize::try_from(count).unwrap_or(usize::MAX)).saturating_sub(LEFT_IN_SIGHT);
        limit.min(there) / whole * whole
    }
}

impl Transport for Socket<'_> {
    fn receive(&self, begun: &mut Begun, wanted: usize, wait: Wait) -> Result<Buffer, Failure> {
        // Of a call that found no memory.
        if let Some(records) = begun.take_whole() {
            return Ok(records);
        }
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
        // The kernel never waits here: a blocking `send` that a signal ends returns what it took, like any other.
        while !records.is_empty() {
            let used = self.enter()?;
            match send(used.fd(), records.bytes(), platform::SEND) {
                Ok(count) => records.discard(count),
                Err(Errno::AGAIN) => self.writable(&used)?,
                Err(Errno::INTR) => return Err(Failure::Interrupted),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn hurry(&self, on: bool) -> bool {
        let Ok(used) = self.enter() else { return false };
        let fd = used.fd();
        // A socket of another family has no such option.
        sockopt::tcp_nodelay(fd).is_ok_and(|now| now != on) && sockopt::set_tcp_nodelay(fd, on).is_ok()
    }

    fn acknowledge(&self) {
        if let Ok(used) = self.enter() {
            platform::acknowledge(used.fd());
        }
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

    fn discard_incoming(&self) {
        let mut rest = Buffer::with_room(BATCH);
        for _ in 0..DRAINS {
            if !matches!(self.read(rest.room(BATCH), Wait::No), Ok(1..)) {
                return;
            }
        }
    }

    fn check(&self) -> Result<(), Failure> {
        self.enter()?.check()
    }

    fn wait(&self) -> Wait {
        self.wait
    }
}

pub struct Memory<'a> {
    pub incoming: &'a MemoryBuffer,
    pub outgoing: &'a MemoryBuffer,
    pub at_work: &'a AtWork<'a>,
}

impl Transport for Memory<'_> {
    /// Everything that is whole, without a copy.
    fn receive(&self, _: &mut Begun, _: usize, _: Wait) -> Result<Buffer, Failure> {
        self.at_work.check()?;
        let mut bytes = self.incoming.lock()?;
        let records = bytes.take_records();
        match records.is_empty() && !bytes.ended() {
            true => Err(Failure::WantRead),
            false => Ok(records),
        }
    }

    fn send(&self, records: &mut Buffer) -> Result<(), Failure> {
        self.at_work.check()?;
        self.outgoing.lock()?.append_buffer(records);
        Ok(())
    }

    fn batches(&self) -> bool {
        true
    }

    /// Goes on: there is no more to process than the caller has put there.
    fn pause(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn check(&self) -> Result<(), Failure> {
        Ok(self.at_work.check()?)
    }

    fn wait(&self) -> Wait {
        Wait::No
    }
}
