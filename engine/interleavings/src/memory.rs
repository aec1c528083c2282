//! In the place of the engine's `memory.rs`, which has the same functions over the system's descriptors.

use std::kernel;
use std::os::fd::{BorrowedFd, RawFd};

pub trait KeepsOpen {}

pub fn borrow_number(number: RawFd, _owner: &impl KeepsOpen) -> BorrowedFd<'_> {
    BorrowedFd::borrow_raw(number)
}

pub fn close_number(number: RawFd) {
    kernel::close(number);
}
