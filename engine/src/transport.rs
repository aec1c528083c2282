//! Where records come from and go to: a socket, or two buffers in memory.

use std::os::fd::RawFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::bio::MemoryBIO;
use crate::buffer::borrow_fd;
use crate::connection::MAX_FRAGMENT;
use crate::failure::Failure;

/// How long a call may take.
#[derive(Clone, Copy)]
pub enum Wait {
    No,
    Until(Instant),
    Forever,
}

/// Where records come from and go to.
pub trait Transport {
    /// Ok(0) is the end.
    fn read(&self, into: &mut [u8], wait: Wait) -> Result<usize, Failure>;
    fn write(&self, from: &[u8]) -> Result<usize, Failure>;
    /// How many bytes there are to read, as far as it matters to who wants `wanted` of plaintext: where
    /// somebody may look at the transport (`select`) to learn whether more has come. None where nobody does.
    fn visible(&self, wanted: usize) -> Option<usize>;
    /// A bound on what one read can bring.
    fn at_hand(&self) -> usize {
        usize::MAX
    }
    /// Whether a write may carry more than one record: not where a caller may stop between two.
    fn batches(&self) -> bool;
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

impl Transport for Socket {
    fn read(&self, into: &mut [u8], wait: Wait) -> Result<usize, Failure> {
        let fd = borrow_fd(self.fd).ok_or(Failure::Os(Errno::BADF.raw_os_error()))?;
        let flags = match wait {
            Wait::Forever => RecvFlags::empty(),
            _ => RecvFlags::DONTWAIT,
        };
        self.attempt(PollFlags::IN, &Failure::WantRead, wait, || Ok(recv(fd, &mut *into, flags)?.0))
    }

    fn write(&self, from: &[u8]) -> Result<usize, Failure> {
        let fd = borrow_fd(self.fd).ok_or(Failure::Os(Errno::BADF.raw_os_error()))?;
        let flags = match self.wait {
            Wait::Forever => SendFlags::NOSIGNAL,
            _ => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        };
        self.attempt(PollFlags::OUT, &Failure::WantWrite, self.wait, || send(fd, from, flags))
    }

    fn visible(&self, wanted: usize) -> Option<usize> {
        if wanted <= MAX_FRAGMENT {
            return Some(0);
        }
        Some(borrow_fd(self.fd).and_then(|fd| ioctl_fionread(fd).ok()).map_or(0, |count| count as usize))
    }

    fn batches(&self) -> bool {
        !matches!(self.wait, Wait::No)
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
    fn read(&self, into: &mut [u8], _: Wait) -> Result<usize, Failure> {
        let mut bytes = self.incoming.lock();
        if bytes.pending() == 0 && !bytes.ended() {
            return Err(Failure::WantRead);
        }
        Ok(bytes.consume(into.len(), |taken| {
            into[..taken.len()].copy_from_slice(taken);
            taken.len()
        }))
    }

    fn write(&self, from: &[u8]) -> Result<usize, Failure> {
        self.outgoing.lock().append(from);
        Ok(from.len())
    }

    fn visible(&self, _: usize) -> Option<usize> {
        None
    }

    fn at_hand(&self) -> usize {
        self.incoming.lock().pending()
    }

    fn batches(&self) -> bool {
        true
    }

    fn wait(&self) -> Wait {
        Wait::No
    }
}
