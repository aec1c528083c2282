//! rustls configurations from a recipe, as recipe.py describes it.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use serde_json::Value;

use crate::tls::Outcome;

fn text<'j>(recipe: &'j Value, name: &str) -> Option<&'j str> {
    recipe[name].as_str()
}

/// The engine's order of suites, unless the recipe wants AES-256.
fn provider(recipe: &Value) -> Arc<CryptoProvider> {
    let mut provider = default_provider();
    let name = |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite());
    if text(recipe, "suite").is_some() {
        provider.cipher_suites.retain(|suite| name(suite).contains("AES_256"));
    } else {
        provider.cipher_suites.sort_by_key(|suite| name(suite) != "TLS13_AES_128_GCM_SHA256");
    }
    Arc::new(provider)
}

fn version(recipe: &Value) -> &'static SupportedProtocolVersion {
    if text(recipe, "version") == Some("TLSv1.2") { &TLS12 } else { &TLS13 }
}

fn roots(recipe: &Value) -> Outcome<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(text(recipe, "ca").ok_or("no CA")?)? {
        roots.add(certificate?)?;
    }
    Ok(Arc::new(roots))
}

fn identity(path: &str) -> Outcome<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
    Ok((chain, PrivateKeyDer::from_pem_file(path)?))
}

pub fn server(recipe: &Value) -> Outcome<Arc<ServerConfig>> {
    let provider = provider(recipe);
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version(recipe)])?;
    let (chain, key) = identity(text(recipe, "server").ok_or("no server certificate")?)?;
    let builder = if text(recipe, "client").is_some() {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots(recipe)?, provider).build()?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new()?;
    Ok(Arc::new(config))
}

pub fn client(recipe: &Value, resume: bool) -> Outcome<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(provider(recipe))
        .with_protocol_versions(&[version(recipe)])?
        .with_root_certificates(roots(recipe)?);
    let mut config = match text(recipe, "client") {
        Some(path) if recipe["shows_certificate"] != false => {
            let (chain, key) = identity(path)?;
            builder.with_client_auth_cert(chain, key)?
        }
        _ => builder.with_no_client_auth(),
    };
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}
