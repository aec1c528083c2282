//! The peer: rustls as it is, but for what lies between its messages and their encryption. There its records are taken
//! to `FLIGHT`, changed, and only then encrypted, with the keys and the numbers that are theirs: what a peer can send
//! that holds the keys, and what anyone can who sends before there are any.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, ALL_KX_GROUPS, Ticketer, default_provider};
use rustls::crypto::cipher::{
    AeadKey, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundOpaqueMessage,
    OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, Connection, ConnectionTrafficSecrets, ContentType, DigitallySignedStruct,
    DistinguishedName, Error, ProtocolVersion, ServerConfig, ServerConnection, SignatureScheme,
    SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};

use crate::edits::{APPLICATION_DATA, CHANGE_CIPHER_SPEC, Edits, HANDSHAKE, Record};
use crate::stream::Stream;

/// What stands in the peer's output for records that were encrypted already: this, and their number.
const MARK: &[u8] = b"taken out, encrypted already: ";

/// What the peer sends, on its way.
pub struct Flight {
    pub edits: Edits,
    /// For each mark, what the peer made there and what goes over the wire for it.
    encrypted: Vec<(Record, Vec<u8>)>,
    /// The type and the content that each encrypted record hides, by what stands on the wire.
    hidden: HashMap<Vec<u8>, (u8, Vec<u8>)>,
    wire: Stream,
    /// Messages of the handshake as the peer made them, and as they are delivered.
    pub said: Vec<u8>,
    pub delivered: Vec<u8>,
    /// Application data that is delivered under keys.
    pub data: Vec<u8>,
}

thread_local! {
    static FLIGHT: RefCell<Flight> = RefCell::new(Flight::new(Edits::none()));
}

/// One call with what the peer sends.
pub fn flight<T>(look: impl FnOnce(&mut Flight) -> T) -> T {
    FLIGHT.with_borrow_mut(look)
}

impl Flight {
    pub fn new(edits: Edits) -> Self {
        Self {
            edits,
            encrypted: Vec::new(),
            hidden: HashMap::new(),
            wire: Stream::default(),
            said: Vec::new(),
            delivered: Vec::new(),
            data: Vec::new(),
        }
    }

    /// What goes over the wire for what the peer wants to send.
    pub fn carry(&mut self, mut output: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        while let Some(([kind, _, _, high, low], rest)) = output.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (content, behind) = rest.split_at(length);
            output = behind;
            let (record, changed) = match content.strip_prefix(MARK) {
                Some(number) => {
                    let number = usize::from(u16::from_be_bytes([number[0], number[1]]));
                    self.encrypted[number].clone()
                }
                None => {
                    let record = Record::new(*kind, content);
                    let changed = self.edits.apply(record.clone()).iter().flat_map(bare).collect();
                    (record, changed)
                }
            };
            if record.kind == HANDSHAKE {
                self.said.extend(record.content);
            }
            wire.extend(changed);
        }
        self.deliver(&wire);
        wire
    }

    /// Notes what the engine can find in these bytes. What was changed in what is encrypted, it cannot decrypt.
    fn deliver(&mut self, wire: &[u8]) {
        for (kind, content) in self.wire.records(wire) {
            match self.hidden.get(&content) {
                Some((HANDSHAKE, content)) => self.delivered.extend(content),
                Some((APPLICATION_DATA, content)) => self.data.extend(content),
                None if kind == HANDSHAKE => self.delivered.extend(content),
                _ => {}
            }
        }
    }
}

/// As it is, without keys.
pub fn bare(record: &Record) -> Vec<u8> {
    let content = &record.content[..record.content.len().min(0xffff)];
    let length = (content.len() as u16).to_be_bytes();
    let mut wire = vec![record.kind, 3, 3, length[0], length[1]];
    wire.extend(content);
    flip(&mut wire, record.flip);
    wire
}

fn flip(wire: &mut [u8], bit: Option<usize>) {
    if let Some(bit) = bit {
        let place = bit / 8 % wire.len();
        wire[place] ^= 1 << (bit % 8);
    }
}

struct Encrypter {
    own: Box<dyn MessageEncrypter>,
    /// Of the records under these keys: those that are delivered, not those that the peer made.
    sequence: u64,
    tls13: bool,
}

impl Encrypter {
    fn encrypt(&mut self, flight: &mut Flight, record: &Record) -> Result<Vec<u8>, Error> {
        if record.bare || (record.kind == CHANGE_CIPHER_SPEC && self.tls13) {
            return Ok(bare(record));
        }
        let content = &record.content[..record.content.len().min(17_000)];
        let message = OutboundPlainMessage {
            typ: ContentType::from(record.kind),
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(content),
        };
        let mut wire = self.own.encrypt(message, self.sequence)?.encode();
        self.sequence += 1;
        // In TLS 1.3 the type is the last byte that is not zero (RFC 8446, section 5.4).
        let inner = [content, &[record.kind]].concat();
        let end = if self.tls13 { inner.iter().rposition(|byte| *byte != 0) } else { Some(content.len()) };
        if let Some(end) = end {
            flight.hidden.insert(wire[5..].to_vec(), (inner[end], inner[..end].to_vec()));
        }
        flip(&mut wire, record.flip);
        Ok(wire)
    }
}

impl MessageEncrypter for Encrypter {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, _: u64) -> Result<OutboundOpaqueMessage, Error> {
        let record = Record::new(message.typ.into(), &message.payload.to_vec());
        flight(|flight| {
            let mut wire = Vec::new();
            for record in flight.edits.apply(record.clone()) {
                wire.extend(self.encrypt(flight, &record)?);
            }
            let number = flight.encrypted.len() as u16;
            flight.encrypted.push((record, wire));
            let mut mark = PrefixedPayload::with_capacity(MARK.len() + 2);
            mark.extend_from_slice(MARK);
            mark.extend_from_slice(&number.to_be_bytes());
            Ok(OutboundOpaqueMessage::new(message.typ, message.version, mark))
        })
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        self.own.encrypted_payload_len(length)
    }
}

struct Wrapped<Algorithm: ?Sized + 'static>(&'static Algorithm);

impl Tls13AeadAlgorithm for Wrapped<dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Encrypter { own: self.0.encrypter(key, iv), sequence: 0, tls13: true })
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        self.0.decrypter(key, iv)
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl Tls12AeadAlgorithm for Wrapped<dyn Tls12AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Encrypter { own: self.0.encrypter(key, iv, extra), sequence: 0, tls13: false })
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.0.decrypter(key, iv)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.0.key_block_shape()
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

fn wrapped(suite: &SupportedCipherSuite) -> SupportedCipherSuite {
    let same = |common: &CipherSuiteCommon| CipherSuiteCommon { ..*common };
    match suite {
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: same(&suite.common),
                aead_alg: Box::leak(Box::new(Wrapped(suite.aead_alg))),
                ..**suite
            })))
        }
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: same(&suite.common),
                kx: suite.kx,
                aead_alg: Box::leak(Box::new(Wrapped(suite.aead_alg))),
                ..**suite
            })))
        }
    }
}

/// X25519 comes first, so that an end with another group has to ask again.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = default_provider();
        provider.cipher_suites = ALL_CIPHER_SUITES.iter().map(wrapped).collect();
        provider.kx_groups = [0x001d, 0x0017]
            .iter()
            .filter_map(|number| {
                ALL_KX_GROUPS.iter().find(|group| u16::from(group.name()) == *number).copied()
            })
            .collect();
        Arc::new(provider)
    });
    PROVIDER.clone()
}

/// Takes any certificate: what the peer thinks of the engine is not in question here.
#[derive(Debug)]
struct Credulous;

fn schemes() -> Vec<SignatureScheme> {
    vec![SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256]
}

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

impl ClientCertVerifier for Credulous {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

/// A certificate and the key to sign with, which need not be its own. DER.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub certificate: &'a [u8],
    pub key: &'a [u8],
}

impl Credentials<'_> {
    fn resolver(&self) -> Arc<SingleCertAndKey> {
        let key = PrivateKeyDer::try_from(self.key).expect("a key");
        let key = any_supported_type(&key).expect("a key that signs");
        let chain = vec![CertificateDer::from(self.certificate.to_vec())];
        Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))
    }
}

/// What connections of one peer have in common.
pub enum Peer {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

impl Peer {
    pub fn client(credentials: Option<&Credentials<'_>>) -> Self {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous));
        let mut config = match credentials {
            Some(own) => builder.with_client_cert_resolver(own.resolver()),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"fuzz".to_vec()];
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(8)));
        Self::Client(Arc::new(config))
    }

    pub fn server(credentials: &Credentials<'_>) -> Self {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(Arc::new(Credulous))
            .with_cert_resolver(credentials.resolver());
        config.alpn_protocols = vec![b"fuzz".to_vec()];
        config.ticketer = Ticketer::new().expect("tickets");
        Self::Server(Arc::new(config))
    }

    pub fn connection(&self) -> Connection {
        match self {
            Self::Client(config) => {
                let name = ServerName::try_from("localhost").expect("a name");
                ClientConnection::new(config.clone(), name).expect("a client").into()
            }
            Self::Server(config) => ServerConnection::new(config.clone()).expect("a server").into(),
        }
    }
}

/// What it wants to send.
pub fn output(peer: &mut Connection) -> Vec<u8> {
    let mut output = Vec::new();
    while peer.wants_write() {
        peer.write_tls(&mut output).expect("a Vec takes all there is");
    }
    output
}

/// Gives it `bytes`; false where it fails.
pub fn take(peer: &mut Connection, bytes: &[u8]) -> bool {
    let mut bytes = Cursor::new(bytes);
    while (bytes.position() as usize) < bytes.get_ref().len() {
        if !matches!(peer.read_tls(&mut bytes), Ok(count) if count > 0) || peer.process_new_packets().is_err()
        {
            return false;
        }
    }
    true
}
