//! Which of our own certificates is sent, on either side.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, SignatureScheme};

use crate::tls::handshake::{Hello, current};
use crate::tls::own_identity::Own;
use crate::verify::certificate::{dns_names, subject_and_issuer};

/// A server's certificates. Those for the name that the client asks for come first, then those for a wildcard
/// that covers it, then all of them, each in the order of preference: the first that the client can verify is
/// used. Where there is none the handshake fails.
#[derive(Debug)]
pub struct OwnCertificates {
    own: Vec<Arc<Own>>,
    /// The DNS names of the certificates, in lower case, wildcards as they are written.
    by_name: HashMap<String, Vec<usize>>,
}

impl ResolvesServerCert for OwnCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let own = self.choose(&hello).map(|own| own.current());
        let suites = hello.cipher_suites().iter().map(|suite| u16::from(*suite)).collect();
        if let Ok(handshake) = current() {
            let signs = |own: &Arc<CertifiedKey>| own.key.choose_scheme(hello.signature_schemes()).is_some();
            let no_scheme = own.as_ref().is_some_and(|own| !signs(own));
            let name = hello.server_name().map(Box::from);
            handshake.note_hello(Hello { suites, name, own: own.clone(), no_scheme });
        }
        own
    }
}

impl OwnCertificates {
    /// `own`: in the order of preference.
    pub fn new(own: Vec<Arc<Own>>) -> Self {
        let mut by_name = HashMap::<String, Vec<usize>>::new();
        for (index, each) in own.iter().enumerate() {
            for name in each.bare().cert.first().map(dns_names).unwrap_or_default() {
                let known = by_name.entry(name).or_default();
                if known.last() != Some(&index) {
                    known.push(index);
                }
            }
        }
        Self { own, by_name }
    }

    fn choose(&self, hello: &ClientHello<'_>) -> Option<&Arc<Own>> {
        // With a single one rustls finds itself what is wrong with it.
        if let [only] = self.own.as_slice() {
            return Some(only);
        }
        let usable = |own: &&Arc<Own>| {
            let key = &own.bare().key;
            let suits =
                |suite: &CipherSuite| match ALL_CIPHER_SUITES.iter().find(|each| each.suite() == *suite) {
                    Some(suite) => suite.usable_for_signature_algorithm(key.algorithm()),
                    None => false,
                };
            key.choose_scheme(hello.signature_schemes()).is_some() && hello.cipher_suites().iter().any(suits)
        };
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let exact = name.as_ref().and_then(|name| self.by_name.get(name));
        let wildcard = name.as_ref().and_then(|name| {
            let (_, domain) = name.split_once('.')?;
            self.by_name.get(&format!("*.{domain}"))
        });
        let named = exact.into_iter().chain(wildcard).flatten().map(|index| &self.own[*index]);
        let mut candidates = named.chain(&self.own);
        candidates.clone().find(usable).or_else(|| candidates.next())
    }
}

/// A client's certificates in the order of preference: the first that the server can verify is sent, one by
/// a CA that the server named before others.
#[derive(Debug)]
pub struct OwnIdentities(Vec<(Arc<Own>, Vec<Vec<u8>>)>);

impl OwnIdentities {
    pub fn new(own: Vec<Arc<Own>>) -> Self {
        let issuers = |own: &Arc<Own>| -> Vec<_> {
            own.bare().cert.iter().filter_map(|der| Some(subject_and_issuer(der).ok()?.1)).collect()
        };
        Self(own.into_iter().map(|own| (own.clone(), issuers(&own))).collect())
    }
}

impl ResolvesClientCert for OwnIdentities {
    fn resolve(&self, authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let mut usable = self.0.iter().filter(|(own, _)| own.bare().key.choose_scheme(schemes).is_some());
        let wanted = |(_, issuers): &&(Arc<Own>, Vec<Vec<u8>>)| {
            issuers.iter().any(|issuer| authorities.contains(&issuer.as_slice()))
        };
        let chosen = usable.clone().find(wanted).or_else(|| usable.next());
        if let Ok(handshake) = current() {
            handshake.note_request(authorities, chosen.is_some());
        }
        chosen.map(|(own, _)| own.bare().clone())
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}
