//! The standard library, with the scheduler of shuttle for its threads, a clock that only sleeping moves, and
//! descriptors of a kernel that knows who opened each: what the engine's sources find under the name `std`.

pub mod kernel;

pub use std::*;

pub mod sync {
    pub use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub use std::sync::*;

    pub mod atomic {
        pub use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
        pub use std::sync::atomic::*;
    }
}

pub mod thread {
    pub use shuttle::thread::{JoinHandle, spawn, yield_now};
    pub use std::thread::*;

    use super::time::{Duration, pass};

    pub fn sleep(duration: Duration) {
        pass(duration);
        yield_now();
    }
}

pub mod time {
    use std::cell::Cell;
    use std::ops::Add;
    pub use std::time::Duration;

    thread_local! {
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    /// The shortest time that passes: a loop that looks at the clock has few rounds.
    const STEP: Duration = Duration::from_millis(100);

    #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
    pub struct Instant(Duration);

    impl Instant {
        pub fn now() -> Self {
            Self(NOW.get())
        }

        pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
            self.0.saturating_sub(earlier.0)
        }
    }

    impl Add<Duration> for Instant {
        type Output = Self;

        fn add(self, duration: Duration) -> Self {
            Self(self.0 + duration)
        }
    }

    pub(crate) fn pass(duration: Duration) {
        NOW.set(NOW.get() + duration.max(STEP));
    }
}

pub mod os {
    pub use std::os::*;

    pub mod fd {
        use std::marker::PhantomData;
        pub use std::os::fd::{AsRawFd, RawFd};

        use crate::kernel;

        #[derive(Clone, Copy)]
        pub struct BorrowedFd<'a>(RawFd, PhantomData<&'a ()>);

        impl BorrowedFd<'_> {
            pub fn borrow_raw(number: RawFd) -> Self {
                Self(number, PhantomData)
            }
        }

        impl AsRawFd for BorrowedFd<'_> {
            fn as_raw_fd(&self) -> RawFd {
                self.0
            }
        }

        pub trait AsFd {
            fn as_fd(&self) -> BorrowedFd<'_>;
        }

        pub struct OwnedFd(RawFd);

        impl AsFd for OwnedFd {
            fn as_fd(&self) -> BorrowedFd<'_> {
                BorrowedFd::borrow_raw(self.0)
            }
        }

        impl OwnedFd {
            pub fn from_raw_fd(number: RawFd) -> Self {
                Self(number)
            }
        }

        impl AsRawFd for OwnedFd {
            fn as_raw_fd(&self) -> RawFd {
                self.0
            }
        }

        impl Drop for OwnedFd {
            fn drop(&mut self) {
                kernel::close(self.0);
            }
        }
    }
}
