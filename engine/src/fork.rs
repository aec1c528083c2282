//! Forks. A forked child has a copy of every lock and of no thread but one: what another thread held at that
//! moment stays locked there for ever, and may be half changed.
//!
//! The generation tells them apart. It is raised in every child, and a thread that takes something notes it. What is
//! still taken in an earlier generation is lost in this process, which is an error and never a wait.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

use crate::error::Forked;

/// How many forks lie between this process and the one that the interpreter started in.
static GENERATION: AtomicU32 = AtomicU32::new(0);

pub fn generation() -> u32 {
    // A fork orders everything: the thread that reads here began after it, or made it.
    GENERATION.load(Ordering::Relaxed)
}

/// In a forked child.
pub fn next_generation() {
    // Not into what `Lock` gives another meaning.
    GENERATION.store((generation() + 1) % (EXAMINING - 1), Ordering::Relaxed);
}

const EXAMINING: u32 = 1 << 31;
const LOST: u32 = u32::MAX;

/// A mutex that is an error, not a wait, in a process where no thread is left to unlock it.
#[derive(Debug, Default)]
pub struct Lock<T> {
    /// The generation in which the mutex was last found to have its holder, if any, in this process.
    sound: AtomicU32,
    value: Mutex<T>,
}

impl<T> Lock<T> {
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, Forked> {
        self.find_sound()?;
        Ok(self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// None where another thread has locked it.
    pub fn try_lock(&self) -> Result<Option<MutexGuard<'_, T>>, Forked> {
        self.find_sound()?;
        Ok(match self.value.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }

    fn find_sound(&self) -> Result<(), Forked> {
        let now = generation();
        loop {
            match self.sound.load(Ordering::Acquire) {
                LOST => return Err(Forked),
                sound if sound == now => return Ok(()),
                sound if sound == now | EXAMINING => thread::yield_now(),
                before => self.examine(before, now),
            }
        }
    }

    /// No thread of this process has locked it before this: its holder, if any, is not here.
    fn examine(&self, before: u32, now: u32) {
        let mine = self.sound.compare_exchange(before, now | EXAMINING, Ordering::AcqRel, Ordering::Relaxed);
        if mine.is_ok() {
            let held = matches!(self.value.try_lock(), Err(TryLockError::WouldBlock));
            self.sound.store(if held { LOST } else { now }, Ordering::Release);
        }
    }
}

const IN_GENERATION: u32 = 32;
const SHUT: u64 = 1 << 31;
const LEFT_TO_THE_LAST: u64 = 1 << 30;
const LOST_HERE: u64 = 1 << 29;
const COUNT: u64 = LOST_HERE - 1;

/// Why no thread can enter.
#[derive(Debug, PartialEq)]
pub enum Shut {
    ForGood,
    Forked,
}

/// The threads at work on a thing: how many, and the generation in which they came. All of it is one atomic value, so
/// that a child finds either none or some, whenever it was forked.
#[derive(Default)]
pub struct Users(AtomicU64);

impl Users {
    /// Changes the state in one step, to what `next` makes of it; returns what it was.
    fn change<E>(&self, mut next: impl FnMut(u64) -> Result<u64, E>) -> Result<u64, E> {
        let mut state = self.0.load(Ordering::Acquire);
        loop {
            match self.0.compare_exchange_weak(state, next(state)?, Ordering::AcqRel, Ordering::Acquire) {
                Ok(before) => return Ok(before),
                Err(other) => state = other,
            }
        }
    }

    /// One more; returns the generation, with which to `leave`.
    pub fn enter(&self) -> Result<u32, Shut> {
        let now = generation();
        self.change(|state| match state {
            _ if state & LOST_HERE != 0 => Err(Shut::Forked),
            _ if state & SHUT != 0 => Err(Shut::ForGood),
            _ if of_another_process(state, now) => Err(Shut::Forked),
            _ => Ok(in_generation(state, now) + 1),
        })?;
        Ok(now)
    }

    /// One less; whether it was the last, to whom closing was left.
    pub fn leave(&self, entered: u32) -> bool {
        let left = self.change(|state| match state {
            _ if state >> IN_GENERATION != u64::from(entered) || state & COUNT == 0 => Err(()),
            _ if state & COUNT == 1 => Ok((state - 1) & !LEFT_TO_THE_LAST),
            _ => Ok(state - 1),
        });
        left.is_ok_and(|before| before & COUNT == 1 && before & LEFT_TO_THE_LAST != 0)
    }

    /// From now on no thread enters; whether none is there. Those that a fork left behind do not count.
    pub fn shut(&self) -> bool {
        let now = generation();
        let before = self.change(|state| {
            let lost = if of_another_process(state, now) { state & !COUNT | LOST_HERE } else { state };
            Ok::<_, ()>(in_generation(lost, now) | SHUT)
        });
        before.is_ok_and(|before| before & COUNT == 0 || of_another_process(before, now))
    }

    pub fn is_shut(&self) -> bool {
        self.0.load(Ordering::Acquire) & SHUT != 0
    }

    pub fn empty(&self) -> bool {
        self.0.load(Ordering::Acquire) & COUNT == 0
    }

    /// Leaves closing to the last that leaves; false where none is there any more.
    pub fn leave_to_the_last(&self) -> bool {
        let left =
            self.change(|state| if state & COUNT == 0 { Err(()) } else { Ok(state | LEFT_TO_THE_LAST) });
        left.is_ok()
    }
}

fn of_another_process(state: u64, now: u32) -> bool {
    state >> IN_GENERATION != u64::from(now) && state & COUNT != 0
}

fn in_generation(state: u64, now: u32) -> u64 {
    state & u64::from(u32::MAX) | u64::from(now) << IN_GENERATION
}

/// A thread at work, until this is dropped.
pub struct AtWork<'a> {
    users: &'a Users,
    generation: u32,
}

impl<'a> AtWork<'a> {
    pub fn on(users: &'a Users) -> Result<Self, Forked> {
        let generation = users.enter().map_err(|_| Forked)?;
        Ok(Self { users, generation })
    }

    /// A callback in the midst of the work may have forked: the child does not go on with it.
    pub fn check(&self) -> Result<(), Forked> {
        if self.generation == generation() { Ok(()) } else { Err(Forked) }
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.users.leave(self.generation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a child finds it that was forked when `users` had `count` users.
    fn inherited(count: u64) -> Users {
        Users(AtomicU64::new(u64::from(generation() + 1) << IN_GENERATION | count))
    }

    #[test]
    fn the_last_user_of_what_is_closed_closes_it() {
        let users = Users::default();
        let (one, two) = (users.enter().unwrap(), users.enter().unwrap());
        assert!(!users.shut());
        assert!(users.leave_to_the_last());
        assert_eq!(users.enter(), Err(Shut::ForGood));
        assert!(!users.leave(one));
        assert!(users.leave(two));
        assert!(!users.leave_to_the_last());
    }

    #[test]
    fn what_was_not_in_use_at_a_fork_can_be_used_in_the_child() {
        let users = inherited(0);
        let entered = users.enter().unwrap();
        assert!(!users.leave(entered));
        assert!(users.shut());
    }

    #[test]
    fn what_was_in_use_at_a_fork_is_an_error_in_the_child_for_good() {
        let users = inherited(2);
        assert_eq!(users.enter(), Err(Shut::Forked));
        assert!(users.shut(), "no thread is there to close it later");
        assert_eq!(users.enter(), Err(Shut::Forked));
        assert!(
            !users.leave(generation() + 1),
            "a thread that left in another process does not count in this one"
        );
    }

    #[test]
    fn a_lock_whose_holder_is_not_in_this_process_is_an_error() {
        let before = generation() + 1;
        let free = Lock { sound: before.into(), value: Mutex::new(1) };
        assert_eq!(*free.lock().unwrap(), 1);
        let held = Lock { sound: before.into(), value: Mutex::new(1) };
        let holder = held.value.lock();
        assert!(matches!(held.lock(), Err(Forked)));
        drop(holder);
        assert!(matches!(held.lock(), Err(Forked)), "it may be half changed");
    }
}
