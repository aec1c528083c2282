//! Fatal alerts of our choice, where rustls has no call for one, and record headers that rustls does not look at.
//!
//! rustls sends no alert of itself for some errors (floods of records that do nothing, messages that are interleaved),
//! and has no call that sends one. Its own keys have to protect the alert, and they are out of reach once a handshake
//! failed. So the connection makes rustls refuse bytes that are no record, which it does with an alert
//! (`connection::alert`), and says meanwhile which alert that shall be: each cipher suite's encrypter is wrapped, and
//! puts the named alert in the place of rustls's. What is not encrypted yet is changed where it is queued.

use std::cell::Cell;
use std::sync::LazyLock;

use rustls::crypto::CipherSuiteCommon;
use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, OutboundChunks, OutboundOpaqueMessage, OutboundPlainMessage, Tls12AeadAlgorithm,
    Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::{
    AlertDescription, ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion, SupportedCipherSuite,
    Tls12CipherSuite, Tls13CipherSuite,
};

/// AlertLevel fatal (RFC 8446, section 6).
const FATAL: u8 = 2;

/// What a record of TLS 1.3 says of its length where it holds an alert: two bytes, their type, and the tag.
const ENCRYPTED_ALERT: usize = 2 + 1 + 16;

thread_local! {
    static NAMED: Cell<Option<AlertDescription>> = const { Cell::new(None) };
}

struct Unnamed;

impl Drop for Unnamed {
    fn drop(&mut self) {
        NAMED.set(None);
    }
}

/// Makes a call into rustls in which whatever is encrypted, but for handshake messages, becomes `alert`.
pub fn named<T>(alert: Option<AlertDescription>, call: impl FnOnce() -> T) -> T {
    NAMED.set(alert);
    let _unnamed = Unnamed;
    call()
}

/// The record of a fatal alert that nothing encrypts.
pub fn plain_alert(alert: AlertDescription) -> [u8; 7] {
    [21, 3, 3, 0, 2, FATAL, alert.into()]
}

/// What an alert is, without the header of its record.
pub fn content(alert: AlertDescription) -> [u8; 2] {
    [FATAL, alert.into()]
}

/// Whether the last of these records, none of which is application data, is an alert.
pub fn ends_with_alert(mut records: &[u8]) -> bool {
    let mut last = false;
    while let Some(([kind, _, _, high, low], rest)) = records.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        last = match ContentType::from(*kind) {
            ContentType::Alert => true,
            ContentType::ApplicationData => length == ENCRYPTED_ALERT,
            _ => false,
        };
        records = rest.get(length..).unwrap_or_default();
    }
    last
}

/// The cipher suites that exist here, best first, wrapped.
pub fn cipher_suites() -> &'static [SupportedCipherSuite] {
    static SUITES: LazyLock<Vec<SupportedCipherSuite>> =
        LazyLock::new(|| ALL_CIPHER_SUITES.iter().map(wrapped).collect());
    &SUITES
}

fn wrapped(suite: &SupportedCipherSuite) -> SupportedCipherSuite {
    let same = |common: &CipherSuiteCommon| CipherSuiteCommon { ..*common };
    // rustls takes nothing but what lives as long as the program; each suite is made once.
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

/// An AEAD algorithm whose encrypters know `named`, and whose decrypters look at the header.
struct Wrapped<Algorithm: ?Sized + 'static>(&'static Algorithm);

impl Tls13AeadAlgorithm for Wrapped<dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Encrypter(self.0.encrypter(key, iv)))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Decrypter13(self.0.decrypter(key, iv)))
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

impl Tls12AeadAlgorithm for Wrapped<dyn Tls12AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Encrypter(self.0.encrypter(key, iv, extra)))
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

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

struct Encrypter(Box<dyn MessageEncrypter>);

impl MessageEncrypter for Encrypter {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        match NAMED.get() {
            Some(alert) if message.typ != ContentType::Handshake => {
                let payload = &content(alert);
                let (typ, payload) = (ContentType::Alert, OutboundChunks::Single(payload));
                self.0.encrypt(OutboundPlainMessage { typ, payload, ..message }, sequence)
            }
            _ => self.0.encrypt(message, sequence),
        }
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        self.0.encrypted_payload_len(length)
    }
}

/// Decrypts records of TLS 1.3 whose header is the one that was authenticated (RFC 8446, section 5.2).
///
/// rustls authenticates the type and the version that belong there, whatever came.
struct Decrypter13(Box<dyn MessageDecrypter>);

impl MessageDecrypter for Decrypter13 {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        if message.typ != ContentType::ApplicationData || message.version != ProtocolVersion::TLSv1_2 {
            return Err(Error::DecryptError);
        }
        self.0.decrypt(message, sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_found_as_the_last_record_only() {
        let alert = plain_alert(AlertDescription::DecodeError);
        let hello = [22, 3, 3, 0, 1, 2];
        let encrypted = [&[23, 3, 3, 0, 19][..], &[0; 19]].concat();
        assert!(!ends_with_alert(&[]));
        assert!(!ends_with_alert(&hello));
        assert!(ends_with_alert(&[&hello[..], &alert].concat()));
        assert!(!ends_with_alert(&[&alert[..], &hello].concat()));
        assert!(ends_with_alert(&[&hello[..], &encrypted].concat()));
    }

    #[test]
    fn an_alert_is_named_for_one_call_only() {
        assert_eq!(
            named(Some(AlertDescription::AccessDenied), || NAMED.get()),
            Some(AlertDescription::AccessDenied)
        );
        assert_eq!(NAMED.get(), None);
    }
}
