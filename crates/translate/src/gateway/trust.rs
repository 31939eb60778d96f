//! Certificates of authorities that an object refers to: in ConfigMaps and Secrets, under `ca.crt`, perhaps with what they took
//! back beside it; and in ClusterTrustBundles.

use crate::conditions::Wrong;
use crate::grants::{Referrer, permits};
use crate::input::Key;
use crate::scope::Scope;
use api::Resource;
use api::certificates::ClusterTrustBundle;
use api::policy::CertificateAuthorityRef;
use ir::{Code, Diagnostic, Origin};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// What a list of references comes to.
#[derive(Debug, Default)]
pub(crate) struct Authorities {
    /// Certificates as DER, of all references that are good.
    pub roots: Vec<Vec<u8>>,
    /// Lists of revoked certificates as DER, likewise.
    pub revoked: Vec<Vec<u8>>,
    /// The first that is not.
    pub wrong: Option<Wrong>,
}

/// Reads references. Each that is not good is reported.
pub(crate) fn authorities(
    scope: &mut Scope<'_>,
    origin: &Origin,
    referrer: Referrer<'_>,
    refs: &[CertificateAuthorityRef],
    field: &str,
    words: &Words,
) -> Authorities {
    let mut all = Authorities::default();
    for (index, given) in refs.iter().enumerate() {
        match read(scope, referrer, given, words) {
            Ok((roots, revoked)) => {
                all.roots.extend(roots);
                all.revoked.extend(revoked);
            }
            Err((code, wrong)) => {
                let field = format!("{field}[{index}]");
                let finding = Diagnostic::new(code, origin.clone(), field, wrong.message.as_str());
                scope.report(
                    finding.hint("Refer to a ConfigMap or Secret that has certificates as PEM under ca.crt, or to a ClusterTrustBundle"),
                );
                all.wrong.get_or_insert(wrong);
            }
        }
    }
    all
}

/// The reasons that the specification has for what is wrong, which differ from object to object.
#[derive(Debug)]
pub(crate) struct Words {
    pub invalid: &'static str,
    pub kind: &'static str,
}

fn read(
    scope: &mut Scope<'_>,
    referrer: Referrer<'_>,
    given: &CertificateAuthorityRef,
    words: &Words,
) -> Result<(Ders, Ders), (Code, Wrong)> {
    let kind = given.kind.as_str();
    if given.group == ClusterTrustBundle::GROUP && kind == ClusterTrustBundle::KIND {
        return read_bundle(scope, given, words);
    }
    if !given.group.is_empty() || !matches!(kind, "ConfigMap" | "Secret") {
        let message = format!(
            "certificates of authorities are read from ConfigMaps, Secrets and ClusterTrustBundles, not from {kind}"
        );
        return Err((Code::AuthorityInvalid, Wrong::new(words.kind, message)));
    }
    let namespace = given.namespace.as_deref().unwrap_or(referrer.namespace);
    let key = Key::new(namespace, given.name.as_str());
    if !permits(scope, referrer, "", kind, &key) {
        let message = format!("no ReferenceGrant in namespace {namespace} permits {kind} {key}");
        return Err((Code::RefNotPermitted, Wrong::new("RefNotPermitted", message)));
    }
    let (text, list): (Option<&[u8]>, _) = match kind {
        "ConfigMap" => {
            let map = scope.config_map(&key);
            let map = map.ok_or_else(|| missing(kind, &key, words))?;
            let entry = |name: &str| map.data.get(name).map(String::as_bytes);
            (
                entry(ENTRY),
                LISTS.iter().find_map(|name| Some((name, entry(name)?))),
            )
        }
        _ => {
            let secret = scope.secret(&key);
            let secret = secret.ok_or_else(|| missing(kind, &key, words))?;
            let entry = |name: &str| secret.data.get(name).map(Vec::as_slice);
            (
                entry(ENTRY),
                LISTS.iter().find_map(|name| Some((name, entry(name)?))),
            )
        }
    };
    let invalid = |message: String| (Code::AuthorityInvalid, Wrong::new(words.invalid, message));
    let text = text.ok_or_else(|| invalid(format!("{kind} {key} has no entry {ENTRY}")))?;
    let roots = certificates(text).map_err(|reason| invalid(format!("{ENTRY} of {kind} {key} {reason}")))?;
    // Without its list an authority would be believed about those that it took back.
    let revoked = list.map_or(Ok(Ders::new()), |(name, text)| {
        lists(text).map_err(|reason| invalid(format!("{name} of {kind} {key} {reason}")))
    })?;
    Ok((roots, revoked))
}

/// A bundle for the whole cluster (GEP-5075). Nobody has to permit that, as everybody has it.
fn read_bundle(
    scope: &mut Scope<'_>,
    given: &CertificateAuthorityRef,
    words: &Words,
) -> Result<(Ders, Ders), (Code, Wrong)> {
    let refused = |reason: &'static str, message: String| {
        let wrong = Wrong::new(reason, message);
        Err((Code::AuthorityInvalid, wrong))
    };
    if !scope.has_kind(ClusterTrustBundle::KIND) {
        let message = "the API server does not have ClusterTrustBundles, or does not let them be read";
        return refused(words.kind, message.into());
    }
    let name = given.name.as_str();
    if let Some(namespace) = &given.namespace {
        let message = format!("ClusterTrustBundle {name} is in no namespace, and {namespace} is given");
        return refused(words.invalid, message);
    }
    let Some(bundle) = scope.trust_bundle(name) else {
        return refused(words.invalid, format!("ClusterTrustBundle {name} does not exist"));
    };
    match certificates(bundle.spec.trust_bundle.as_bytes()) {
        Ok(roots) => Ok((roots, Ders::new())),
        Err(reason) => refused(
            words.invalid,
            format!("spec.trustBundle of ClusterTrustBundle {name} {reason}"),
        ),
    }
}

fn missing(kind: &str, key: &Key, words: &Words) -> (Code, Wrong) {
    let message = format!("{kind} {key} does not exist");
    (Code::AuthorityInvalid, Wrong::new(words.invalid, message))
}

/// All certificates of a PEM text. The error finishes the sentence "the entry …".
fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut all = Vec::new();
    for (index, der) in CertificateDer::pem_slice_iter(text).enumerate() {
        let der = der.map_err(|error| format!("can't be read as PEM: {error}"))?;
        if X509Certificate::from_der(&der).is_err() {
            return Err(format!(
                "holds something as certificate {} that is none",
                index + 1
            ));
        }
        all.push(der.to_vec());
    }
    if all.is_empty() {
        return Err("holds no certificate".into());
    }
    Ok(all)
}

/// All lists of revoked certificates of a PEM text, likewise.
fn lists(text: &[u8]) -> Result<Ders, String> {
    let mut all = Ders::new();
    for (index, der) in CertificateRevocationListDer::pem_slice_iter(text).enumerate() {
        let der = der.map_err(|error| format!("can't be read as PEM: {error}"))?;
        if CertificateRevocationList::from_der(&der).is_err() {
            return Err(format!("holds something as list {} that is none", index + 1));
        }
        all.push(der.to_vec());
    }
    if all.is_empty() {
        return Err("holds no list of revoked certificates".into());
    }
    Ok(all)
}

/// Certificates or lists as DER.
type Ders = Vec<Vec<u8>>;

/// Where the specification wants them.
const ENTRY: &str = "ca.crt";
/// Where lists of revoked certificates stand beside them; the second name is that of ingress-nginx and Istio.
const LISTS: [&str; 2] = ["crl.pem", "ca.crl"];
