//! The alert of a refusal that comes after a handshake, where rustls has no call for one: its own keys and
//! its own record protection make it, and the connection is given up for it.

use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::{
    AlertDescription, ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite,
};

use crate::tls::side::Side;

/// A record with a fatal alert (RFC 8446, section 6.2), after which this side sends nothing. None where the
/// connection is not in a state to send any.
pub fn fatal_alert(side: Side, alert: AlertDescription) -> Option<Vec<u8>> {
    let (suite, secrets) = match side {
        Side::Client(connection) => {
            (connection.negotiated_cipher_suite()?, connection.dangerous_into_kernel_connection().ok()?.0)
        }
        Side::Server(connection) => {
            (connection.negotiated_cipher_suite()?, connection.dangerous_into_kernel_connection().ok()?.0)
        }
    };
    let (sequence, keys) = secrets.tx;
    let (key, iv) = match keys {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
        _ => return None,
    };
    let mut encrypter = match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => {
            let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
            let (fixed, explicit) = iv.as_ref().split_at_checked(fixed)?;
            suite.aead_alg.encrypter(key, fixed, explicit)
        }
    };
    let fatal = 2;
    let message = OutboundPlainMessage {
        typ: ContentType::Alert,
        version: ProtocolVersion::TLSv1_2,
        payload: OutboundChunks::Single(&[fatal, alert.into()]),
    };
    encrypter.encrypt(message, sequence).ok().map(|record| record.encode())
}
