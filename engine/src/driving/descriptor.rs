//! A socket's descriptor and its users: the threads inside a system call with its number.
//!
//! A number that was closed is soon another file's. So closing a socket first retires the descriptor, after which no
//! thread begins a system call with it, wakes the threads that wait, and leaves the number to the last thread that is
//! still inside (decision 0040).

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::driving::{bell, platform};
use crate::fork::{Shut, Users};
use crate::memory::{KeepsOpen, borrow_number, close_number};
use crate::tls::failure::Failure;

/// How long closing waits for the threads that it woke. They need microseconds: it is for programs that count on the
/// number being free, and no promise.
const PATIENCE: Duration = Duration::from_millis(250);
const GLANCE: Duration = Duration::from_micros(50);

/// A number that Python's socket owns, until it is left to the last thread inside.
#[derive(Default)]
pub struct Descriptor {
    number: OnceLock<RawFd>,
    users: Users,
    taken: AtomicBool,
}

/// A thread that closes the number or takes it away. Python's socket does either in two steps, a read and a store, in
/// which nothing but the GIL keeps another thread from doing the same: two would close the number, the second time
/// another file's.
pub struct Taking<'a>(&'a Descriptor);

/// A thread that may make system calls with the number. It is open as long as this lives.
pub struct Use<'a> {
    descriptor: &'a Descriptor,
    number: RawFd,
    generation: u32,
}

impl Descriptor {
    pub fn new(number: Option<RawFd>) -> Self {
        let descriptor = Self::default();
        if let Some(number) = number {
            descriptor.bind(number);
        }
        descriptor
    }

    /// Says which number it is, once.
    pub fn bind(&self, number: RawFd) {
        let first = self.number.set(number).is_ok();
        if platform::PREPARES && first {
            let _ = self.enter().map(|used| platform::prepare(used.fd()));
        }
    }

    pub fn number(&self) -> Option<RawFd> {
        self.number.get().copied().filter(|number| *number >= 0)
    }

    /// For one system call, or one and the wait before the next.
    pub fn enter(&self) -> Result<Use<'_>, Failure> {
        let number = self.number().ok_or(Failure::Os(Errno::BADF.raw_os_error()))?;
        match self.users.enter() {
            Ok(generation) => Ok(Use { descriptor: self, number, generation }),
            Err(Shut::ForGood) => Err(Failure::Os(Errno::BADF.raw_os_error())),
            Err(Shut::Forked) => Err(Failure::Forked),
        }
    }

    pub fn check(&self) -> Result<(), Failure> {
        if self.users.is_shut() { Err(Failure::Os(Errno::BADF.raw_os_error())) } else { Ok(()) }
    }

    /// From now on no thread enters, and the threads that wait are woken; the number stays open. Whether no thread is
    /// inside.
    pub fn retire(&self) -> bool {
        let unused = self.users.shut();
        if !unused {
            bell::ring();
        }
        unused
    }

    /// None while another thread closes the number or takes it away.
    pub fn try_take(&self) -> Option<Taking<'_>> {
        (!self.taken.swap(true, Ordering::Acquire)).then(|| Taking(self))
    }

    /// After `retire`: `number` was Python's until now, and the last thread inside closes it. Waits for that a while.
    pub fn leave_to_the_last_user(&self, number: RawFd) {
        if self.number() != Some(number) || !self.users.leave_to_the_last() {
            close_number(number);
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        while !self.users.empty() && Instant::now() < deadline {
            thread::sleep(GLANCE);
        }
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
    }
}

impl KeepsOpen for Use<'_> {}

impl Use<'_> {
    pub fn fd(&self) -> BorrowedFd<'_> {
        borrow_number(self.number, self)
    }

    /// Whether it was retired since this began.
    pub fn check(&self) -> Result<(), Failure> {
        self.descriptor.check()
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        if self.descriptor.users.leave(self.generation) {
            close_number(self.number);
        }
    }
}
