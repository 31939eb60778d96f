//! What changes during the churn, and when.

use super::clients::Shared;
use crate::layout::write;
use crate::peer::HOST;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio_rustls::rustls::pki_types::CertificateDer;

/// Changes a second, of all kinds.
pub const PER_SECOND: u32 = 50;
/// Certificates that take turns.
const CERTIFICATES: usize = 4;

/// The folder of objects and what was changed in it.
pub struct Edits {
    folder: PathBuf,
    origins: [SocketAddr; 2],
    secrets: Vec<String>,
    roots: Vec<CertificateDer<'static>>,
    /// HTTPRoutes rewritten.
    pub routes: u64,
    /// Secrets rewritten.
    pub certificates: u64,
    /// `EndpointSlice`s rewritten.
    pub endpoints: u64,
}

impl Edits {
    /// Makes the certificates.
    pub fn new(folder: &Path, origins: [SocketAddr; 2]) -> Result<Self, String> {
        let (mut secrets, mut roots) = (Vec::new(), Vec::new());
        for _ in 0..CERTIFICATES {
            let made = rcgen::generate_simple_self_signed([HOST.to_owned()])
                .map_err(|error| format!("certificate: {error}"))?;
            secrets.push(format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: bench, namespace: default}}\ntype: kubernetes.io/tls\n\
                 data: {{tls.crt: {}, tls.key: {}}}\n",
                STANDARD.encode(made.cert.pem()),
                STANDARD.encode(made.signing_key.serialize_pem())
            ));
            roots.push(made.cert.der().clone());
        }
        Ok(Self {
            folder: folder.to_owned(),
            origins,
            secrets,
            roots,
            routes: 0,
            certificates: 0,
            endpoints: 0,
        })
    }

    /// All certificates that will be in use.
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// Changes so far.
    pub fn total(&self) -> u64 {
        self.routes + self.certificates + self.endpoints
    }

    /// The objects as they are before any change.
    pub fn first(&self) -> Result<(), String> {
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: origin, namespace: default}\nspec: {ports: [{port: 80}]}\n";
        write(&self.folder, "service.yaml", service)?;
        write(&self.folder, "secret.yaml", &self.secrets[0])?;
        self.write_endpoints()?;
        self.write_route()
    }

    /// Changes until the others have ended.
    pub fn run(&mut self, shared: &Shared) -> Result<(), String> {
        let start = Instant::now();
        while !shared.ended() {
            match self.total() % 5 {
                0 | 2 | 4 => {
                    self.routes += 1;
                    shared.written(self.routes);
                    self.write_route()?;
                }
                1 => {
                    self.certificates += 1;
                    let secret = &self.secrets[self.certificates as usize % CERTIFICATES];
                    write(&self.folder, "secret.yaml", secret)?;
                }
                _ => {
                    self.endpoints += 1;
                    self.write_endpoints()?;
                }
            }
            let due = start + Duration::from_secs(self.total()) / PER_SECOND;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }

    fn write_route(&self) -> Result<(), String> {
        let text = format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: bench, namespace: default}}\nspec:\n  \
             parentRefs: [{{name: bench}}]\n  hostnames: [{HOST}]\n  rules:\n  - \
             filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: X-Edit, value: \"{}\"}}]}}}}]\n    \
             backendRefs: [{{name: origin, port: 80}}]\n",
            self.routes
        );
        write(&self.folder, "route.yaml", &text)
    }

    /// The first origin, both, the second, both, and so on. A slice has one list of ports, so there is one for each.
    fn write_endpoints(&self) -> Result<(), String> {
        let used = [[true, false], [true, true], [false, true], [true, true]][(self.endpoints % 4) as usize];
        let mut text = String::new();
        for (number, (origin, used)) in self.origins.iter().zip(used).enumerate() {
            let endpoint = if used {
                format!("{{addresses: [\"{}\"]}}", origin.ip())
            } else {
                String::new()
            };
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                 metadata: {{name: origin-{number}, namespace: default, labels: {{kubernetes.io/service-name: origin}}}}\n\
                 addressType: IPv4\nports: [{{port: {}}}]\nendpoints: [{endpoint}]\n",
                origin.port()
            );
        }
        write(&self.folder, "endpoints.yaml", &text)
    }
}
