//! How long a call waits.

use std::time::Instant;

/// How long a call may take.
#[derive(Clone, Copy)]
pub enum Wait {
    No,
    Until(Instant),
    Forever,
}
