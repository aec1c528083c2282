//! The sending direction of a connection: what the transport has not taken yet, and a message that is not complete.

use aws_lc_rs::digest::{Digest, SHA256, digest};

use crate::tls::failure::Failure;
use crate::wire::buffers::Buffer;

/// What the turn lock of the sending direction guards.
#[derive(Default)]
pub struct Outbound {
    /// Records that the transport has not taken yet.
    pub unsent: Buffer,
    /// The handshake is all that was sent: until the peer acknowledges the end of it, which takes 40 ms where nothing
    /// carries the acknowledgement, Nagle's algorithm would hold what is written first.
    pub after_handshake: bool,
    /// To write takes back that the peer's segments are acknowledged at once, which is to last for its tickets.
    pub acknowledge: bool,
    pub unfinished: Option<Box<Unfinished>>,
}

/// A message that its call left unfinished: what it had encrypted goes out whatever comes. So it can only be
/// gone on with, by a message that begins with the same bytes. They are known by their digest.
pub struct Unfinished {
    pub taken: usize,
    digest: Digest,
    why: Failure,
}

impl Unfinished {
    /// `taken`: the bytes that are encrypted. `why` the call ended.
    pub fn new(taken: &[u8], why: Failure) -> Self {
        Self { taken: taken.len(), digest: digest(&SHA256, taken), why }
    }

    pub fn refuse_another(&self, data: &[u8]) -> Result<(), Failure> {
        let same = data
            .get(..self.taken)
            .is_some_and(|taken| digest(&SHA256, taken).as_ref() == self.digest.as_ref());
        match &self.why {
            _ if same => Ok(()),
            Failure::Interrupted | Failure::Timeout | Failure::WantWrite => Err(Failure::BadWriteRetry),
            broken => Err(broken.clone()),
        }
    }
}
