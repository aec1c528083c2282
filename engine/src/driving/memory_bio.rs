//! A memory buffer with an end, from which a connection takes whole records.

use std::mem;
use std::sync::MutexGuard;

use crate::fork::Lock;
use crate::tls::failure::Failure;
use crate::wire::buffers::Buffer;
use crate::wire::records::whole_records;

#[derive(Default)]
pub struct Bytes {
    data: Buffer,
    ended: bool,
}

impl Bytes {
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Nothing is written after this.
    pub fn end(&mut self) {
        self.ended = true;
    }

    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Moves bytes from the front to `into`, as many as fit.
    pub fn move_into(&mut self, into: &mut [u8]) -> usize {
        self.data.move_into(into)
    }

    pub fn append_buffer(&mut self, bytes: &mut Buffer) {
        self.data.append_buffer(bytes);
    }

    /// The whole records at the front, after the end whatever is there. What has come of the next one stays.
    pub fn take_records(&mut self) -> Buffer {
        if self.ended {
            return mem::take(&mut self.data);
        }
        let rest = self.data.split_off(whole_records(self.data.bytes()));
        mem::replace(&mut self.data, rest)
    }

    /// Puts `bytes` in front of what is there.
    pub fn give_back(&mut self, mut bytes: Buffer) {
        bytes.append_buffer(&mut self.data);
        self.data = bytes;
    }
}

/// What `MemoryBIO` wraps. Safe to share between threads: they wait for its lock with the GIL, so nothing of Python's
/// is touched under it (see `verify/callback.rs`).
#[derive(Default)]
pub struct MemoryBuffer {
    bytes: Lock<Bytes>,
    /// Of the thread that passes bytes on from or to a buffer of `ssl`, which takes two steps. It may need the GIL
    /// meanwhile: nobody who has that waits for this.
    passing: Lock<()>,
}

impl MemoryBuffer {
    pub fn lock(&self) -> Result<MutexGuard<'_, Bytes>, Failure> {
        Ok(self.bytes.lock()?)
    }

    /// None while another thread passes bytes on.
    pub fn try_pass(&self) -> Result<Option<MutexGuard<'_, ()>>, Failure> {
        Ok(self.passing.try_lock()?)
    }

    pub fn append(&self, bytes: &[u8]) -> Result<usize, Failure> {
        let mut own = self.lock()?;
        if own.ended {
            return Err(Failure::WriteAfterEof);
        }
        own.data.append(bytes);
        Ok(bytes.len())
    }
}
