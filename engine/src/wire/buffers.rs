//! Buffers for records. They are lent where there is work, so that a connection that waits holds none; what
//! comes back is kept for the next one, up to a bound, and spares it the allocation and the zeroing.

use std::mem;
use std::panic::resume_unwind;
use std::sync::{Mutex, MutexGuard};

use crate::error::NoMemory;
use crate::wire::limits::{BATCH_ON_WIRE, RECORD_ON_WIRE};

/// Below this an allocation costs no more than a place in the pool.
const SMALL: usize = 2048;

struct Shelf {
    /// The size of each buffer here, in bytes, all of them initialised.
    size: usize,
    /// How many are kept at most.
    places: usize,
    free: Mutex<Vec<Box<[u8]>>>,
}

impl Shelf {
    const fn new(size: usize, places: usize) -> Self {
        Self { size, places, free: Mutex::new(Vec::new()) }
    }

    /// None where another thread is at it: no thread waits for the pool, and a process that was forked just then
    /// never could.
    fn free(&self) -> Option<MutexGuard<'_, Vec<Box<[u8]>>>> {
        self.free.try_lock().ok()
    }
}

/// One record, or as many as one system call moves.
static SHELVES: [Shelf; 2] = [Shelf::new(RECORD_ON_WIRE, 32), Shelf::new(BATCH_ON_WIRE, 8)];

/// So many initialised bytes. To abort the process, as `vec!` does, is no answer to what one connection needs.
fn made(size: usize) -> Box<[u8]> {
    let mut memory = Vec::new();
    if memory.try_reserve_exact(size).is_err() {
        resume_unwind(Box::new(NoMemory));
    }
    memory.resize(size, 0);
    memory.into_boxed_slice()
}

fn lend(size: usize) -> Box<[u8]> {
    match SHELVES.iter().find(|shelf| size > SMALL && size <= shelf.size) {
        Some(shelf) => {
            let kept = shelf.free().and_then(|mut free| free.pop());
            kept.unwrap_or_else(|| made(shelf.size))
        }
        None => made(size),
    }
}

/// Not much more than `size`: no batch's memory for a few records.
fn modest(size: usize) -> Box<[u8]> {
    if size <= RECORD_ON_WIRE { lend(size) } else { made(size) }
}

fn take_back(memory: Box<[u8]>) {
    let shelf = SHELVES.iter().find(|shelf| memory.len() == shelf.size);
    let room = shelf.and_then(|shelf| shelf.free().filter(|free| free.len() < shelf.places));
    if let Some(mut free) = room {
        free.push(memory);
    }
}

/// Frees what is kept.
pub fn empty_the_pool() {
    for shelf in &SHELVES {
        let kept = shelf.free().map(|mut free| mem::take(&mut *free));
        drop(kept);
    }
}

/// Bytes that are added at the end and taken from the front. An empty one holds no memory.
#[derive(Default)]
pub struct Buffer {
    /// Initialised throughout; what is outside of `start..end` is left over from earlier uses.
    memory: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty one that takes `size` bytes without moving.
    pub fn with_room(size: usize) -> Self {
        Self { memory: lend(size), start: 0, end: 0 }
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.end]
    }

    /// `size` bytes behind the end, to be written to and then `added`.
    pub fn room(&mut self, size: usize) -> &mut [u8] {
        if self.memory.len() - self.end < size {
            self.move_to_front(size);
        }
        &mut self.memory[self.end..self.end + size]
    }

    fn move_to_front(&mut self, size: usize) {
        let length = self.len();
        if length + size <= self.memory.len() && self.start >= length {
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, length);
            return;
        }
        // At least twice as much, so that a buffer that grows step by step is not copied at each. One that does is not
        // lent a batch's memory: `shrink` would take that away at each.
        let wanted = length + size.max(length);
        *self = self.copied(if size < length { modest(wanted) } else { lend(wanted) });
    }

    /// The same bytes in this memory.
    fn copied(&self, memory: Box<[u8]>) -> Self {
        let mut copy = Self { memory, start: 0, end: self.len() };
        copy.memory[..copy.end].copy_from_slice(self.bytes());
        copy
    }

    /// Keeps one record's memory, or twice as much as there is: for bytes that may wait for long.
    pub fn shrink(&mut self) {
        let size = self.len();
        if size == 0 {
            *self = Self::default();
        } else if self.memory.len() > RECORD_ON_WIRE.max(2 * size) {
            *self = self.copied(modest(size));
        }
    }

    /// The first `count` bytes of the room are bytes now.
    pub fn added(&mut self, count: usize) {
        assert!(count <= self.memory.len() - self.end, "more bytes than room");
        self.end += count;
    }

    pub fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.room(bytes.len()).copy_from_slice(bytes);
        self.added(bytes.len());
    }

    /// Appends `more`, which is empty then; where there is nothing yet, takes it over as it is.
    pub fn append_buffer(&mut self, more: &mut Self) {
        if self.is_empty() {
            *self = mem::take(more);
        } else {
            self.append(more.bytes());
            *more = Self::default();
        }
    }

    /// Forgets the first `count` bytes.
    pub fn discard(&mut self, count: usize) {
        assert!(count <= self.len(), "more than there is");
        self.start += count;
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Forgets all but the first `count` bytes.
    pub fn truncate(&mut self, count: usize) {
        self.end = self.end.min(self.start + count);
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Splits it after `count` bytes and gives what is behind.
    pub fn split_off(&mut self, count: usize) -> Self {
        let rest = &self.bytes()[count..];
        let mut behind = Self::default();
        if !rest.is_empty() {
            behind = Self::with_room(rest.len());
            behind.append(rest);
        }
        self.truncate(count);
        behind
    }

    /// Moves bytes from the front to `into`, as many as fit.
    pub fn move_into(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.len());
        into[..count].copy_from_slice(&self.bytes()[..count]);
        self.discard(count);
        count
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        take_back(mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_buffer_that_shrinks_keeps_its_bytes_and_little_more_memory() {
        for size in [0, 1, 5_000, RECORD_ON_WIRE, 40_000, 100_000] {
            let mut buffer = Buffer::with_room(BATCH_ON_WIRE);
            let bytes: Vec<u8> = (0..size + 7).map(|at| at as u8).collect();
            buffer.append(&bytes);
            buffer.discard(7);
            buffer.shrink();
            assert!(buffer.bytes() == &bytes[7..]);
            assert!(buffer.memory.len() <= RECORD_ON_WIRE.max(2 * size));
            buffer.append(&[1]);
            buffer.shrink();
            assert_eq!(buffer.len(), size + 1);
            assert!(buffer.memory.len() <= RECORD_ON_WIRE.max(2 * size + 2));
        }
    }

    #[test]
    fn a_buffer_that_grows_step_by_step_and_shrinks_at_each_is_seldom_copied() {
        let (mut buffer, mut moved) = (Buffer::default(), 0);
        for _ in 0..20_000 {
            let before = buffer.memory.as_ptr();
            buffer.append(&[0; 6]);
            buffer.shrink();
            moved += usize::from(buffer.memory.as_ptr() != before);
        }
        assert!(moved < 20, "{moved} times");
    }

    #[test]
    fn a_buffer_gives_what_was_added_in_order_through_every_growth() {
        let mut buffer = Buffer::default();
        let (mut added, mut taken) = (0_u32, 0_u32);
        for round in 0..2_000_u32 {
            for _ in 0..round % 97 {
                buffer.append(&added.to_be_bytes());
                added += 1;
            }
            for _ in 0..(round % 89).min(added - taken) {
                let mut four = [0; 4];
                assert_eq!(buffer.move_into(&mut four), 4);
                assert_eq!(u32::from_be_bytes(four), taken);
                taken += 1;
            }
        }
        assert_eq!(buffer.len() as u32, (added - taken) * 4);
    }

    #[test]
    fn an_empty_buffer_holds_no_memory() {
        for size in [1, RECORD_ON_WIRE, BATCH_ON_WIRE, BATCH_ON_WIRE + 1] {
            let mut buffer = Buffer::with_room(size);
            buffer.append(&vec![1; size]);
            buffer.discard(size);
            assert_eq!(buffer.memory.len(), 0);
        }
    }

    #[test]
    fn a_buffer_that_finds_no_memory_is_as_before() {
        let mut buffer = Buffer::default();
        buffer.append(b"abc");
        let grown = catch_unwind(AssertUnwindSafe(|| buffer.room(isize::MAX as usize).len()));
        assert!(grown.is_err_and(|payload| payload.is::<NoMemory>()));
        assert_eq!(buffer.bytes(), b"abc");
    }

    #[test]
    fn no_thread_waits_for_the_pool() {
        let held: Vec<_> = SHELVES.iter().map(Shelf::free).collect();
        for shelf in &SHELVES {
            assert_eq!(Buffer::with_room(shelf.size).room(shelf.size).len(), shelf.size);
        }
        drop(held);
    }

    #[test]
    fn the_pool_keeps_no_more_than_it_has_places_for() {
        for shelf in &SHELVES {
            let lent: Vec<_> = (0..shelf.places + 5).map(|_| Buffer::with_room(shelf.size)).collect();
            drop(lent);
            assert!(shelf.free().is_none_or(|free| free.len() <= shelf.places));
        }
    }
}
