//! Certificate authorities for tests, and who trusts them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Signs certificates. What [`Authority::shared`] signs is trusted by [`crate::Gateway`]'s client.
pub struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate chain and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The chain.
    pub chain: String,
    /// The key.
    pub key: String,
    /// The certificate's serial number.
    pub serial: u64,
}

impl Authority {
    /// The one of this process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Authority> = OnceLock::new();
        SHARED.get_or_init(|| Self::new("testbed"))
    }

    /// Another one.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("parameters are fixed");
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A ConfigMap in `default` with its certificate and those of others, as YAML.
    pub fn config_map(name: &str, authorities: &[&Self]) -> String {
        let mut yaml = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{namespace: default, name: {name}}}\ndata:\n  ca.crt: |\n"
        );
        for line in authorities.iter().flat_map(|authority| authority.pem.lines()) {
            // Writing to a String does not fail.
            let _ = writeln!(yaml, "    {line}");
        }
        yaml + "---\n"
    }

    /// The same with a list of revoked certificates beside it.
    pub fn config_map_with(name: &str, authorities: &[&Self], list: &str) -> String {
        let yaml = Self::config_map(name, authorities);
        let mut yaml = yaml.strip_suffix("---\n").unwrap_or(&yaml).to_owned() + "  crl.pem: |\n";
        for line in list.lines() {
            let _ = writeln!(yaml, "    {line}");
        }
        yaml + "---\n"
    }

    /// A list of these certificates as revoked, fresh until this year, as PEM.
    pub fn revoke(&self, revoked: &[&Issued], until: i32) -> String {
        let revoked = revoked.iter().map(|issued| RevokedCertParams {
            serial_number: SerialNumber::from(issued.serial),
            revocation_time: rcgen::date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("the issuer can sign");
        list.pem().expect("a list is PEM")
    }

    /// A certificate for these names: hosts, addresses, and URIs.
    pub fn issue(&self, names: &[&str]) -> Issued {
        let key = KeyPair::generate().expect("a key can be made");
        let (uris, hosts): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains("://"));
        let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(hosts).expect("names are DNS names");
        for uri in uris {
            let uri = Ia5String::try_from(uri.to_owned()).expect("a URI is ASCII");
            params.subject_alt_names.push(SanType::URI(uri));
        }
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        let serial = SERIALS.fetch_add(1, Ordering::Relaxed);
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.signed_by(&key, &self.issuer).expect("the issuer can sign");
        Issued {
            serial,
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A TLS Secret for these names, as YAML.
    pub fn secret(&self, namespace: &str, name: &str, hosts: &[&str]) -> String {
        self.issue(hosts).secret(namespace, name)
    }

    /// A client that trusts this authority and no other.
    pub fn client(&self) -> Arc<ClientConfig> {
        self.client_as(None)
    }

    /// The same, showing this certificate to servers that ask.
    pub fn client_as(&self, shown: Option<&Issued>) -> Arc<ClientConfig> {
        self.client_of(shown, rustls::DEFAULT_VERSIONS)
    }

    /// The same, speaking these versions.
    pub fn client_of(
        &self,
        shown: Option<&Issued>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("the provider speaks TLS 1.2 and 1.3")
            .with_root_certificates(self.roots());
        Arc::new(match shown {
            Some(shown) => {
                let (chain, key) = shown.parts();
                config
                    .with_client_auth_cert(chain, key)
                    .expect("they belong together")
            }
            None => config.with_no_client_auth(),
        })
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("our own certificate");
        roots
    }
}

impl Issued {
    /// A TLS Secret, as YAML.
    pub fn secret(&self, namespace: &str, name: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{namespace: {namespace}, name: {name}}}\ntype: kubernetes.io/tls\n\
             data:\n  tls.crt: {}\n  tls.key: {}\n---\n",
            STANDARD.encode(&self.chain),
            STANDARD.encode(&self.key)
        )
    }

    /// A server that shows it, agrees to one of these protocols, and lets in whom `clients` signed, or everybody.
    pub fn server(&self, alpn: &[&str], clients: Option<&Authority>) -> Arc<ServerConfig> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS 1.2 and 1.3");
        let config = match clients {
            Some(clients) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(clients.roots().into(), provider());
                config.with_client_cert_verifier(verifier.build().expect("there is a root"))
            }
            None => config.with_no_client_auth(),
        };
        let (chain, key) = self.parts();
        let mut config = config.with_single_cert(chain, key).expect("they belong together");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// The certificate itself.
    pub fn leaf(&self) -> CertificateDer<'static> {
        self.parts().0.swap_remove(0)
    }

    fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        (chain.expect("our own PEM"), key.expect("our own PEM"))
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

static SERIALS: AtomicU64 = AtomicU64::new(1);
