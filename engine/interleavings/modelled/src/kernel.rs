//! Descriptors: the lowest free number is the next one, as in POSIX, so that a number that was closed is soon another's.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::Arc;

use shuttle::sync::{Condvar, Mutex};

#[derive(Debug)]
struct File {
    owner: &'static str,
    bytes: usize,
}

#[derive(Default)]
struct Kernel {
    files: Mutex<BTreeMap<RawFd, File>>,
    changed: Condvar,
    closed: Mutex<Vec<&'static str>>,
}

thread_local! {
    static KERNEL: RefCell<Arc<Kernel>> = RefCell::default();
}

fn kernel() -> Arc<Kernel> {
    KERNEL.with_borrow(Arc::clone)
}

/// Begins with no file at all.
pub fn reset() {
    KERNEL.set(Arc::default());
}

pub fn open(owner: &'static str) -> RawFd {
    let kernel = kernel();
    let mut files = kernel.files.lock().unwrap();
    let number = (3..).find(|number| !files.contains_key(number)).unwrap();
    files.insert(number, File { owner, bytes: 0 });
    number
}

/// Closing what is not open is a fault: it may be another's by then.
pub fn close(number: RawFd) {
    let kernel = kernel();
    let file = kernel.files.lock().unwrap().remove(&number);
    let file = file.unwrap_or_else(|| panic!("{number} is closed, and is not open"));
    kernel.closed.lock().unwrap().push(file.owner);
}

/// How many files of this owner were closed.
pub fn closed(owner: &str) -> usize {
    kernel().closed.lock().unwrap().iter().filter(|each| **each == owner).count()
}

/// Adds a byte to what can be read.
pub fn write(number: RawFd) {
    let kernel = kernel();
    if let Some(file) = kernel.files.lock().unwrap().get_mut(&number) {
        file.bytes += 1;
    }
    kernel.changed.notify_all();
}

/// Takes a byte of a file that has to be `owner`'s; false where none is there.
pub fn read(number: RawFd, owner: &str) -> bool {
    let kernel = kernel();
    let mut files = kernel.files.lock().unwrap();
    let file = files.get_mut(&number).unwrap_or_else(|| panic!("{number} is read, and is not open"));
    assert_eq!(file.owner, owner, "a read from another's file");
    let there = file.bytes > 0;
    file.bytes -= usize::from(there);
    there
}

/// Waits until one of them can be read. What was closed meanwhile is no reason, as in Linux.
pub fn poll(numbers: &[RawFd]) {
    let kernel = kernel();
    let files = kernel.files.lock().unwrap();
    let idle = |files: &mut BTreeMap<RawFd, File>| {
        !numbers.iter().any(|number| files.get(number).is_some_and(|file| file.bytes > 0))
    };
    drop(kernel.changed.wait_while(files, idle).unwrap());
}
