//! Why something failed, where no connection is involved. What fails on a connection is a `tls::failure::Failure`.

/// The clock shows a time before 1970.
#[derive(Debug, PartialEq)]
pub struct NoTime;

/// Another thread was at work here when the process was forked, and this is the child.
#[derive(Debug, PartialEq)]
pub struct Forked;

/// What a call unwinds with where there is no memory: `tls::failure::guarded` makes a MemoryError of it. A connection
/// that was amid a step by then cannot go on, as after any panic; nothing else is lost.
pub struct NoMemory;

/// A certificate, key or setting of our own cannot be used: which, and why.
#[derive(Debug)]
pub struct Unusable {
    pub what: &'static str,
    pub why: String,
}
