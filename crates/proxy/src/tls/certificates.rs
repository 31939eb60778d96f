//! Which certificate is shown for which name: exact names over wildcards over the default, and of several for one name
//! the first that the client can verify (ECDSA and RSA side by side).

use ir::{CertificateId, HostPattern};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Certificates ready for use, by name. Those that a snapshot did not change are kept as they are.
#[derive(Debug, Default)]
pub struct Keys {
    loaded: BTreeMap<CertificateId, (Arc<ir::Certificate>, Loaded)>,
}

/// A certificate that can't be used. Its names are answered by less specific ones, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenCertificate {
    /// Which.
    pub id: CertificateId,
    /// Why.
    pub reason: String,
}

/// The certificates of one bind.
#[derive(Default)]
pub struct Certificates {
    exact: hashbrown::HashMap<Box<str>, Candidates, foldhash::fast::RandomState>,
    /// For one label before a suffix, `.example.com`.
    one_label: hashbrown::HashMap<Box<str>, Candidates, foldhash::fast::RandomState>,
    /// For several labels before a suffix; the longest suffix wins.
    several_labels: hashbrown::HashMap<Box<str>, Candidates, foldhash::fast::RandomState>,
    /// For names that nothing above covers, and for clients that name none.
    fallback: Candidates,
    /// What it was made from, to tell whether anything changed.
    parts: Vec<(HostPattern, Candidates)>,
}

/// Ready, or why not.
pub(super) type Loaded = Result<Arc<CertifiedKey>, String>;
/// In the order in which they are tried.
type Candidates = Vec<Arc<CertifiedKey>>;

impl Keys {
    /// Loads what a snapshot has and the last one had not.
    #[must_use]
    pub fn update(&self, certificates: &BTreeMap<CertificateId, Arc<ir::Certificate>>) -> Self {
        let load_or_keep = |(id, certificate): (&CertificateId, &Arc<ir::Certificate>)| {
            let loaded = match self.loaded.get(id) {
                Some((same, loaded)) if same == certificate => loaded.clone(),
                _ => load(certificate),
            };
            (id.clone(), (Arc::clone(certificate), loaded))
        };
        Self {
            loaded: certificates.iter().map(load_or_keep).collect(),
        }
    }

    /// Those that can't be used.
    pub fn broken(&self) -> Vec<BrokenCertificate> {
        let broken = |(id, (_, loaded)): (&CertificateId, &(_, Loaded))| {
            let reason = loaded.as_ref().err()?.clone();
            Some(BrokenCertificate {
                id: id.clone(),
                reason,
            })
        };
        self.loaded.iter().filter_map(broken).collect()
    }

    /// A certificate with its key, if it can be used.
    pub fn usable(&self, id: &CertificateId) -> Option<Arc<CertifiedKey>> {
        self.loaded.get(id)?.1.as_ref().ok().cloned()
    }

    fn candidates(&self, ids: &[CertificateId]) -> Candidates {
        ids.iter().filter_map(|id| self.usable(id)).collect()
    }
}

impl Certificates {
    /// The certificates of a bind's listeners. `previous` is given back if nothing changed.
    pub fn build(bind: &ir::Bind, keys: &Keys, previous: Option<&Arc<Self>>) -> Arc<Self> {
        let hosts = bind.listeners.iter().flat_map(|listener| &listener.tls);
        let mut parts: Vec<(HostPattern, Candidates)> = hosts
            .map(|host| (host.hostname.clone(), keys.candidates(&host.certificates)))
            .collect();
        for stream in &bind.streams {
            if let ir::StreamTls::Terminate(certificates) = &stream.tls {
                parts.push((stream.hostname.clone(), keys.candidates(certificates)));
            }
        }
        parts.push((HostPattern::Any, keys.candidates(&bind.default_certificates)));
        parts.retain(|(_, candidates)| !candidates.is_empty());
        match previous {
            Some(previous) if same(&previous.parts, &parts) => Arc::clone(previous),
            _ => Arc::new(Self::from_parts(parts)),
        }
    }

    /// Whether some certificate may be shown to a client that asks for `sni` (lower-case).
    pub fn covers(&self, sni: Option<&str>) -> bool {
        !self.of(sni).is_empty()
    }

    fn from_parts(parts: Vec<(HostPattern, Candidates)>) -> Self {
        let mut all = Self::default();
        for (pattern, candidates) in &parts {
            match pattern {
                HostPattern::Exact(name) => {
                    add(all.exact.entry((&**name).into()).or_default(), candidates);
                }
                HostPattern::Wildcard { suffix, one_label } => {
                    add(all.one_label.entry((&**suffix).into()).or_default(), candidates);
                    if !one_label {
                        add(
                            all.several_labels.entry((&**suffix).into()).or_default(),
                            candidates,
                        );
                    }
                }
                HostPattern::Any => add(&mut all.fallback, candidates),
            }
        }
        all.parts = parts;
        all
    }

    fn of(&self, sni: Option<&str>) -> &[Arc<CertifiedKey>] {
        let Some(name) = sni else { return &self.fallback };
        if let Some(found) = self.exact.get(name) {
            return found;
        }
        // The star of an Ingress stands for one label, that of a Gateway listener for one or more.
        let mut wildcards = &self.one_label;
        let mut rest = name;
        while let Some(dot) = memchr::memchr(b'.', rest.as_bytes()) {
            if dot > 0
                && let Some(found) = wildcards.get(&rest[dot..])
            {
                return found;
            }
            wildcards = &self.several_labels;
            rest = &rest[dot + 1..];
        }
        &self.fallback
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let candidates = self.of(name.as_deref());
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        candidates.iter().find(fits).or(candidates.first()).cloned()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .parts
            .iter()
            .map(|(pattern, _)| pattern.to_string())
            .collect();
        f.debug_struct("Certificates")
            .field("names", &names)
            .finish_non_exhaustive()
    }
}

/// Two listeners may have certificates for one name: the first listed stand first.
fn add(place: &mut Candidates, candidates: &Candidates) {
    for candidate in candidates {
        if !place.iter().any(|known| Arc::ptr_eq(known, candidate)) {
            place.push(Arc::clone(candidate));
        }
    }
}

fn same(a: &[(HostPattern, Candidates)], b: &[(HostPattern, Candidates)]) -> bool {
    let same_keys = |a: &Candidates, b: &Candidates| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same_keys(&a.1, &b.1))
}

/// Makes a certificate ready, or says why it can't be used.
pub(super) fn load(certificate: &ir::Certificate) -> Loaded {
    if certificate.chain.is_empty() {
        return Err("the chain is empty".into());
    }
    let chain = certificate
        .chain
        .iter()
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    let der =
        PrivateKeyDer::try_from(certificate.key.0.clone()).map_err(|reason| format!("key: {reason}"))?;
    let key = any_supported_type(&der).map_err(|error| format!("key: {error}"))?;
    let mut certified = CertifiedKey::new(chain, key);
    certified.ocsp.clone_from(&certificate.staple);
    match certified.keys_match() {
        // Some keys can't tell what belongs to them; translate has compared them too.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Arc::new(certified)),
        Err(error) => Err(error.to_string()),
    }
}
