//! What a connection notes for those who are told of its handshake. Each end is told once: to whoever asks first.

use std::cell::Cell;
use std::time::Instant;

#[derive(Default)]
pub struct Telling {
    pub begun: Option<Instant>,
    /// The handshake is over, and the peer was accepted.
    pub completed: bool,
    /// The peer has sent a byte, whatever it was.
    pub heard: bool,
    /// The peer has sent data, after the handshake.
    pub had_data: bool,
    pub told: Cell<bool>,
    pub told_late: Cell<bool>,
}

/// How a handshake ended.
#[derive(Clone, Copy)]
pub enum End {
    Completed,
    Failed,
    /// This side went no further.
    GivenUp,
    /// A TLS 1.3 server's alert came where its data should: it did not accept the client.
    RefusedLate,
}

impl End {
    pub fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
            Self::RefusedLate => "refused_late",
        }
    }
}

/// What is known of a handshake, however far it came: seconds since its first step, whether the peer has sent anything,
/// version, cipher suite and group as their IANA numbers, the name that a client asks this server for.
pub type Facts = (Option<f64>, bool, Option<u16>, Option<u16>, Option<u16>, Option<String>);
