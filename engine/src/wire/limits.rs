//! How long records are, and how much of them is moved at once.

/// The largest piece of plaintext that one record carries (RFC 8446, section 5.1).
pub const MAX_FRAGMENT: usize = 16_384;
/// Content type, version, length (RFC 8446, section 5.1).
pub const HEADER: usize = 5;
/// What a record takes at most (RFC 5246, section 6.2.3).
pub const RECORD_ON_WIRE: usize = HEADER + MAX_FRAGMENT + 2048;
/// The bound on plaintext that one read takes from the kernel, and on what one write hands to it.
pub const BATCH: usize = 16 * MAX_FRAGMENT;
/// Room for the records of a batch, and for what the handshake or a key update has to say before them.
pub const BATCH_ON_WIRE: usize = BATCH + (BATCH / MAX_FRAGMENT + 1) * RECORD_OVERHEAD + 2048;
/// More than any suite adds to a fragment, header included.
pub const RECORD_OVERHEAD: usize = 64;
/// Header, content type and tag: what TLS 1.3 adds to a fragment.
pub const RECORD_EXTRA: usize = 22;
