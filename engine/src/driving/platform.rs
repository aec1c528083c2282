//! What differs between the systems that the drivers run on: the same names on each, and the rest of `driving` knows of
//! none. Calls of the C library itself are in `memory.rs`; where the trust of the system is, in `api/file_states.rs`.
//!
//! A port to Windows begins here: docs/platforms.md has the plan.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::{Errno, write};
use rustix::net::{SendFlags, sockopt};

/// A send never waits, and never raises SIGPIPE: Python ignores that signal, a program that embeds Python may not.
#[cfg(not(target_vendor = "apple"))]
pub const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
#[cfg(target_vendor = "apple")]
pub const SEND: SendFlags = SendFlags::DONTWAIT;

/// Whether a socket is prepared for `SEND`: where no flag of a call keeps SIGPIPE away.
pub const PREPARES: bool = cfg!(target_vendor = "apple");

/// Prepares a socket for `SEND`, where `PREPARES`.
pub fn prepare(fd: BorrowedFd<'_>) {
    // What is no socket fails in its first call.
    #[cfg(target_vendor = "apple")]
    let _ = sockopt::set_socket_nosigpipe(fd, true);
    #[cfg(not(target_vendor = "apple"))]
    let _ = fd;
}

/// Has the kernel acknowledge at once what has come, and what comes until this end sends.
pub fn acknowledge(fd: BorrowedFd<'_>) {
    // A socket of another family has no such option.
    #[cfg(target_os = "linux")]
    let _ = sockopt::set_tcp_quickack(fd, true);
    #[cfg(not(target_os = "linux"))]
    let _ = fd;
}

/// A descriptor that is readable for good, once it was rung.
#[cfg(target_os = "linux")]
pub struct Bell(OwnedFd);

#[cfg(target_os = "linux")]
impl Bell {
    pub fn new() -> Result<Self, Errno> {
        use rustix::event::{EventfdFlags, eventfd};

        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Self)
    }

    fn mouth(&self) -> &OwnedFd {
        &self.0
    }

    pub fn numbers(&self) -> [RawFd; 1] {
        [self.0.as_raw_fd()]
    }
}

/// The same, where there is no eventfd: a pipe. A process that another thread starts between the two calls inherits it,
/// which keeps nothing alive: nobody waits for its end.
#[cfg(not(target_os = "linux"))]
pub struct Bell(OwnedFd, OwnedFd);

#[cfg(not(target_os = "linux"))]
impl Bell {
    pub fn new() -> Result<Self, Errno> {
        use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};

        let (ear, mouth) = rustix::pipe::pipe()?;
        for end in [&ear, &mouth] {
            fcntl_setfd(end, FdFlags::CLOEXEC)?;
            ioctl_fionbio(end, true)?;
        }
        Ok(Self(ear, mouth))
    }

    fn mouth(&self) -> &OwnedFd {
        &self.1
    }

    pub fn numbers(&self) -> [RawFd; 2] {
        [self.0.as_raw_fd(), self.1.as_raw_fd()]
    }
}

impl Bell {
    pub fn ring(&self) {
        // It cannot be full: it is rung once.
        let _ = write(self.mouth(), &1_u64.to_ne_bytes());
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
