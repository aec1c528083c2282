//! The bell: a thread that waits for a descriptor looks at it too, so that closing can wake the thread.
//!
//! There is one for the whole process, and each is rung once: ringing takes it down, and the next wait hangs up a new
//! one. So no thread has to silence it, and one that was woken in vain waits on the new bell.

use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::write;

use crate::memory::close_number;

static BELL: Mutex<Option<Arc<OwnedFd>>> = Mutex::new(None);

/// This process was forked while another thread had its hand on the bell.
static OUT_OF_REACH: AtomicBool = AtomicBool::new(false);

fn bell() -> Option<MutexGuard<'static, Option<Arc<OwnedFd>>>> {
    let reachable = !OUT_OF_REACH.load(Ordering::Relaxed);
    reachable.then(|| BELL.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The bell that the next `ring` rings. None where no descriptor is left for one: wait a while at a time, then.
pub fn hear() -> Option<Arc<OwnedFd>> {
    let mut bell = bell()?;
    if bell.is_none() {
        *bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok().map(Arc::new);
    }
    bell.clone()
}

/// Wakes all threads that wait with the present bell.
pub fn ring() {
    let taken_down = bell().and_then(|mut bell| bell.take());
    if let Some(bell) = taken_down {
        // It cannot be full: this is the first and the last that is written to it.
        let _ = write(&*bell, &1_u64.to_ne_bytes());
    }
}

/// In a forked child: the bell that is here is the parent's.
pub fn renew() {
    match BELL.try_lock() {
        Ok(mut bell) => {
            if let Some(parents) = bell.take() {
                // Threads that are not here hold it too, and will not let go.
                close_number(parents.as_raw_fd());
                mem::forget(parents);
            }
        }
        Err(TryLockError::Poisoned(_)) => {}
        Err(TryLockError::WouldBlock) => OUT_OF_REACH.store(true, Ordering::Relaxed),
    }
}
