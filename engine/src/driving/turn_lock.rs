//! Taking turns with a thing that one thread holds for long.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::driving::wait::Wait;
use crate::tls::failure::Failure;

/// How long to sit on a lock before letting Python look for signals.
const PATIENCE: Duration = Duration::from_millis(50);

/// A thing that one thread at a time holds, possibly for long; waiting for it heeds deadlines and signals.
pub struct TurnLock<T> {
    place: Mutex<Place<T>>,
    freed: Condvar,
}

struct Place<T> {
    value: Option<T>,
    waiting: usize,
}

pub struct Held<'a, T> {
    turn: &'a TurnLock<T>,
    value: Option<T>,
}

impl<T> TurnLock<T> {
    pub fn new(value: T) -> Self {
        Self { place: Mutex::new(Place { value: Some(value), waiting: 0 }), freed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn try_take(&self) -> Option<Held<'_, T>> {
        let value = self.lock().value.take()?;
        Some(Held { turn: self, value: Some(value) })
    }

    /// What `look` makes of the thing; None where a thread holds it.
    pub fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.lock().value.as_ref().map(look)
    }

    pub fn take(&self, wait: Wait, blocked: Failure) -> Result<Held<'_, T>, Failure> {
        if let Some(held) = self.try_take() {
            return Ok(held);
        }
        let patience = match wait {
            Wait::No => return Err(blocked),
            Wait::Forever => PATIENCE,
            Wait::Until(deadline) => match deadline.saturating_duration_since(Instant::now()) {
                left if left.is_zero() => return Err(Failure::Timeout),
                left => left.min(PATIENCE),
            },
        };
        let mut place = self.lock();
        place.waiting += 1;
        let (mut place, _) = self
            .freed
            .wait_timeout_while(place, patience, |place| place.value.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        place.waiting -= 1;
        match place.value.take() {
            Some(value) => Ok(Held { turn: self, value: Some(value) }),
            None => Err(Failure::Interrupted),
        }
    }
}

impl<T> Held<'_, T> {
    pub fn get(&mut self) -> &mut T {
        self.value.as_mut().expect("held until dropped")
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        let mut place = self.turn.lock();
        place.value = self.value.take();
        // A condition variable makes a system call of it whether a thread waits or not.
        if place.waiting > 0 {
            self.turn.freed.notify_one();
        }
    }
}
