//! OCSP responses (RFC 6960) that a server staples: what one says of a certificate, and whether that counts.

use std::cell::OnceCell;

use aws_lc_rs::digest::{self, Algorithm, Digest, digest};
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Encode};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_ocsp::{
    CertId, CertStatus, OcspGeneralizedTime, OcspResponse, OcspResponseStatus, ResponderId, ResponseData,
    SingleResponse,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::FromDer;

use crate::verify::budget::{self, Budget};
use crate::verify::certificate::outline;
use crate::verify::crl::SKEW;
use crate::verify::crl_signers::RevocationCheck;
use crate::verify::rejection::Rejection;
use crate::verify::signature_cache::Meter;
use crate::verify::signed::Signed;
use crate::verify::trust::Trust;
use crate::verify::types::RevocationPolicy;

/// How long a response is good that does not say for how long, in seconds.
const WITHOUT_END: u64 = 24 * 60 * 60;
/// Certificates in a response that are looked at for its signer's. One is usual.
const MAX_CERTIFICATES: usize = 8;
const TOO_COMPLEX: &str = "verifying it would take too much work";
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// id-kp-OCSPSigning, 1.3.6.1.5.5.7.3.9, DER without its header.
const SIGNS_RESPONSES: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 9];
/// The TLS feature extension (RFC 7633), 1.3.6.1.5.5.7.1.24, and the feature status_request.
const TLS_FEATURE: &[u8] = &[43, 6, 1, 5, 5, 7, 1, 24];
const STATUS_REQUEST: u64 = 5;

type Algorithms<'a> = &'a [&'a dyn SignatureVerificationAlgorithm];

/// The certificate is good, by a response from the one second since 1970 to the other.
pub struct Good {
    pub since: u64,
    pub until: u64,
    /// The certificate of the responder, DER, where that is not the issuer itself.
    delegate: Option<Vec<u8>>,
}

fn refused(kind: &'static str, detail: impl Into<String>) -> Box<Rejection> {
    Box::new(Rejection::new(kind, detail))
}

fn bounded(kind: &'static str, detail: &str, now: UnixTime, bound: u64) -> Box<Rejection> {
    let bound = UnixTime::since_unix_epoch(std::time::Duration::from_secs(bound));
    Box::new(Rejection::new(kind, detail).at(now, bound))
}

/// The hashes with which a response may name a certificate (RFC 6960, section 4.1.1).
const HASHES: [(ObjectIdentifier, &Algorithm); 4] = [
    (ObjectIdentifier::new_unwrap("1.3.14.3.2.26"), &digest::SHA1_FOR_LEGACY_USE_ONLY),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"), &digest::SHA256),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"), &digest::SHA384),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"), &digest::SHA512),
];

fn read(der: &[u8]) -> Result<X509Certificate<'_>, Box<Rejection>> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|why| refused("ocsp_invalid", why.to_string()))?;
    Ok(certificate)
}

fn seconds(time: OcspGeneralizedTime) -> u64 {
    time.0.to_unix_duration().as_secs()
}

/// What an answer must name to be about a certificate, each hash made once: a response holds hundreds of answers.
struct Subject<'a> {
    serial: &'a [u8],
    issuer_name: &'a [u8],
    /// Without its issuer only the issuer's name can be compared.
    issuer_key: Option<&'a [u8]>,
    hashes: [OnceCell<(Digest, Option<Digest>)>; HASHES.len()],
}

impl<'a> Subject<'a> {
    fn of(certificate: &'a X509Certificate<'a>, issuer: Option<&'a X509Certificate<'a>>) -> Self {
        Self {
            serial: certificate.raw_serial(),
            issuer_name: certificate.issuer().as_raw(),
            issuer_key: issuer.map(|issuer| issuer.public_key().subject_public_key.data.as_ref()),
            hashes: Default::default(),
        }
    }

    fn is_meant(&self, by: &CertId) -> bool {
        if by.serial_number.as_bytes() != self.serial {
            return false;
        }
        let Some(place) = HASHES.iter().position(|(oid, _)| *oid == by.hash_algorithm.oid) else {
            return false;
        };
        let algorithm = HASHES[place].1;
        let (name, key) = self.hashes[place].get_or_init(|| {
            (digest(algorithm, self.issuer_name), self.issuer_key.map(|key| digest(algorithm, key)))
        });
        name.as_ref() == by.issuer_name_hash.as_bytes()
            && key.as_ref().is_none_or(|key| key.as_ref() == by.issuer_key_hash.as_bytes())
    }
}

/// Whether a response names the holder of this certificate as its signer.
fn names(id: &ResponderId, certificate: &X509Certificate<'_>) -> bool {
    match id {
        ResponderId::ByName(name) => name.to_der().is_ok_and(|name| name == certificate.subject().as_raw()),
        ResponderId::ByKey(hash) => {
            let key = &certificate.public_key().subject_public_key.data;
            digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key).as_ref() == hash.as_bytes()
        }
    }
}

/// The signer's certificate, DER, where it is not the issuer itself (RFC 6960, section 4.2.2.2): the issuer must
/// have issued it directly, for signing OCSP responses.
fn verify_signer(
    signed: &Signed<'_>,
    id: &ResponderId,
    issuer: &[u8],
    algorithms: Algorithms<'_>,
    now: UnixTime,
) -> Result<Option<Vec<u8>>, Box<Rejection>> {
    let issuer_read = read(issuer)?;
    if names(id, &issuer_read) && signed.is_of(issuer_read.public_key().raw, algorithms) {
        return Ok(None);
    }
    let issuer = CertificateDer::from(issuer);
    let anchor = [anchor_from_trusted_cert(&issuer).map_err(|why| refused("ocsp_invalid", why.to_string()))?];
    let mut why = "its issuer did not sign it, nor anybody whom it authorized".to_owned();
    for certificate in signed.certificates.iter().flatten().take(MAX_CERTIFICATES) {
        let Ok(der) = certificate.to_der() else { continue };
        let Ok(delegate) = read(&der) else { continue };
        if !names(id, &delegate) {
            continue;
        }
        let may_sign = match delegate.key_usage() {
            Ok(usage) => {
                usage.is_none_or(|usage| usage.value.digital_signature() || usage.value.non_repudiation())
            }
            Err(_) => false,
        };
        let der = CertificateDer::from(der.as_slice());
        let usage = KeyUsage::required(SIGNS_RESPONSES);
        let issued = EndEntityCert::try_from(&der).and_then(|delegate| {
            delegate.verify_for_usage(algorithms, &anchor, &[], now, usage, None, None).map(|_| ())
        });
        match issued {
            Err(error) => why = format!("its signer is not to be trusted with that: {error}"),
            Ok(()) if !may_sign => why = "its signer's key is not for signatures".to_owned(),
            Ok(()) if signed.is_of(delegate.public_key().raw, algorithms) => return Ok(Some(der.to_vec())),
            Ok(()) => {}
        }
    }
    Err(refused("ocsp_signature", why))
}

/// What `response` says of `certificate`, both DER. Without its issuer's certificate nobody can tell who signed it:
/// that is for a server that only wants to know whether it may be sent.
pub fn check(
    response: &[u8],
    certificate: &[u8],
    issuer: Option<&[u8]>,
    algorithms: Algorithms<'_>,
    now: UnixTime,
) -> Result<Good, Box<Rejection>> {
    let invalid = |why: String| refused("ocsp_invalid", why);
    let unreadable = |why: der::Error| invalid(format!("it cannot be read: {why}"));
    let response = OcspResponse::from_der(response).map_err(unreadable)?;
    if response.response_status != OcspResponseStatus::Successful {
        return Err(invalid(format!("the responder answered {:?}", response.response_status)));
    }
    let bytes = response.response_bytes.ok_or_else(|| invalid("it holds no answer".to_owned()))?;
    if bytes.response_type != BASIC {
        return Err(invalid(format!("it is of the unknown type {}", bytes.response_type)));
    }
    let signed = Signed::read(bytes.response.as_bytes()).map_err(invalid)?;
    let data = signed.content.decode_as::<ResponseData>().map_err(unreadable)?;
    let certificate = read(certificate)?;
    let issuer_read = issuer.map(read).transpose()?;
    let subject = Subject::of(&certificate, issuer_read.as_ref());
    let about = |single: &&SingleResponse| subject.is_meant(&single.cert_id);
    let answers: Vec<_> = data.responses.iter().filter(about).collect();
    if answers.is_empty() {
        return Err(refused("ocsp_foreign", "it is about another certificate"));
    }
    let delegate = match issuer {
        Some(issuer) => verify_signer(&signed, &data.responder_id, issuer, algorithms, now)?,
        None => None,
    };
    let of_answers = answers.iter().flat_map(|answer| answer.single_extensions.iter().flatten());
    if data.response_extensions.iter().flatten().chain(of_answers).any(|extension| extension.critical) {
        return Err(invalid("it has a critical extension that is unknown here".to_owned()));
    }
    if answers.iter().any(|answer| matches!(answer.cert_status, CertStatus::Revoked(_))) {
        return Err(refused("ocsp_revoked", "its OCSP response says that it was revoked"));
    }
    let mut verdict = Err(refused("ocsp_unknown", "the responder does not know it"));
    for answer in answers {
        let since = seconds(answer.this_update);
        let until = answer.next_update.map_or(since.saturating_add(WITHOUT_END), seconds);
        if now.as_secs().saturating_add(SKEW) < since {
            verdict = Err(bounded("ocsp_not_yet_valid", "it is not valid yet", now, since));
        } else if now.as_secs() > until.saturating_add(SKEW) {
            verdict = Err(bounded("ocsp_expired", "it is out of date", now, until));
        } else if matches!(answer.cert_status, CertStatus::Good(_)) {
            return Ok(Good { since, until, delegate });
        }
    }
    verdict
}

/// What of a response its signer signed.
#[cfg(feature = "fuzzing")]
pub fn signed_part(response: &[u8]) -> Option<Vec<u8>> {
    let bytes = OcspResponse::from_der(response).ok()?.response_bytes?;
    Signed::read(bytes.response.as_bytes()).ok()?.content.to_der().ok()
}

/// Whether a certificate demands that its server staples a response (RFC 7633). What cannot be read does.
pub fn must_staple(der: &[u8]) -> bool {
    let Ok(certificate) = outline(der) else { return true };
    match certificate.get_extension_unique(&Oid::new(TLS_FEATURE.into())) {
        Ok(None) => false,
        Ok(Some(extension)) => {
            <Vec<u64> as Decode>::from_der(extension.value).map_or(true, |all| all.contains(&STATUS_REQUEST))
        }
        Err(_) => true,
    }
}

/// The check of what a server staples, for a chain that is good otherwise.
pub struct StapleCheck<'a> {
    pub trust: &'a Trust,
    pub revocation: RevocationPolicy,
    /// The server is refused without a good response.
    pub required: bool,
    pub end_entity: &'a CertificateDer<'a>,
    /// The certificates that the server sent above its own.
    pub sent: &'a [CertificateDer<'a>],
    /// The path that convinced us.
    pub above: &'a [CertificateDer<'a>],
    pub now: UnixTime,
}

impl<'a> StapleCheck<'a> {
    /// `response`: empty where none came. One that came and is not good is a refusal, needed or not (RFC 6066,
    /// section 8).
    pub fn run(&self, response: &[u8]) -> Result<(), Box<Rejection>> {
        let budget = Budget::new(budget::RESPONSE);
        let meter = Meter::new(&budget);
        let metered = meter.algorithms();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            metered.iter().map(|each| each as _).collect();
        let issuer = match response {
            [] => None,
            _ => self.above.first().or_else(|| self.issuer(&algorithms, &budget)),
        };
        let judged = match (response, issuer) {
            _ if budget.exhausted() => Err(refused("ocsp_invalid", TOO_COMPLEX)),
            ([], _) => Err(refused("ocsp_missing", "the server sent no OCSP response")),
            (_, Some(issuer)) => {
                let above = if self.above.is_empty() { std::slice::from_ref(issuer) } else { self.above };
                self.judge_response(above, response, (&algorithms, &budget))
            }
            (_, None) if self.required => {
                Err(refused("ocsp_signature", "nobody knows its issuer, who has to sign it"))
            }
            (_, None) => Ok(()),
        };
        match judged {
            Err(_) if budget.exhausted() => Err(refused("ocsp_invalid", TOO_COMPLEX)),
            judged => judged,
        }
    }

    /// Who issued a certificate that is trusted by itself: one whose key is that of its signature.
    fn issuer(&self, algorithms: Algorithms<'_>, budget: &Budget) -> Option<&'a CertificateDer<'a>> {
        let (signed, leaf) =
            (Signed::read(self.end_entity).ok()?, EndEntityCert::try_from(self.end_entity).ok()?);
        let trust = self.trust;
        let helpers = trust.helpers_of(leaf.issuer()).iter().map(|index| &trust.helpers[*index]);
        let anchors = trust.anchors_of(leaf.issuer()).iter().map(|index| &trust.anchor_certificates[*index]);
        let mut known = std::iter::once(self.end_entity).chain(self.sent).chain(helpers).chain(anchors);
        known.find(|der| {
            budget.spend(budget::reading(der)).is_ok()
                && read(der).is_ok_and(|issuer| {
                    AnyRef::from_der(issuer.subject().as_raw())
                        .is_ok_and(|name| name.value() == leaf.issuer())
                        && signed.is_of(issuer.public_key().raw, algorithms)
                })
        })
    }

    fn judge_response(
        &self,
        above: &[CertificateDer<'_>],
        response: &[u8],
        (algorithms, budget): (Algorithms<'_>, &Budget),
    ) -> Result<(), Box<Rejection>> {
        let issuer = above.first().map(AsRef::as_ref);
        let good = check(response, self.end_entity, issuer, algorithms, self.now)?;
        // A delegate whom a list at hand calls revoked vouches for nobody.
        let Some(delegate) = good.delegate else { return Ok(()) };
        let above: Vec<&[u8]> = above.iter().map(AsRef::as_ref).collect();
        let revocation =
            RevocationCheck::new(self.trust, self.revocation, (algorithms, budget), self.sent, self.now);
        match revocation.known(&delegate, &above) {
            _ if revocation.exhausted() => Err(refused("ocsp_invalid", TOO_COMPLEX)),
            Some(Err(webpki::Error::CertRevoked)) => {
                Err(refused("ocsp_signature", "its signer's certificate was revoked"))
            }
            _ => Ok(()),
        }
    }
}
