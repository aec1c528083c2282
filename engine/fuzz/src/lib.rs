//! What the targets for connections share: a peer whose messages are changed, and what has to hold whatever it sends.

pub mod edits;
pub mod handshake;
pub mod input;
pub mod peer;
pub mod stream;
