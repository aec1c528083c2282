//! What a context froze into, as Python holds it.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::api::identity::Identity;
use crate::api::ticket_keyring::TicketKeyring;
use crate::api::trust_set::TrustSet;
use crate::clock::now;
use crate::error::{Thing, Unusable};
use crate::tls::config::{self, Config, Counters};
use crate::tls::failure::{Failure, guarded};
use crate::tls::hello_callback::Answer;
use crate::tls::keyring::Keyring;
use crate::tls::recipe::{Demands, Recipe};
use crate::tls::signature_schemes::algorithms;
use crate::tls::ticket_keys::Secret;
use crate::verify::callback::ask;
use crate::verify::types::{Role, SentChain, Verified};
use crate::verify::verifier::in_words;

/// Counters that outlive a change of settings.
#[pyclass(frozen, module = "veritls._engine")]
pub struct Statistics(Arc<Counters>);

#[pymethods]
impl Statistics {
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }

    /// Handshakes as a client, then as a server: begun, finished, finished by resumption.
    fn read(&self) -> [[u64; 3]; 2] {
        self.0.read()
    }
}

/// The key exchange groups that exist here, by their IANA numbers, best first.
#[pyfunction]
pub fn key_exchange_groups() -> Vec<u16> {
    config::key_exchange_groups()
}

/// Whether a certificate can be for `name`: a DNS name in its ASCII form, or an address.
#[pyfunction]
pub fn is_server_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

/// The signature algorithms that exist here, by their IANA numbers, best first.
#[pyfunction]
pub fn signature_schemes() -> Vec<u16> {
    algorithms().supported_schemes().into_iter().map(u16::from).collect()
}

/// A configuration for one side. Shared by any number of connections.
#[pyclass(frozen, module = "veritls._engine")]
pub struct Settings(pub Arc<Config>);

/// What a context's tickets are sealed with.
#[derive(FromPyObject)]
enum Keys<'py> {
    Shared(PyRef<'py, TicketKeyring>),
    Own([u8; 32]),
}

/// What `sni_callback` answers: an alert or None, and what to go on with, if anything else.
pub fn read_hello_answer<'py>(answer: &Bound<'py, PyAny>) -> PyResult<Answer<'py>> {
    type Switched = Option<(Py<Settings>, Option<Py<PyAny>>)>;
    let (alert, switched) = answer.extract::<(Bound<'py, PyAny>, Switched)>()?;
    Ok((alert, switched.map(|(settings, callback)| (settings.get().0.clone(), callback))))
}

#[pymethods]
impl Settings {
    /// `ticket_keys`: the secret of the context, or what it shares; what tickets are sealed with is derived from
    /// either and the fingerprint. `policy_token`: changes with each callback.
    #[new]
    fn new(
        recipe: Recipe,
        demands: Demands,
        identities: Vec<PyRef<'_, Identity>>,
        trust: &TrustSet,
        statistics: &Statistics,
        ticket_keys: Keys<'_>,
        policy_token: &[u8],
    ) -> PyResult<Self> {
        let identities = identities.iter().map(|identity| identity.0.clone()).collect();
        let (trust, counters) = (trust.0.clone(), statistics.0.clone());
        let keyring = match ticket_keys {
            Keys::Shared(keyring) => keyring.0.clone(),
            Keys::Own(secret) => Arc::new(Keyring::own(Secret::new(secret))),
        };
        let config = Config::new(recipe, &demands, identities, trust, counters, keyring, policy_token)?;
        Ok(Self(Arc::new(config)))
    }

    /// A server's: what a session of another process must have in common with these settings.
    #[getter]
    fn fingerprint<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.fingerprint.map(|fingerprint| PyBytes::new(py, &fingerprint))
    }

    /// Verifies a chain (DER, the peer's own certificate first) as a handshake would that requires one, now or
    /// at a second of the epoch. `name`: to be checked too. `ocsp_response`: what its server stapled. `callback`:
    /// asked as a connection's is, about what was verified.
    #[pyo3(signature = (chain, of_server, name = None, at = None, ocsp_response = None, callback = None))]
    #[allow(clippy::too_many_arguments)]
    fn verify(
        &self,
        py: Python<'_>,
        chain: Vec<Vec<u8>>,
        of_server: bool,
        name: Option<&str>,
        at: Option<u64>,
        ocsp_response: Option<Vec<u8>>,
        callback: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let name = name
            .map(|name| ServerName::try_from(name).map_err(|why| Unusable::new(Thing::ServerHostname, why)))
            .transpose()?;
        let role = if of_server { Role::Server } else { Role::Client };
        let at = match at {
            Some(at) => UnixTime::since_unix_epoch(Duration::from_secs(at)),
            None => now()?,
        };
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        let response = ocsp_response.unwrap_or_default();
        let verifier = &self.0.verifier;
        py.detach(|| {
            guarded(|| {
                let sent = SentChain::of(&chain).ok_or(Failure::NoPeerCertificate)?;
                let path = verifier.verify_stapled(role, sent, name.as_ref(), &response, at)?;
                if callback.is_some() {
                    let (name, stapled) = (name.as_ref().map(in_words), !response.is_empty());
                    let verified = Verified { chain: chain.clone(), path, at, name, stapled };
                    ask(callback.as_ref(), &Arc::default(), Some(&verified), sent.own)
                        .map_err(|rejection| verifier.refused_once_verified(rejection, Some(&verified)))?;
                }
                Ok(())
            })
        })?;
        Ok(())
    }
}
