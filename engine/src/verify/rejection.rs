//! Why a peer's certificate was refused: the kind, and the evidence. Python has the words.

use std::sync::Arc;

use pyo3::PyErr;
use rustls::pki_types::UnixTime;

use crate::verify::trust::Trust;
use crate::verify::types::{Revocation, Role, SentChain};

macro_rules! kinds {
    ($($name:ident = $word:literal,)*) => {
        /// What is wrong with a certificate or its path.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Kind {
            $($name,)*
        }

        impl Kind {
            /// All of them, by the words by which Python knows them.
            pub const WORDS: &'static [&'static str] = &[$($word,)*];

            pub fn word(self) -> &'static str {
                Self::WORDS[self as usize]
            }
        }
    };
}

kinds! {
    Expired = "expired",
    NotYetValid = "not_yet_valid",
    Name = "name",
    UnknownIssuer = "unknown_issuer",
    Signature = "signature",
    Algorithm = "algorithm",
    Purpose = "purpose",
    KeyUsage = "key_usage",
    CaAsLeaf = "ca_as_leaf",
    LeafAsCa = "leaf_as_ca",
    PathLength = "path_length",
    NameConstraint = "name_constraint",
    NoExplicitPolicy = "no_explicit_policy",
    TooComplex = "too_complex",
    CriticalExtension = "critical_extension",
    Encoding = "encoding",
    Other = "other",
    Revoked = "revoked",
    RevocationUnknown = "revocation_unknown",
    CrlExpired = "revocation_list_expired",
    CrlSignature = "revocation_list_signature",
    CrlSigner = "list_signer",
    OcspMissing = "ocsp_missing",
    OcspInvalid = "ocsp_invalid",
    OcspForeign = "ocsp_foreign",
    OcspSignature = "ocsp_signature",
    OcspExpired = "ocsp_expired",
    OcspNotYetValid = "ocsp_not_yet_valid",
    OcspUnknown = "ocsp_unknown",
    OcspRevoked = "ocsp_revoked",
    SpiffeId = "spiffe_id",
    TrustDomain = "trust_domain",
    NotAllowed = "not_allowed",
    NotPinned = "not_pinned",
    Callback = "callback",
    StrictAlgorithmsDiffer = "strict_algorithms_differ",
    StrictAuthorityKey = "strict_authority_key",
    StrictAuthorityKeyCritical = "strict_authority_key_critical",
    StrictAuthorityKeyIncomplete = "strict_authority_key_incomplete",
    StrictAuthorityKeyMismatch = "strict_authority_key_mismatch",
    StrictAuthorityKeyMissing = "strict_authority_key_missing",
    StrictAuthoritySerialMismatch = "strict_authority_serial_mismatch",
    StrictCaWithoutKeyUsage = "strict_ca_without_key_usage",
    StrictConstraintsNotCritical = "strict_constraints_not_critical",
    StrictCriticality = "strict_criticality",
    StrictExtensionInvalid = "strict_extension_invalid",
    StrictExtensionsNeedV3 = "strict_extensions_need_v3",
    StrictIssuerEmpty = "strict_issuer_empty",
    StrictKey = "strict_key",
    StrictKeyUsageEmpty = "strict_key_usage_empty",
    StrictCrlNumber = "strict_list_number",
    StrictNameConstraintForm = "strict_name_constraint_form",
    StrictNameConstraintsEmpty = "strict_name_constraints_empty",
    StrictNameConstraintsForNonCa = "strict_name_constraints_for_non_ca",
    StrictNameForm = "strict_name_form",
    StrictNamesEmpty = "strict_names_empty",
    StrictNamesNotCritical = "strict_names_not_critical",
    StrictPathLengthForNonCa = "strict_path_length_for_non_ca",
    StrictPathLengthWithoutSigning = "strict_path_length_without_signing",
    StrictSerialNumber = "strict_serial_number",
    StrictSigningForNonCa = "strict_signing_for_non_ca",
    StrictSubjectEmpty = "strict_subject_empty",
    StrictSubjectKeyCritical = "strict_subject_key_critical",
    StrictSubjectKeyMissing = "strict_subject_key_missing",
}

/// The evidence of a refusal.
#[derive(Clone, Debug)]
pub struct Rejection {
    pub kind: Kind,
    /// What tells cases of one kind apart: a code of ours, after which what a library said may follow (": "). What
    /// webpki says for the kind Other. Empty where the kind says all.
    pub detail: String,
    /// Seconds since 1970: the time of the check, and the bound that it violated.
    pub time: Option<u64>,
    pub bound: Option<u64>,
    /// Names or keys that the certificate holds, the first of them, and how many there are besides.
    pub presented: Vec<String>,
    pub left_out: usize,
    /// The allowed peers or the pinned keys, none of which matches.
    pub wanted: Vec<String>,
    /// The chain as the peer sent it, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
    /// What the program's callback raised.
    pub cause: Option<Arc<PyErr>>,
    /// What is above the peer's certificate, up to the anchor's, DER; empty where no good path was found.
    pub path: Vec<Vec<u8>>,
    pub demanded: Demanded,
}

/// What was demanded of the chain.
#[derive(Clone, Debug)]
pub struct Demanded {
    /// The role of the peer that sent it.
    pub purpose: Role,
    /// The name that it had to be for, where it had to be for one.
    pub name: Option<String>,
    /// Whose revocation had to be known.
    pub revocation: Revocation,
    pub strict: bool,
    /// The peers and the keys that were allowed, as text; None where any was.
    pub allowed: Option<Vec<String>>,
    pub pinned: Option<Vec<String>>,
    /// Whether an OCSP response came along, or had to.
    pub ocsp: bool,
    pub trust: Option<Arc<Trust>>,
}

impl Default for Demanded {
    fn default() -> Self {
        Self {
            purpose: Role::Server,
            name: None,
            revocation: Revocation::None,
            strict: false,
            allowed: None,
            pinned: None,
            ocsp: false,
            trust: None,
        }
    }
}

impl Rejection {
    /// Without its circumstances, which `PeerVerifier` adds.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            kind,
            detail: detail.into(),
            time: None,
            bound: None,
            presented: Vec::new(),
            left_out: 0,
            wanted: Vec::new(),
            chain: Vec::new(),
            cause: None,
            path: Vec::new(),
            demanded: Demanded::default(),
        })
    }

    pub fn at(mut self: Box<Self>, time: UnixTime, bound: UnixTime) -> Box<Self> {
        (self.time, self.bound) = (Some(time.as_secs()), Some(bound.as_secs()));
        self
    }

    /// A refusal of a path that leads to an anchor, for another reason.
    pub fn on_path<T: AsRef<[u8]>>(mut self: Box<Self>, path: &[T]) -> Box<Self> {
        self.path = path.iter().map(|der| der.as_ref().to_vec()).collect();
        self
    }

    /// What was verified, when, and what was demanded.
    pub fn of(mut self: Box<Self>, chain: SentChain<'_>, at: UnixTime, demanded: Demanded) -> Box<Self> {
        self.chain = chain.certificates().map(|der| der.to_vec()).collect();
        self.time.get_or_insert(at.as_secs());
        self.demanded = demanded;
        self
    }
}
