//! How long a call waits.

use std::time::{Duration, Instant};

/// How long to leave alone what another thread works on, before it is looked at again.
pub const MOMENT: Duration = Duration::from_micros(50);

/// How long a call may take.
#[derive(Clone, Copy)]
pub enum Wait {
    No,
    Until(Instant),
    Forever,
}
