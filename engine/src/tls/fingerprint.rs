//! The fingerprint of a policy: what two settings must have in common for a session of one to be resumed
//! under the other. SHA-256 over an encoding in which every piece has a name and says how long it is.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;

use crate::tls::own_identity::Own;
use crate::tls::recipe::{Demands, Recipe};
use crate::tls::ticket_keys::Fingerprint;
use crate::verify::trust::Trust;

/// What an engine of one version verified counts for that version.
const VERSION: &str = concat!("veritls fingerprint 2, engine ", env!("CARGO_PKG_VERSION"));

/// All by which a peer is verified, and all that a connection is made of. `policy_token` stands for what cannot
/// be compared: the program's callbacks.
pub fn fingerprint(
    recipe: &Recipe,
    demands: &Demands,
    identities: &[Arc<Own>],
    trust: &Trust,
    policy_token: &[u8],
) -> Fingerprint {
    // Taken apart, so that no field can be forgotten.
    let Recipe { server_side, tls12, tls13, alpn, suites, groups, own_order, tickets, keylog } = recipe;
    let Demands {
        request,
        require,
        validate,
        check_name,
        revocation,
        accept_unknown,
        require_ocsp,
        strict,
        allowed,
        pinned,
        verify_callback,
        reverify,
        max_resumption_age,
    } = demands;
    let flag = |flag: bool| vec![u8::from(flag)];
    let numbers = |numbers: &[u16]| list(numbers.iter().map(|number| number.to_be_bytes()));
    let matcher = |(kind, value): &(String, String)| list([kind, value]);
    let fields = [
        ("version", VERSION.as_bytes().to_vec()),
        ("server_side", flag(*server_side)),
        ("tls12", flag(*tls12)),
        ("tls13", flag(*tls13)),
        ("alpn", list(alpn)),
        ("suites", numbers(suites)),
        ("groups", numbers(groups)),
        ("own_order", flag(*own_order)),
        ("tickets", list(tickets.map(|count| (count as u64).to_be_bytes()))),
        ("keylog", list(keylog.as_ref().map(|path| path.as_os_str().as_encoded_bytes()))),
        ("request", flag(*request)),
        ("require", flag(*require)),
        ("validate", flag(*validate)),
        ("check_name", flag(*check_name)),
        ("revocation", revocation.as_bytes().to_vec()),
        ("accept_unknown", flag(*accept_unknown)),
        ("require_ocsp", flag(*require_ocsp)),
        ("strict", flag(*strict)),
        ("allowed", set(allowed.iter().map(|several| set(several.iter().map(matcher))))),
        ("pinned", set(pinned.iter().map(set))),
        ("verify_callback", flag(*verify_callback)),
        ("reverify", flag(*reverify)),
        ("max_resumption_age", max_resumption_age.to_be_bytes().to_vec()),
        ("identities", list(identities.iter().map(|own| identity(own)))),
        ("trust", trust_fingerprint(trust).to_vec()),
        ("policy_token", policy_token.to_vec()),
    ];
    hash(&list(fields.map(|(name, value)| list([name.as_bytes(), &value]))))
}

/// Of the certificates and CRLs of a trust set, and of the trust domains that its anchors are for; their order means
/// nothing.
fn trust_fingerprint(trust: &Trust) -> Fingerprint {
    let certificates = |those: &[CertificateDer<'_>]| set(those.iter().map(|der| hash(der)));
    let [between, helping] = trust.intermediates().map(certificates);
    let crls = set(trust.crls().map(|crl| hash(&crl.der)));
    // Beside its anchors each domain has what is hashed here once.
    let domain = |(name, trust): (&String, &Arc<Trust>)| {
        list([name.as_bytes(), &hash(&certificates(&trust.anchor_certificates))])
    };
    let domains = trust.domains().map(|domains| set(domains.iter().map(domain)));
    hash(&list([certificates(&trust.anchor_certificates), between, helping, crls, list(domains)]))
}

fn identity(own: &Own) -> Vec<u8> {
    let own = own.bare();
    let key = own.key.public_key();
    list([list(&own.cert), key.map(|key| key.to_vec()).unwrap_or_default()])
}

fn hash(bytes: &[u8]) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(digest(&SHA256, bytes).as_ref());
    fingerprint
}

/// Pieces in an order that counts: each after its length.
fn list(pieces: impl IntoIterator<Item: AsRef<[u8]>>) -> Vec<u8> {
    let mut encoded = Vec::new();
    for piece in pieces {
        encoded.extend((piece.as_ref().len() as u64).to_be_bytes());
        encoded.extend(piece.as_ref());
    }
    encoded
}

/// Pieces whose order means nothing.
fn set(pieces: impl IntoIterator<Item: AsRef<[u8]>>) -> Vec<u8> {
    let mut pieces: Vec<_> = pieces.into_iter().map(|piece| piece.as_ref().to_vec()).collect();
    pieces.sort_unstable();
    pieces.dedup();
    list(pieces)
}
