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

use crate::verify::budget::{self, Budget};
use crate::verify::certificate::{outline, read};
use crate::verify::crl::SKEW;
use crate::verify::crl_signers::RevocationCheck;
use crate::verify::rejection::{Kind, Rejection};
use crate::verify::signature_cache::Meter;
use crate::verify::signed::Signed;
use crate::verify::trust::Trust;
use crate::verify::types::{RevocationPolicy, SentChain};

/// How long a response is good that does not say for how long, in seconds.
const WITHOUT_END: u64 = 24 * 60 * 60;
/// Certificates in a response that are looked at for its signer's. One is usual.
const MAX_CERTIFICATES: usize = 8;
const TOO_COMPLEX: &str = "too_complex";
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

fn refused(kind: Kind, detail: impl Into<String>) -> Box<Rejection> {
    Rejection::new(kind, detail)
}

fn bounded(kind: Kind, now: UnixTime, bound: u64) -> Box<Rejection> {
    let bound = UnixTime::since_unix_epoch(std::time::Duration::from_secs(bound));
    Rejection::new(kind, "").at(now, bound)
}

/// The hashes with which a response may name a certificate (RFC 6960, section 4.1.1).
const HASHES: [(ObjectIdentifier, &Algorithm); 4] = [
    (ObjectIdentifier::new_unwrap("1.3.14.3.2.26"), &digest::SHA1_FOR_LEGACY_USE_ONLY),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"), &digest::SHA256),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"), &digest::SHA384),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"), &digest::SHA512),
];

fn read_certificate(der: &[u8]) -> Result<X509Certificate<'_>, Box<Rejection>> {
    read(der).map_err(|why| refused(Kind::OcspInvalid, format!("certificate: {why}")))
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
fn is_responder(id: &ResponderId, certificate: &X509Certificate<'_>) -> bool {
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
    let issuer_read = read_certificate(issuer)?;
    if is_responder(id, &issuer_read) && signed.is_of(issuer_read.public_key().raw, algorithms) {
        return Ok(None);
    }
    let issuer = CertificateDer::from(issuer);
    let anchor = [anchor_from_trusted_cert(&issuer)
        .map_err(|why| refused(Kind::OcspInvalid, format!("certificate: {why}")))?];
    let mut why = "not_authorized".to_owned();
    for certificate in signed.certificates.iter().flatten().take(MAX_CERTIFICATES) {
        let Ok(der) = certificate.to_der() else { continue };
        let Ok(delegate) = read(&der) else { continue };
        if !is_responder(id, &delegate) {
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
            Err(error) => why = format!("signer: {error}"),
            Ok(()) if !may_sign => why = "signer_key_usage".to_owned(),
            Ok(()) if signed.is_of(delegate.public_key().raw, algorithms) => return Ok(Some(der.to_vec())),
            Ok(()) => {}
        }
    }
    Err(refused(Kind::OcspSignature, why))
}

/// What a responder answers in place of a response (RFC 6960, section 4.2.1).
fn status(status: OcspResponseStatus) -> &'static str {
    match status {
        OcspResponseStatus::Successful => "Successful",
        OcspResponseStatus::MalformedRequest => "MalformedRequest",
        OcspResponseStatus::InternalError => "InternalError",
        OcspResponseStatus::TryLater => "TryLater",
        OcspResponseStatus::SigRequired => "SigRequired",
        OcspResponseStatus::Unauthorized => "Unauthorized",
    }
}

/// What `response` says of `certificate`, both DER. Without its issuer's certificate, the signer cannot
/// be known: that is for a server that only wants to know whether it may send it.
pub fn check(
    response: &[u8],
    certificate: &[u8],
    issuer: Option<&[u8]>,
    algorithms: Algorithms<'_>,
    now: UnixTime,
) -> Result<Good, Box<Rejection>> {
    let invalid = |why: String| refused(Kind::OcspInvalid, why);
    let unreadable = |why: der::Error| invalid(format!("unreadable: {why}"));
    let response = OcspResponse::from_der(response).map_err(unreadable)?;
    if response.response_status != OcspResponseStatus::Successful {
        return Err(invalid(format!("status: {}", status(response.response_status))));
    }
    let bytes = response.response_bytes.ok_or_else(|| invalid("no_answer".to_owned()))?;
    if bytes.response_type != BASIC {
        return Err(invalid(format!("type: {}", bytes.response_type)));
    }
    let signed =
        Signed::read(bytes.response.as_bytes()).map_err(|why| invalid(format!("unreadable: {why}")))?;
    let data = signed.content.decode_as::<ResponseData>().map_err(unreadable)?;
    let certificate = read_certificate(certificate)?;
    let issuer_read = issuer.map(read_certificate).transpose()?;
    let subject = Subject::of(&certificate, issuer_read.as_ref());
    let about = |single: &&SingleResponse| subject.is_meant(&single.cert_id);
    let answers: Vec<_> = data.responses.iter().filter(about).collect();
    if answers.is_empty() {
        return Err(refused(Kind::OcspForeign, ""));
    }
    let delegate = match issuer {
        Some(issuer) => verify_signer(&signed, &data.responder_id, issuer, algorithms, now)?,
        None => None,
    };
    let of_answers = answers.iter().flat_map(|answer| answer.single_extensions.iter().flatten());
    if data.response_extensions.iter().flatten().chain(of_answers).any(|extension| extension.critical) {
        return Err(invalid("critical_extension".to_owned()));
    }
    if answers.iter().any(|answer| matches!(answer.cert_status, CertStatus::Revoked(_))) {
        return Err(refused(Kind::OcspRevoked, ""));
    }
    let mut status = Err(refused(Kind::OcspUnknown, ""));
    for answer in answers {
        let since = seconds(answer.this_update);
        let until = answer.next_update.map_or(since.saturating_add(WITHOUT_END), seconds);
        if now.as_secs().saturating_add(SKEW) < since {
            status = Err(bounded(Kind::OcspNotYetValid, now, since));
        } else if now.as_secs() > until.saturating_add(SKEW) {
            status = Err(bounded(Kind::OcspExpired, now, until));
        } else if matches!(answer.cert_status, CertStatus::Good(_)) {
            return Ok(Good { since, until, delegate });
        }
    }
    status
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
    pub chain: SentChain<'a>,
    /// The verified path.
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
        let checked = match (response, issuer) {
            _ if budget.exhausted() => Err(refused(Kind::OcspInvalid, TOO_COMPLEX)),
            ([], _) => Err(refused(Kind::OcspMissing, "")),
            (_, Some(issuer)) => {
                let above = if self.above.is_empty() { std::slice::from_ref(issuer) } else { self.above };
                self.check_response(above, response, (&algorithms, &budget))
            }
            (_, None) if self.required => Err(refused(Kind::OcspSignature, "issuer_unknown")),
            (_, None) => Ok(()),
        };
        match checked {
            Err(_) if budget.exhausted() => Err(refused(Kind::OcspInvalid, TOO_COMPLEX)),
            checked => checked,
        }
    }

    /// The issuer of a certificate that is trusted by itself: one whose key is that of its signature.
    fn issuer(&self, algorithms: Algorithms<'_>, budget: &Budget) -> Option<&'a CertificateDer<'a>> {
        let (signed, leaf) =
            (Signed::read(self.chain.own).ok()?, EndEntityCert::try_from(self.chain.own).ok()?);
        let trust = self.trust;
        let intermediates = trust.intermediates_of(leaf.issuer()).map(|index| trust.intermediate(index));
        let anchors = trust.anchors_of(leaf.issuer()).iter().map(|index| &trust.anchor_certificates[*index]);
        let mut known = self.chain.certificates().chain(intermediates).chain(anchors);
        known.find(|der| {
            budget.spend(budget::parsing(der)).is_ok()
                && read(der).is_ok_and(|issuer| {
                    AnyRef::from_der(issuer.subject().as_raw())
                        .is_ok_and(|name| name.value() == leaf.issuer())
                        && signed.is_of(issuer.public_key().raw, algorithms)
                })
        })
    }

    fn check_response(
        &self,
        above: &[CertificateDer<'_>],
        response: &[u8],
        (algorithms, budget): (Algorithms<'_>, &Budget),
    ) -> Result<(), Box<Rejection>> {
        let issuer = above.first().map(AsRef::as_ref);
        let good = check(response, self.chain.own, issuer, algorithms, self.now)?;
        // A delegate that a CRL at hand names as revoked counts for nothing.
        let Some(delegate) = good.delegate else { return Ok(()) };
        let above: Vec<&[u8]> = above.iter().map(AsRef::as_ref).collect();
        let revocation = RevocationCheck::new(
            self.trust,
            self.revocation,
            (algorithms, budget),
            self.chain.above,
            self.now,
        );
        match revocation.known(&delegate, &above) {
            _ if revocation.exhausted() => Err(refused(Kind::OcspInvalid, TOO_COMPLEX)),
            Some(Err(webpki::Error::CertRevoked)) => Err(refused(Kind::OcspSignature, "signer_revoked")),
            _ => Ok(()),
        }
    }
}
