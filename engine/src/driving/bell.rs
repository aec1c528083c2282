//! The bell: a thread that waits for a descriptor looks at it too, so that closing can wake the thread.
//!
//! There is one for the whole process, and each is rung once: ringing takes it down, and the next wait hangs up a new
//! one. So no thread has to silence it, and one that was woken in vain waits on the new bell.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::driving::platform::Bell;
use crate::memory::close_number;

static BELL: Mutex<Option<Arc<Bell>>> = Mutex::new(None);

/// This process was forked while another thread had its hand on the bell.
static OUT_OF_REACH: AtomicBool = AtomicBool::new(false);

fn bell() -> Option<MutexGuard<'static, Option<Arc<Bell>>>> {
    let reachable = !OUT_OF_REACH.load(Ordering::Relaxed);
    reachable.then(|| BELL.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The bell that the next `ring` rings. None where no descriptor is left for one: wait a while at a time, then.
pub fn hear() -> Option<Arc<Bell>> {
    let mut bell = bell()?;
    if bell.is_none() {
        *bell = Bell::new().ok().map(Arc::new);
    }
    bell.clone()
}

/// Wakes all threads that wait with the present bell.
pub fn ring() {
    let taken_down = bell().and_then(|mut bell| bell.take());
    if let Some(bell) = taken_down {
        bell.ring();
    }
}

/// In a forked child: the bell that is here is the parent's.
pub fn renew() {
    match BELL.try_lock() {
        Ok(mut bell) => {
            if let Some(parents) = bell.take() {
                // Threads that are not here hold it too, and will not let go.
                parents.numbers().into_iter().for_each(close_number);
                mem::forget(parents);
            }
        }
        Err(TryLockError::Poisoned(_)) => {}
        Err(TryLockError::WouldBlock) => OUT_OF_REACH.store(true, Ordering::Relaxed),
    }
}
