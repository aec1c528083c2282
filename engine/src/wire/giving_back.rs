//! Memory that many closed connections leave goes back to the system.
//!
//! The C library keeps what is freed for what is allocated next: after a crowd of connections the process would stay as
//! large as it was. glibc gives it back when it is asked to (`malloc_trim`), which takes milliseconds, and holds an arena
//! of memory meanwhile. So a thread of its own does it, which is started for it, holds no GIL and ends with it: once
//! `MANY` connections are fewer than there were, and their number has stopped falling. It takes no more than a fiftieth
//! of the time, whatever the peers do. Elsewhere than on glibc there is no such call, and no thread.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::fork::generation;
use crate::memory::{CAN_TRIM, start_thread, trim};
use crate::wire::buffers::empty_the_pool;

/// So many closed connections leave 3 MiB.
const MANY: usize = 500;
/// How long the number of connections must not have fallen.
const MOMENT: Duration = Duration::from_secs(1);
/// How many moments a number that goes on falling is waited for.
const MOMENTS: usize = 10;
/// The wait after it is so many times as long as it took.
const SELDOM: u32 = 50;

static OPEN: AtomicUsize = AtomicUsize::new(0);
/// The most that were open since the last time.
static MOST: AtomicUsize = AtomicUsize::new(0);
/// The generation of processes, plus one, in which a thread is at it; 0 where none is.
static AT_IT: AtomicU32 = AtomicU32::new(0);

/// A connection that is open.
pub struct Open(());

impl Open {
    pub fn new() -> Self {
        let now = OPEN.fetch_add(1, Ordering::Relaxed) + 1;
        if CAN_TRIM && MOST.load(Ordering::Relaxed) < now {
            MOST.fetch_max(now, Ordering::Relaxed);
        }
        Self(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let now = OPEN.fetch_sub(1, Ordering::Relaxed) - 1;
        if CAN_TRIM && MOST.load(Ordering::Relaxed) >= now + MANY {
            begin();
        }
    }
}

fn is_due() -> bool {
    MOST.load(Ordering::Relaxed) >= OPEN.load(Ordering::Relaxed) + MANY
}

fn begin() {
    let here = generation() + 1;
    if AT_IT.swap(here, Ordering::AcqRel) == here {
        return;
    }
    if start_thread("veritls-memory", give_back).is_err() {
        // No thread is to be had: not before as many have closed again.
        MOST.store(OPEN.load(Ordering::Relaxed), Ordering::Relaxed);
        AT_IT.store(0, Ordering::Release);
    }
}

fn give_back() {
    while is_due() {
        until_it_falls_no_more();
        if is_due() {
            MOST.store(OPEN.load(Ordering::Relaxed), Ordering::Relaxed);
            let began = Instant::now();
            empty_the_pool();
            trim();
            thread::sleep(SELDOM * began.elapsed());
        }
    }
    AT_IT.store(0, Ordering::Release);
    // The last may have closed just then.
    if is_due() {
        begin();
    }
}

fn until_it_falls_no_more() {
    let mut before = OPEN.load(Ordering::Relaxed);
    for _ in 0..MOMENTS {
        thread::sleep(MOMENT);
        let now = OPEN.load(Ordering::Relaxed);
        if now >= before {
            return;
        }
        before = now;
    }
}
