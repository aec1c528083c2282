//! A connection over a non-blocking socket that an event loop watches, as Python holds it.

use std::os::fd::RawFd;
use std::thread::sleep;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::io::Errno;

use crate::api::file::File;
use crate::api::stream::{Stream, bytes_or_back};
use crate::driving::core::Core;
use crate::driving::event_loop::{EventLoopDriver, Got, Ready, SMALL};
use crate::driving::wait::MOMENT;
use crate::memory::{Readable, Writable, bytes_object};
use crate::tls::connection::Connection;
use crate::tls::failure::{Failure, guarded};
use crate::wire::buffers::Buffer;
use crate::wire::limits::BATCH;

/// Drives the connection of a `Stream` over a socket. Every call but the getters comes from the
/// thread that runs the event loop.
#[pyclass(frozen, module = "veritls._engine")]
pub struct EventLoopStream {
    stream: Py<Stream>,
}

impl EventLoopStream {
    fn core(&self) -> &Core {
        &self.stream.get().core
    }

    /// Does `work` while no other call does, and makes an exception of what it fails with. Nothing of Python's
    /// is touched in between.
    fn drive<T>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&EventLoopDriver<'_>) -> Result<T, Failure>,
    ) -> PyResult<T> {
        let core = self.core();
        core.callback_state.refuse_reentry().map_err(Failure::from)?;
        let at_work = &core.enter()?;
        let outcome = loop {
            core.callback_state.refuse_reentry().map_err(Failure::from)?;
            match EventLoopDriver::try_new(core, at_work) {
                Some(driver) => break guarded(|| work(&driver)),
                None => py.detach(|| sleep(MOMENT)),
            }
        };
        outcome.map_err(|failure| match failure {
            Failure::Internal(_) => py.detach(|| core.connection().fail(failure)).into(),
            // What was amid a step is lost. In the kernel's word, which is an OSError.
            Failure::NoMemory => py.detach(|| core.connection().fail(Errno::NOMEM.into())).into(),
            failure => failure.into(),
        })
    }
}

/// Reads once: the plaintext goes `into` the buffer that is made for it.
fn read_with(py: Python<'_>, driver: &EventLoopDriver<'_>, into: Place<'_>) -> Result<Got, Failure> {
    let (room, small) = match driver.prepare_read()? {
        Ready::Nothing => return Ok(Got::Nothing),
        Ready::End => return Ok(Got::End),
        Ready::Plaintext { room, small } => (room, small),
    };
    let process = |plain: &mut [u8]| match small {
        true => driver.process(plain),
        false => py.detach(|| driver.process(plain)),
    };
    match into {
        Place::Made(made) => {
            *made = Buffer::with_room(room);
            let got = process(made.room(room));
            if let Ok(Got::Data(count)) = got {
                made.added(count);
            }
            got
        }
        Place::Callers(plain) => process(plain),
    }
}

/// Where the plaintext of a read goes.
enum Place<'a> {
    Made(&'a mut Buffer),
    Callers(&'a mut [u8]),
}

#[pymethods]
impl EventLoopStream {
    #[new]
    fn new(stream: Py<Stream>, fd: RawFd) -> Self {
        let core = &stream.get().core;
        core.descriptor.bind(fd);
        core.connection().begin();
        Self { stream }
    }

    /// The socket is about to be closed: from now on no call of this connection uses the descriptor.
    fn retire_descriptor(&self) {
        self.core().descriptor.retire();
    }

    /// Bytes from the peer that were read from the socket before it was ours.
    fn feed(&self, py: Python<'_>, early: &[u8]) -> PyResult<()> {
        self.drive(py, |driver| {
            driver.feed(early);
            Ok(())
        })
    }

    /// Goes on with the handshake, with what has come where `readable`; True once it is done.
    fn handshake(&self, py: Python<'_>, readable: bool) -> PyResult<bool> {
        self.drive(py, |driver| py.detach(|| driver.handshake_step(readable)))
    }

    /// What has come: None where nothing has, no bytes at the peer's close_notify.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut plain = Buffer::default();
        let got = self.drive(py, |driver| read_with(py, driver, Place::Made(&mut plain)))?;
        Ok(match got {
            Got::Data(_) => Some(bytes_or_back(py, self.core(), plain)?),
            Got::End => Some(bytes_object(py, b"")?),
            Got::Nothing => None,
        })
    }

    /// The same into `buffer`: how many bytes, None where nothing has come, 0 at the peer's close_notify.
    fn read_into(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let mut writable = Writable::get(buffer)?;
        let got = self.drive(py, |driver| read_with(py, driver, Place::Callers(writable.bytes_mut())))?;
        Ok(match got {
            Got::Data(count) => Some(count),
            Got::End => Some(0),
            Got::Nothing => None,
        })
    }

    /// Whether a read has something to say without the socket: data, the end, or why there is none.
    fn unread(&self, py: Python<'_>) -> bool {
        let unread =
            |core: &Connection| core.pending() > 0 || core.close_notify_received() || core.check().is_err();
        self.stream.get().look(py, unread)
    }

    /// Whether the peer's close_notify has come.
    fn close_notify_received(&self, py: Python<'_>) -> bool {
        self.stream.get().look(py, Connection::close_notify_received)
    }

    /// Encrypted bytes that the kernel has not taken.
    fn unsent_size(&self, py: Python<'_>) -> usize {
        let Ok(_at_work) = self.core().enter() else { return 0 };
        loop {
            let size = self.core().outbound.peek(|outbound| outbound.unsent.len());
            match size {
                Some(size) => return size,
                None if self.core().callback_state.running() => return 0,
                None => py.detach(|| sleep(MOMENT)),
            }
        }
    }

    /// Encrypts and sends `data`: None where the kernel took all of it. Else how many bytes of its end are
    /// still the caller's; those before them are sent, or are by `flush`.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let readable = Readable::get(data)?;
        let bytes = readable.bytes();
        self.drive(py, |driver| match bytes.len() <= SMALL {
            true => driver.push(bytes),
            false => py.detach(|| driver.push(bytes)),
        })
    }

    /// The same with up to `count` bytes of the file `source`, from `offset`: how many were taken. None at
    /// the end of the file.
    fn send_file(&self, py: Python<'_>, source: &File, offset: u64, count: usize) -> PyResult<Option<usize>> {
        let send = |driver: &EventLoopDriver<'_>| {
            let size = count.min(BATCH);
            let mut plain = Buffer::with_room(size);
            match source.read_at(plain.room(size), offset) {
                Ok(0) => Ok(None),
                Ok(read) => {
                    plain.added(read);
                    driver.push(plain.bytes()).map(|left| Some(read - left.unwrap_or(0)))
                }
                Err(Failure::Interrupted) => Ok(Some(0)),
                Err(failure) => Err(failure),
            }
        };
        self.drive(py, |driver| py.detach(|| send(driver)))
    }

    /// Sends what waits; whether nothing does any more.
    #[pyo3(name = "flush")]
    fn py_flush(&self, py: Python<'_>) -> PyResult<bool> {
        self.drive(py, |driver| py.detach(|| driver.flush()))
    }

    /// Sends close_notify after everything that waits; whether nothing waits any more.
    fn send_close_notify(&self, py: Python<'_>) -> PyResult<bool> {
        self.drive(py, |driver| py.detach(|| driver.send_close_notify()))
    }
}
