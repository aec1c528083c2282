//! What the engine's sources call of rustix, over the kernel of `modelled`.

pub mod io {
    use modelled::kernel;
    use modelled::os::fd::AsRawFd;

    pub struct Errno(i32);

    impl Errno {
        pub const BADF: Self = Self(9);

        pub fn raw_os_error(&self) -> i32 {
            self.0
        }
    }

    pub fn write(fd: &impl AsRawFd, bytes: &[u8]) -> Result<usize, Errno> {
        kernel::write(fd.as_raw_fd());
        Ok(bytes.len())
    }
}

pub mod event {
    use std::ops::BitOr;

    use modelled::kernel;
    use modelled::os::fd::OwnedFd;

    use crate::io::Errno;

    pub struct EventfdFlags;

    impl EventfdFlags {
        pub const CLOEXEC: Self = Self;
        pub const NONBLOCK: Self = Self;
    }

    impl BitOr for EventfdFlags {
        type Output = Self;

        fn bitor(self, _: Self) -> Self {
            self
        }
    }

    pub fn eventfd(_: u32, _: EventfdFlags) -> Result<OwnedFd, Errno> {
        Ok(OwnedFd::from_raw_fd(kernel::open("the bell")))
    }
}

pub mod net {
    pub struct SendFlags;

    impl SendFlags {
        pub const DONTWAIT: Self = Self;
        pub const NOSIGNAL: Self = Self;

        pub const fn union(self, _: Self) -> Self {
            self
        }
    }

    pub mod sockopt {
        use modelled::os::fd::BorrowedFd;

        use crate::io::Errno;

        pub fn set_tcp_quickack(_: BorrowedFd<'_>, _: bool) -> Result<(), Errno> {
            Ok(())
        }
    }
}
