//! One TLS connection without I/O: bytes in, bytes out, state. The only caller of rustls's connections.

mod alert;
mod greeting;
mod over;
mod telling;

use std::mem;
use std::ops::Deref;
use std::sync::Arc;

use pyo3::{Py, PyAny};
use rustls::client::{Resumption, Tls12Resumption, UnbufferedClientConnection};
use rustls::pki_types::{CertificateDer, IpAddr, Ipv4Addr, ServerName, UnixTime};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{AlertDescription, ClientConfig, CommonState, Error, HandshakeKind, ProtocolVersion};

use crate::clock::now;
use crate::error::{Thing, Unusable};
use crate::tls::config::{Config, Counters, RustlsConfig};
use crate::tls::failure::{Evidence, Failure, alert_of, failure_of};
use crate::tls::handshake::{CertificateRequest, Handshake, Hello, Schemes};
use crate::tls::hello_callback::{Greeting, HANDSHAKE_FAILURE, HelloCallback};
use crate::tls::session::{Session, Store, Wallet};
use crate::tls::side::Side;
use crate::tls::telling::Telling;
use crate::verify::callback::CallbackState;
use crate::verify::types::Role;
use crate::verify::verifier::PeerVerifier;
use crate::wire::buffers::Buffer;
use crate::wire::giving_back::Open;
use crate::wire::limits::{MAX_FRAGMENT, RECORD_OVERHEAD};

/// What a peer may make us keep of a handshake message that is not complete, on the wire: the messages
/// that rustls takes are smaller, and may come in many records.
const HANDSHAKE_ON_WIRE: usize = 128 * 1024;

/// What a peer may send after the handshake without a byte of data, on the wire. rustls counts key updates until the
/// next record of data, which may be empty, and empty records until the next of another kind: each ends the other's
/// row. It does not count tickets.
const FRUITLESS_ON_WIRE: usize = 1024 * 1024;

const CERTIFICATE_REQUIRED_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 116];

/// The same expression for whichever side the connection is.
macro_rules! either {
    ($side:expr, $connection:ident => $body:expr) => {
        match $side {
            Side::Client($connection) => $body,
            Side::Server($connection) => $body,
        }
    };
}
use either;

pub struct Connection {
    side: Side,
    verifier: Arc<PeerVerifier>,
    greeting: Greeting,
    /// Until the handshake is over.
    handshake: Option<Arc<Handshake>>,
    pub callback_state: Arc<CallbackState>,
    /// Once the handshake is over.
    pub schemes: Schemes,
    name: Option<ServerName<'static>>,
    /// What stands above the peer's certificate in the verified path, when the peers last proved their keys, and a
    /// client's hello.
    path: Option<Box<[Place]>>,
    since: UnixTime,
    pub hello: Hello,
    /// A client's, where it is kept: the server's request for a certificate.
    pub request: Option<Box<CertificateRequest>>,
    /// A client's: the session that the server gives it, and the one that it offered.
    fresh: Option<Arc<Wallet>>,
    offered: Option<Arc<Wallet>>,
    /// No step of the handshake was made yet.
    untouched: bool,
    counters: Arc<Counters>,
    /// Set once, by the first failure: nothing passes any more.
    failed: Option<Box<Failure>>,
    close_notify_received: bool,
    close_notify_sent: bool,
    /// Records that wait to be sent, in the order in which they were made.
    pub outgoing: Buffer,
    /// What came from the peer and is not done with. rustls keeps positions in it, so every call into
    /// rustls gets it, those that only write too.
    incoming: Buffer,
    /// Plaintext that no caller has taken yet.
    plain: Buffer,
    /// Plaintext before that, which a caller gave back.
    given_back: Buffer,
    /// How many bytes have come since the last that held data, once the handshake is over.
    fruitless: usize,
    telling: Telling,
    _open: Open,
}

/// Where a certificate of a verified path is kept. A connection holds no copy of what its peer sent, which rustls
/// keeps, nor of what its context trusts.
enum Place {
    /// The number in the peer's chain.
    Sent(usize),
    /// The number in the trust set.
    Trusted(usize),
    Here(CertificateDer<'static>),
}

/// What one step came to.
enum Step {
    /// There may be more to do with the bytes at hand.
    Again,
    /// Nothing more to do without more bytes from the peer.
    Blocked,
}

/// The side that `config` is for; a client's comes with what its server's sessions are put into.
fn side_of(
    config: &Config,
    name: Option<ServerName<'static>>,
    offered: Option<Arc<Wallet>>,
) -> Result<(Side, Option<Arc<Wallet>>), Failure> {
    let broken = |why: Error| Failure::Internal(why.to_string());
    let tls12 = match config.takes_tickets {
        true => Tls12Resumption::SessionIdOrTickets,
        false => Tls12Resumption::SessionIdOnly,
    };
    match &config.rustls {
        RustlsConfig::Client(config) => {
            let mut config = ClientConfig::clone(config);
            let fresh = Arc::<Wallet>::default();
            let store = Store { offered, fresh: fresh.clone() };
            config.resumption = Resumption::store(Arc::new(store)).tls12_resumption(tls12);
            // Without a name none is sent; rustls sends none for an address.
            let name = name.unwrap_or(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0]))));
            let connection = UnbufferedClientConnection::new(Arc::new(config), name).map_err(broken)?;
            Ok((Side::Client(connection), Some(fresh)))
        }
        RustlsConfig::Server(config) => {
            let connection = UnbufferedServerConnection::new(config.clone()).map_err(broken)?;
            Ok((Side::Server(connection), None))
        }
    }
}

impl Connection {
    /// `session`: a client's, to be resumed; it is not offered where its server would not be accepted
    /// now, nor for another name. `on_hello`: a server's, see `hello_callback::ask`.
    /// `callback`: see `callback::ask`.
    pub fn new(
        config: &Config,
        server_name: Option<&str>,
        session: Option<&Session>,
        on_hello: Option<HelloCallback>,
        callback: Option<Py<PyAny>>,
    ) -> Result<Self, Failure> {
        let name = match server_name {
            Some(name) => Some(
                ServerName::try_from(name.to_owned())
                    .map_err(|why| Unusable::new(Thing::ServerHostname, why))?,
            ),
            None => None,
        };
        let verifier = config.verifier.clone();
        let same_name = session.filter(|session| session.name == name);
        let usable = same_name.and_then(|session| {
            let chain = session.chain.clone();
            let verified = verifier.verify_again(Role::Server, chain, name.as_ref(), session.since).ok()?;
            Some((session.wallet.clone(), (verified, session.since)))
        });
        let (offered, known) = usable.unzip();
        let (verified, since) = known.unzip();
        let callback_state = Arc::<CallbackState>::default();
        let (side, fresh) = side_of(config, name.clone(), offered.clone())?;
        Ok(Self {
            side,
            greeting: on_hello.map_or(Greeting::Accepted, |ask| Greeting::Incomplete(Box::default(), ask)),
            handshake: Some(Arc::new(Handshake::new(
                callback_state.clone(),
                callback,
                verified.flatten(),
                since,
            ))),
            schemes: Schemes::default(),
            callback_state,
            verifier,
            name,
            path: None,
            since: now()?,
            hello: Hello::default(),
            request: None,
            fresh,
            offered,
            untouched: true,
            counters: config.counters.clone(),
            failed: None,
            close_notify_received: false,
            close_notify_sent: false,
            outgoing: Buffer::default(),
            incoming: Buffer::default(),
            plain: Buffer::default(),
            given_back: Buffer::default(),
            fruitless: 0,
            telling: Telling::default(),
            _open: Open::new(),
        })
    }

    /// What this holds of the program's.
    pub fn callbacks(&self) -> [Option<&Py<PyAny>>; 2] {
        let on_hello = match &self.greeting {
            Greeting::Incomplete(_, callback) => Some(&callback.callable),
            _ => None,
        };
        [on_hello, self.handshake.as_ref().and_then(|handshake| handshake.callback.as_ref())]
    }

    /// From now on a server's request for a certificate is kept.
    pub fn keep_request(&self) {
        if let Some(handshake) = &self.handshake {
            handshake.keep_request();
        }
    }

    /// Whether nothing of the handshake was done yet.
    pub fn untouched(&self) -> bool {
        self.untouched && self.failed.is_none() && self.incoming.is_empty()
    }

    /// Whether all that the end of the handshake leaves to send are a TLS 1.3 server's tickets: the client
    /// needs none of them for this connection.
    pub fn only_tickets_wait(&self) -> bool {
        matches!(self.side, Side::Server(_))
            && self.state().protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Whether the end of the peer's handshake is to be acknowledged at once: nothing that this end sends does it, or a
    /// TLS 1.3 server's tickets come after it, and hold what a server without TCP_NODELAY writes next.
    pub fn to_acknowledge(&self) -> bool {
        self.outgoing.is_empty()
            || matches!(self.side, Side::Client(_))
                && self.state().protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Whether more is to come before an answer is due: a server's TLS 1.3 flight comes in several records,
    /// and rustls answers the first already.
    pub fn amid_flight(&self) -> bool {
        matches!(self.side, Side::Client(_)) && self.state().protocol_version().is_some()
    }

    /// Whether the handshake resumed a session.
    pub fn resumed(&self) -> bool {
        self.state().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// What a client needs to resume the session later; None for a server.
    pub fn session(&self) -> Option<Session> {
        let fresh = self.fresh.as_ref()?;
        let wallet = match &self.offered {
            Some(offered) if fresh.is_empty() && self.resumed() => offered.clone(),
            _ => fresh.clone(),
        };
        let chain = self.state().peer_certificates().unwrap_or_default().to_vec();
        Some(Session { wallet, chain, name: self.name.clone(), since: self.since })
    }

    fn place_of(&self, certificate: CertificateDer<'static>) -> Place {
        let sent = self.state().peer_certificates().unwrap_or_default();
        if let Some(number) = sent.iter().position(|each| *each == certificate) {
            return Place::Sent(number);
        }
        let trusted = self.verifier.trust.certificates().position(|each| *each == certificate);
        trusted.map_or(Place::Here(certificate), Place::Trusted)
    }

    /// The verified path: the peer's own certificate, its issuer's, up to the anchor's. None where none was validated.
    pub fn verified_chain(&self) -> Option<Vec<CertificateDer<'static>>> {
        let sent = self.state().peer_certificates()?;
        let above = self.path.as_ref()?.iter().map(|place| match place {
            Place::Sent(number) => sent.get(*number),
            Place::Trusted(number) => self.verifier.trust.certificate(*number),
            Place::Here(certificate) => Some(certificate),
        });
        std::iter::once(sent.first()).chain(above).map(Option::<&_>::cloned).collect()
    }

    pub fn state(&self) -> &CommonState {
        either!(&self.side, connection => connection.deref())
    }

    pub fn established(&self) -> bool {
        self.failed.is_none() && !self.state().is_handshaking()
    }

    /// The handshake is over, and no callback is held any more.
    pub fn finished(&self) -> bool {
        self.handshake.is_none()
    }

    /// A certificate of the peer's was validated, or there is no connection.
    pub fn validated(&self) -> bool {
        self.verifier.validate
    }

    pub fn close_notify_received(&self) -> bool {
        self.close_notify_received
    }

    pub fn close_notify_sent(&self) -> bool {
        self.close_notify_sent
    }

    pub fn check(&self) -> Result<(), Failure> {
        self.failed.as_deref().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Gives the connection up for `failure`; the first one stays. Of a peer that was not accepted nothing is kept.
    pub fn fail(&mut self, failure: Failure) -> Failure {
        if !self.finished() {
            self.plain = Buffer::default();
        }
        Failure::clone(self.failed.get_or_insert_with(|| Box::new(failure)))
    }

    /// Gives up the bytes that came after the peer's close_notify: they are not TLS.
    pub fn take_incoming(&mut self) -> Buffer {
        mem::take(&mut self.incoming)
    }

    /// Gives what waits to be sent.
    pub fn take_outgoing(&mut self) -> Buffer {
        mem::take(&mut self.outgoing)
    }

    /// Adds bytes from the peer.
    pub fn feed(&mut self, mut bytes: Buffer) {
        self.telling.heard |= !bytes.is_empty();
        self.incoming.append_buffer(&mut bytes);
    }

    /// A bound on the plaintext that can be read without more from the peer; 0 where there is none.
    pub fn at_hand(&self) -> usize {
        self.pending() + self.incoming.len()
    }

    /// Plaintext that can be read without more from the peer.
    pub fn pending(&self) -> usize {
        self.given_back.len() + self.plain.len()
    }

    /// Takes back the plaintext of the last read, for which its caller found no memory: the next read gives it.
    pub fn give_back(&mut self, mut plain: Buffer) {
        plain.append_buffer(&mut self.given_back);
        self.given_back = plain;
    }

    /// Processes what came from the peer: plaintext goes `into` the caller's buffer until that is full,
    /// what does not fit is kept, output goes to `outgoing`. Returns how many bytes were given.
    pub fn process(&mut self, into: &mut [u8]) -> Result<usize, Failure> {
        let first = if self.given_back.is_empty() { &mut self.plain } else { &mut self.given_back };
        let kept = first.move_into(into);
        if kept > 0 {
            return Ok(kept);
        }
        self.check()?;
        if !self.greet()? {
            return Ok(0);
        }
        if mem::take(&mut self.untouched) {
            self.counters.begun(&self.side);
        }
        let Some(handshake) = self.handshake.clone() else { return self.advance(into) };
        self.forget_declined_session(&handshake);
        let processed = handshake.run(|| self.advance(into));
        let (hello, request) = handshake.take_noted();
        if let Some(hello) = hello {
            self.hello = hello;
        }
        self.request = request.or(self.request.take());
        drop(handshake);
        if processed.is_ok() {
            self.finish_handshake()?;
        }
        processed
    }

    /// Holds not much more memory for what is not processed than that takes.
    pub fn trim(&mut self) {
        self.incoming.shrink();
    }

    fn advance(&mut self, into: &mut [u8]) -> Result<usize, Failure> {
        let mut got = 0;
        let mut used = 0;
        let mut data = false;
        loop {
            let Self { side, outgoing, close_notify_received, incoming, plain, .. } = self;
            let rest = &mut incoming.bytes_mut()[used..];
            let started_with = rest.first_chunk::<5>().copied();
            let mut sink = |bytes: &[u8]| {
                data |= !bytes.is_empty();
                let fits = bytes.len().min(into.len() - got);
                into[got..got + fits].copy_from_slice(&bytes[..fits]);
                got += fits;
                plain.append(&bytes[fits..]);
            };
            let (discard, step) = either!(side, connection => {
                step(connection.process_tls_records(rest), outgoing, close_notify_received, &mut sink)
            });
            used += discard;
            match step {
                Ok(Step::Again) if got < into.len() || got == 0 => {}
                Ok(step) => {
                    self.incoming.discard(used);
                    if matches!(step, Step::Blocked) && self.incoming.len() > HANDSHAKE_ON_WIRE {
                        self.queue_alert(Some(AlertDescription::DecodeError));
                        let why = "handshake_too_long".to_owned();
                        return Err(self.fail(Failure::Protocol(why)));
                    }
                    self.telling.had_data |= data;
                    self.fruitless = if data || !self.finished() { 0 } else { self.fruitless + used };
                    if self.fruitless > FRUITLESS_ON_WIRE {
                        self.queue_alert(Some(AlertDescription::UnexpectedMessage));
                        return Err(self.fail(Failure::Protocol("without_data".to_owned())));
                    }
                    return Ok(got);
                }
                Err(error) => {
                    self.incoming.discard(used);
                    let failure = self.refuse(error, started_with);
                    // What came before it is good, once the peer is: the next call gets the reason.
                    return if got > 0 && self.finished() { Ok(got) } else { Err(failure) };
                }
            }
        }
    }

    /// The handshake or a record failed: the alert is queued, the connection is over.
    fn refuse(&mut self, error: Error, started_with: Option<[u8; 5]>) -> Failure {
        let handshake = self.handshake.as_ref();
        let rejection = handshake.and_then(|handshake| handshake.take_rejection());
        let no_certificate = handshake.is_some_and(|handshake| handshake.found_no_certificate());
        let no_scheme = handshake.is_some_and(|handshake| handshake.found_no_scheme());
        let early = self.state().protocol_version().is_none();
        let before = self.outgoing.len();
        let evidence = Evidence { rejection, no_certificate, no_scheme, early, started_with };
        self.queue_alert(alert_of(&error, &evidence));
        if self.callback_state.cancelled() {
            return self.fail_as_cancelled();
        }
        if matches!(error, Error::NoCertificatesPresented) {
            self.use_handshake_failure_before_tls13(before);
        }
        let failure = failure_of(error, evidence);
        self.fail(failure.without_cause());
        failure
    }

    /// certificate_required exists from TLS 1.3 on; before, RFC 5246 section 7.4.6 says handshake_failure.
    /// rustls sends the former in both. The record is not encrypted yet at that point of TLS 1.2.
    fn use_handshake_failure_before_tls13(&mut self, from: usize) {
        let tls12 = self.state().protocol_version() == Some(ProtocolVersion::TLSv1_2);
        let alert = &mut self.outgoing.bytes_mut()[from..];
        if tls12 && *alert == CERTIFICATE_REQUIRED_ALERT {
            alert[CERTIFICATE_REQUIRED_ALERT.len() - 1] = HANDSHAKE_FAILURE;
        }
    }

    /// Encrypts `plain`, one fragment or several, to the end of `outgoing`.
    pub fn encrypt(&mut self, plain: &[u8]) -> Result<(), Failure> {
        self.check()?;
        if !self.established() || self.close_notify_sent {
            return Err(Failure::Closed);
        }
        let records = plain.len().div_ceil(MAX_FRAGMENT) + 1;
        let room = plain.len() + records * RECORD_OVERHEAD;
        self.write(room, |side, incoming, room| {
            either!(side, connection => match connection.process_tls_records(incoming).state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    traffic.encrypt(plain, room).map_err(|_| Error::EncryptError)
                }
                _ => Err(Error::EncryptError),
            })
        })
    }

    /// Queues close_notify (RFC 8446, section 6.1), once.
    pub fn queue_close_notify(&mut self) -> Result<(), Failure> {
        self.check()?;
        if self.close_notify_sent || !self.established() {
            return Ok(());
        }
        self.write(RECORD_OVERHEAD, |side, incoming, room| {
            either!(side, connection => match connection.process_tls_records(incoming).state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    traffic.queue_close_notify(room).map_err(|_| Error::EncryptError)
                }
                _ => Err(Error::EncryptError),
            })
        })?;
        self.close_notify_sent = true;
        Ok(())
    }

    /// Processes everything at hand, its plaintext kept for the next read.
    pub fn settle(&mut self) -> Result<(), Failure> {
        self.process(&mut []).map(|_| ())
    }

    fn write(
        &mut self,
        room: usize,
        encode: impl FnOnce(&mut Side, &mut [u8], &mut [u8]) -> Result<usize, Error>,
    ) -> Result<(), Failure> {
        // rustls takes no writes before it has sent and processed everything itself.
        self.settle()?;
        match encode(&mut self.side, self.incoming.bytes_mut(), self.outgoing.room(room)) {
            Ok(count) => {
                self.outgoing.added(count);
                Ok(())
            }
            Err(error) => Err(self.fail(Failure::Protocol(error.to_string()))),
        }
    }
}

/// Handles one status of rustls's state machine: how many bytes to discard, and what comes next.
fn step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Buffer,
    close_notify_received: &mut bool,
    plain: &mut dyn FnMut(&[u8]),
) -> (usize, Result<Step, Error>) {
    let UnbufferedStatus { mut discard, state, .. } = status;
    let result = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    plain(record.payload);
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(Step::Again),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            let needed = match data.encode(&mut []) {
                Err(EncodeError::InsufficientSize(size)) => size.required_size,
                _ => 0,
            };
            match data.encode(outgoing.room(needed)) {
                Ok(count) => {
                    outgoing.added(count);
                    Ok(Step::Again)
                }
                Err(error) => Err(Error::General(error.to_string())),
            }
        }
        // What was encoded is in `outgoing`, from where its order cannot change any more.
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::PeerClosed) => {
            *close_notify_received = true;
            Ok(Step::Again)
        }
        Ok(_) => Ok(Step::Blocked),
        Err(error) => Err(error),
    };
    (discard, result)
}
