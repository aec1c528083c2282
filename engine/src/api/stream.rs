//! What Python holds: a connection over a file descriptor or over two MemoryBIOs.

use std::os::fd::{IntoRawFd, RawFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use pyo3::{PyTraverseError, PyVisit};

use crate::api::file::File;
use crate::api::memory_bio::MemoryBIO;
use crate::api::session::Session;
use crate::api::settings::{Settings, read_hello_answer};
use crate::driving::blocking::{Blocking, BlockingState, Read, Target};
use crate::driving::core::Core;
use crate::driving::descriptor::Descriptor;
use crate::driving::sending::Sending;
use crate::driving::transport::{Memory, Socket, Transport};
use crate::driving::wait::{MOMENT, Wait};
use crate::memory::{Readable, Writable, bytes_object, call, duplicate};
use crate::tls::config::RustlsConfig;
use crate::tls::connection::Connection;
use crate::tls::failure::{Failure, guarded};
use crate::tls::hello_callback::HelloCallback;
use crate::tls::telling::{End, Facts};
use crate::wire::buffers::Buffer;
use crate::wire::limits::BATCH;

/// Over a file descriptor, or over two buffers.
#[pyclass(frozen, weakref, module = "veritls._engine")]
pub struct Stream {
    pub core: Core,
    blocking: BlockingState,
    bios: Option<(Py<MemoryBIO>, Py<MemoryBIO>)>,
    /// Called once the handshake is completed. It holds no reference to this.
    on_completed: PyOnceLock<Py<PyAny>>,
}

/// A bytes object with the plaintext of a read; where there is no memory for it, the next read gives it.
pub fn bytes_or_back<'py>(py: Python<'py>, core: &Core, plain: Buffer) -> PyResult<Bound<'py, PyBytes>> {
    let made = bytes_object(py, plain.bytes());
    if made.is_err() {
        guarded(|| {
            py.detach(|| core.connection().give_back(plain));
            Ok(())
        })?;
    }
    made
}

/// How long a call waits that was given `timeout` in seconds.
fn wait_of(timeout: Option<f64>) -> Wait {
    match timeout {
        None => Wait::Forever,
        Some(seconds) if seconds > 0.0 => Duration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|limit| Instant::now().checked_add(limit))
            .map_or(Wait::Forever, Wait::Until),
        Some(_) => Wait::No,
    }
}

impl Stream {
    fn driver(&self) -> Blocking<'_> {
        Blocking { core: &self.core, state: &self.blocking }
    }

    /// Runs `work` without the GIL until it ends, letting signal handlers run whenever it is interrupted.
    fn run<T: Send>(
        &self,
        py: Python<'_>,
        wait: Wait,
        mut work: impl FnMut(Blocking<'_>, &dyn Transport) -> Result<T, Failure> + Send,
    ) -> PyResult<T> {
        self.core.callback_state.refuse_reentry().map_err(Failure::from)?;
        let mut step = || {
            let at_work = &self.core.enter()?;
            // A call that waits for another's turn comes by here, however long that takes.
            self.core.descriptor.check()?;
            let outcome = guarded(|| match &self.bios {
                None => work(self.driver(), &Socket { descriptor: &self.core.descriptor, at_work, wait }),
                Some((incoming, outgoing)) => {
                    let (incoming, outgoing) = (&incoming.get().0, &outgoing.get().0);
                    work(self.driver(), &Memory { incoming, outgoing, at_work })
                }
            });
            outcome.map_err(|failure| match failure {
                Failure::Internal(_) => self.core.connection().fail(failure),
                failure => failure,
            })
        };
        loop {
            let outcome = py.detach(&mut step);
            match outcome {
                Ok(value) => return Ok(value),
                Err(Failure::Interrupted) => py.check_signals()?,
                Err(failure) => return Err(failure.into()),
            }
        }
    }
}

impl Stream {
    /// Tells that the handshake is completed, once, where somebody listens.
    fn announce(&self, py: Python<'_>) -> PyResult<()> {
        match self.on_completed.get(py) {
            Some(on_completed) if self.look(py, |connection| connection.end(true, false)).is_some() => {
                call(on_completed.bind(py), ()).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// How long a call may wait that does the handshake where it was not done. Where somebody listens that is a step
    /// of its own, and told of before the call goes on.
    fn begin(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Wait> {
        let wait = wait_of(timeout);
        if self.on_completed.get(py).is_some() {
            if !self.driver().handshake_over() {
                self.run(py, wait, |driver, transport| driver.handshake(transport))?;
            }
            self.announce(py)?;
        }
        Ok(wait)
    }

    /// What `read` finds in the connection state, which another thread may be working on: that may need the GIL. The
    /// default while a callback of the connection runs, and for one that was in use at a fork. `read` makes no object
    /// of Python's: see `verify/callback.rs`.
    pub fn look<T: Default>(&self, py: Python<'_>, mut read: impl FnMut(&Connection) -> T) -> T {
        let Ok(_at_work) = self.core.enter() else { return T::default() };
        loop {
            if let Some(connection) = self.core.try_connection() {
                return read(&connection);
            }
            if self.core.callback_state.running() {
                return T::default();
            }
            // Not for the lock itself: its holder may be about to run a callback that waits for this thread.
            py.detach(|| sleep(MOMENT));
        }
    }
}

impl Stream {
    /// Takes the number from `socket` and leaves it to the last system call with it.
    fn leave_number(
        &self,
        py: Python<'_>,
        detach: &Bound<'_, PyAny>,
        socket: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let number: RawFd = call(detach, (socket,))?.extract()?;
        if number >= 0 {
            py.detach(|| self.core.descriptor.leave_to_the_last_user(number));
        }
        Ok(())
    }

    /// Sends a batch of a file at most: how many bytes, 0 at its end.
    fn write_piece(
        &self,
        py: Python<'_>,
        source: &File,
        offset: u64,
        limit: u64,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        let size = usize::try_from(limit).unwrap_or(usize::MAX).min(BATCH);
        let mut bytes = Buffer::default();
        if size > 0 {
            self.run(py, wait_of(timeout), |_, _| {
                bytes = Buffer::with_room(size);
                let count = source.read_at(bytes.room(size), offset)?;
                bytes.added(count);
                Ok(())
            })?;
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let mut sending = Sending::new(self.driver(), bytes.bytes(), true);
        self.run(py, wait_of(timeout), |_, transport| sending.go_on(transport)).map(|count| count as u64)
    }
}

#[pymethods]
impl Stream {
    /// `bios`: (incoming, outgoing) for a connection in memory; None for one over a file descriptor, `fd` or that
    /// of an EventLoopStream. `on_hello`: called with the server name that a client asks for; returns what to go on
    /// with.
    #[new]
    #[pyo3(signature = (
        settings, server_name = None, bios = None, session = None, on_hello = None, callback = None, fd = None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        settings: &Settings,
        server_name: Option<&str>,
        bios: Option<(Py<MemoryBIO>, Py<MemoryBIO>)>,
        session: Option<&Session>,
        on_hello: Option<Py<PyAny>>,
        callback: Option<Py<PyAny>>,
        fd: Option<RawFd>,
    ) -> PyResult<Self> {
        let config = &*settings.0;
        let session = session.map(|session| &session.0);
        let on_hello = on_hello.map(|callable| HelloCallback { callable, read: read_hello_answer });
        let make = || guarded(|| Connection::new(config, server_name, session, on_hello, callback));
        // A client makes its keys here; a server has less to do than it takes to let go of the GIL.
        let connection =
            if matches!(config.rustls, RustlsConfig::Client(_)) { py.detach(make) } else { make() }?;
        let core = Core::new(connection, Descriptor::new(fd));
        Ok(Self { core, blocking: BlockingState::default(), bios, on_completed: PyOnceLock::new() })
    }

    /// `timeout` here and below: seconds, None to wait for ever, 0 never to wait. Ignored in memory.
    fn do_handshake(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        self.run(py, wait_of(timeout), |driver, transport| driver.handshake(transport))?;
        self.announce(py)
    }

    /// From now on `on_completed` is called once the handshake is completed, by the call that does it. The first counts.
    fn watch(&self, py: Python<'_>, on_completed: Py<PyAny>) {
        let _ = self.on_completed.set(py, on_completed);
    }

    /// From now on a server's request for a certificate is kept, for `certificate_request`.
    fn keep_certificate_request(&self, py: Python<'_>) {
        self.look(py, Connection::keep_request);
    }

    /// Whether this is the call that is to tell of the end of the handshake, and which it is; None where there is
    /// none, or where it was told before. `given_up`: this side goes no further.
    fn end(&self, py: Python<'_>, completed: bool, given_up: bool) -> Option<&'static str> {
        self.look(py, |connection| connection.end(completed, given_up)).map(End::word)
    }

    /// See `Facts`.
    fn facts(&self, py: Python<'_>) -> Facts {
        let mut facts = self.look(py, |connection| connection.facts());
        let waiting = self
            .bios
            .as_ref()
            .and_then(|(incoming, _)| incoming.get().0.lock().ok().map(|bytes| bytes.len()));
        facts.1 |= waiting.is_some_and(|waiting| waiting > 0);
        facts
    }

    /// Up to `size` bytes; none at the peer's close_notify.
    fn read<'py>(&self, py: Python<'py>, size: usize, timeout: Option<f64>) -> PyResult<Bound<'py, PyBytes>> {
        let wait = self.begin(py, timeout)?;
        let mut target = Target::Made(size, Buffer::default());
        let read = self.run(py, wait, |driver, transport| driver.read(transport, &mut target))?;
        match (read, target) {
            (Read::Data(_), Target::Made(_, plain)) => bytes_or_back(py, &self.core, plain),
            _ => bytes_object(py, b""),
        }
    }

    /// Up to `size` bytes (all of `buffer` where it is 0 or less) into `buffer`; returns how many.
    fn read_into(
        &self,
        py: Python<'_>,
        buffer: &Bound<'_, PyAny>,
        size: isize,
        timeout: Option<f64>,
    ) -> PyResult<usize> {
        let wait = self.begin(py, timeout)?;
        let mut writable = Writable::get(buffer)?;
        let whole = writable.bytes_mut();
        let limit = match usize::try_from(size) {
            Ok(0) | Err(_) => whole.len(),
            Ok(size) => size.min(whole.len()),
        };
        let mut target = Target::Given(&mut whole[..limit]);
        match self.run(py, wait, |driver, transport| driver.read(transport, &mut target))? {
            Read::Data(count) => Ok(count),
            Read::End => Ok(0),
        }
    }

    /// Sends some of `data`, returns how many bytes; `all` sends everything.
    fn write(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        all: bool,
        timeout: Option<f64>,
    ) -> PyResult<usize> {
        let wait = self.begin(py, timeout)?;
        let readable = Readable::get(data)?;
        let mut sending = Sending::new(self.driver(), readable.bytes(), all);
        self.run(py, wait, |_, transport| sending.go_on(transport))
    }

    /// Sends the bytes of `file` from `offset` to its end, at most `limit`; returns how many. `source`: the same
    /// file, to read it by. Whatever happens, the file stands after the last byte that was sent: no signal handler
    /// of Python's comes between the two.
    fn write_file(
        &self,
        py: Python<'_>,
        file: &Bound<'_, PyAny>,
        source: &File,
        offset: u64,
        limit: u64,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        self.begin(py, timeout)?;
        let mut sent = 0;
        let outcome = loop {
            match self.write_piece(py, source, offset + sent, limit - sent, timeout) {
                Ok(0) => break Ok(sent),
                Ok(count) => sent += count,
                Err(error) => break Err(error),
            }
        };
        let stands = file.getattr("seek").and_then(|seek| call(&seek, (offset + sent,)));
        outcome.and_then(|sent| stands.map(|_| sent))
    }

    fn pending(&self, py: Python<'_>) -> usize {
        self.look(py, |connection| connection.pending())
    }

    /// A bound on what can be read without more from the peer, bytes that are not decrypted yet included; 0
    /// where there is nothing.
    fn at_hand(&self, py: Python<'_>) -> usize {
        self.look(py, |connection| connection.at_hand())
    }

    /// The socket is being closed: where a callback of this connection runs, the handshake ends with it, and nothing
    /// is sent. Does nothing else. Whether there is an end of the handshake that nobody was told of; where a step of
    /// it is being made, that will tell.
    fn cancel_callback(&self, py: Python<'_>) -> bool {
        self.core.callback_state.cancel();
        let awaited = self.on_completed.get(py).is_some();
        self.core.try_connection().is_some_and(|connection| connection.untold(awaited))
    }

    /// From now on no call of this connection uses the descriptor, and every call that waits is woken; the number
    /// stays open. Whether no system call is under way with it.
    fn retire_descriptor(&self) -> bool {
        self.core.descriptor.retire()
    }

    /// `retire_descriptor`, and closes the number of `socket` by `close`, its method. Where a system call is under way,
    /// `socket` loses the number by `detach`, and the last such call closes it. Does nothing while another thread does
    /// the same.
    fn close_descriptor(
        &self,
        py: Python<'_>,
        close: &Bound<'_, PyAny>,
        detach: &Bound<'_, PyAny>,
        socket: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let unused = self.core.descriptor.retire();
        let Some(_taking) = self.core.descriptor.try_take() else { return Ok(()) };
        if unused {
            return call(close, (socket,)).map(drop);
        }
        self.leave_number(py, detach, socket)
    }

    /// `retire_descriptor`, and takes the number from `socket` by `detach`. Where a system call is under way, that is
    /// a duplicate, and the last such call closes the number itself. -1 where another thread takes or closes it.
    fn detach_descriptor(
        &self,
        py: Python<'_>,
        detach: &Bound<'_, PyAny>,
        socket: &Bound<'_, PyAny>,
    ) -> PyResult<RawFd> {
        let unused = self.core.descriptor.retire();
        let Some(_taking) = self.core.descriptor.try_take() else { return Ok(-1) };
        if unused {
            return call(detach, (socket,))?.extract();
        }
        let number = self.core.descriptor.number().unwrap_or(-1);
        let own = duplicate(number).map_err(|error| Failure::Os(error.raw_os_error().unwrap_or_default()))?;
        self.leave_number(py, detach, socket)?;
        Ok(own.into_raw_fd())
    }

    /// Whether no call is under way.
    fn idle(&self) -> bool {
        self.core.users.empty()
    }

    /// Sends close_notify.
    fn send_close_notify(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        self.run(py, wait_of(timeout), |driver, transport| driver.send_close_notify(transport))
    }

    /// Sends close_notify and reads the peer's; returns the bytes after that. In memory they are put back where they
    /// came from.
    fn exchange_close_notify<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let rest =
            self.run(py, wait_of(timeout), |driver, transport| driver.exchange_close_notify(transport))?;
        match &self.bios {
            None => bytes_object(py, rest.bytes()),
            Some((incoming, _)) => {
                guarded(|| {
                    incoming.get().0.lock()?.give_back(rest);
                    Ok(())
                })?;
                bytes_object(py, b"")
            }
        }
    }

    /// Whether nothing of the handshake was done yet.
    #[getter]
    fn untouched(&self, py: Python<'_>) -> bool {
        self.look(py, |connection| connection.untouched())
    }

    /// The handshake is over and nothing failed since. As all of the state, not before the callback has returned.
    #[getter]
    fn established(&self, py: Python<'_>) -> bool {
        self.look(py, |connection| connection.established())
    }

    /// The peer's certificates as it sent them, DER, its own first; None where there are none.
    #[getter]
    fn peer_chain<'py>(&self, py: Python<'py>) -> Option<Vec<Bound<'py, PyBytes>>> {
        let chain = self.look(py, |connection| Some(connection.state().peer_certificates()?.to_vec()))?;
        (!chain.is_empty()).then(|| chain.iter().map(|der| PyBytes::new(py, der)).collect())
    }

    /// The verified path, DER: the peer's own certificate, its issuer's, up to the anchor's. None where none was
    /// validated.
    #[getter]
    fn verified_chain<'py>(&self, py: Python<'py>) -> Option<Vec<Bound<'py, PyBytes>>> {
        let chain = self.look(py, Connection::verified_chain)?;
        Some(chain.iter().map(|der| PyBytes::new(py, der)).collect())
    }

    /// The key exchange group that was agreed on, as its IANA number.
    #[getter]
    fn group(&self, py: Python<'_>) -> Option<u16> {
        self.look(py, |connection| {
            connection.state().negotiated_key_exchange_group().map(|group| group.name().into())
        })
    }

    /// (our own, the peer's) signature algorithm in this handshake, as IANA numbers; None for a side that did not sign.
    #[getter]
    fn signature_schemes(&self, py: Python<'_>) -> (Option<u16>, Option<u16>) {
        self.look(py, |connection| (connection.schemes.own, connection.schemes.peer))
    }

    /// The cipher suites that the client offered to this server, as their IANA numbers.
    #[getter]
    fn offered_suites(&self, py: Python<'_>) -> Vec<u16> {
        self.look(py, |connection| connection.hello.suites.clone())
    }

    /// The certificate that this server answered with, DER.
    #[getter]
    fn own_certificate<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let own = self.look(py, |connection| connection.hello.own.clone())?;
        own.cert.first().map(|der| PyBytes::new(py, der))
    }

    /// The first CAs that a server named as it asked this client for a certificate, each the DER of a distinguished
    /// name; how many it named; and whether this client had a certificate for it. None where it did not ask, or nobody
    /// had asked for this before.
    #[getter]
    fn certificate_request<'py>(&self, py: Python<'py>) -> Option<(Vec<Bound<'py, PyBytes>>, usize, bool)> {
        let request = self.look(py, |connection| connection.request.clone())?;
        let authorities = request.authorities.iter().map(|name| PyBytes::new(py, name)).collect();
        Some((authorities, request.count, request.answered))
    }

    /// Whether the handshake resumed an earlier session.
    #[getter]
    fn resumed(&self, py: Python<'_>) -> bool {
        self.look(py, |connection| connection.resumed())
    }

    /// A client's session, to be resumed by a later connection.
    #[getter]
    fn session(&self, py: Python<'_>) -> Option<Session> {
        self.look(py, Connection::session).map(Session)
    }

    /// Whether a certificate of the peer's was validated before it got here.
    #[getter]
    fn validated(&self, py: Python<'_>) -> bool {
        self.look(py, |connection| connection.validated())
    }

    /// (protocol version, cipher suite) as their IANA numbers; None before they are agreed on.
    #[getter]
    fn negotiated(&self, py: Python<'_>) -> Option<(u16, u16)> {
        self.look(py, |connection| {
            let state = connection.state();
            let version = state.protocol_version()?;
            let suite = state.negotiated_cipher_suite()?;
            connection.established().then(|| (version.into(), suite.suite().into()))
        })
    }

    #[getter]
    fn alpn_protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let name = self.look(py, |connection| connection.state().alpn_protocol().map(<[u8]>::to_vec))?;
        Some(PyBytes::new(py, &name))
    }

    /// Every cycle through here also goes through an object that the collector can clear.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.core.try_connection() {
            Some(connection) => {
                connection.callbacks().into_iter().try_for_each(|callback| visit.call(callback))
            }
            None => Ok(()),
        }
    }
}
