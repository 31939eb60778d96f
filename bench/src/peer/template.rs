//! Fills the places of a configuration: `@LISTEN@`, `@ORIGIN@` and so on.

use crate::certificate::Certificate;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What is filled in.
pub struct Places<'a> {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to listen with TLS.
    pub tls: SocketAddr,
    /// Where Narthex's admin API listens.
    pub admin: SocketAddr,
    /// The server behind.
    pub origin: SocketAddr,
    /// Workers, threads or processors.
    pub workers: usize,
    /// For files.
    pub folder: &'a Path,
    /// For TLS.
    pub certificate: &'a Certificate,
}

impl Places<'_> {
    /// Fills them in a text.
    pub fn fill(&self, text: &str) -> String {
        let certificate = self.certificate;
        let values = [
            ("@LISTEN@", self.listen.to_string()),
            ("@LISTEN_IP@", self.listen.ip().to_string()),
            ("@LISTEN_PORT@", self.listen.port().to_string()),
            ("@TLS@", self.tls.to_string()),
            ("@TLS_PORT@", self.tls.port().to_string()),
            ("@ADMIN@", self.admin.to_string()),
            ("@ORIGIN@", self.origin.to_string()),
            ("@ORIGIN_IP@", self.origin.ip().to_string()),
            ("@ORIGIN_PORT@", self.origin.port().to_string()),
            ("@WORKERS@", self.workers.to_string()),
            ("@DIR@", self.folder.display().to_string()),
            ("@CERT@", certificate.chain_file.display().to_string()),
            ("@KEY@", certificate.key_file.display().to_string()),
            ("@CERT_AND_KEY@", certificate.both_file.display().to_string()),
            ("@CERT_BASE64@", certificate.chain_base64.clone()),
            ("@KEY_BASE64@", certificate.key_base64.clone()),
        ];
        values
            .iter()
            .fold(text.to_owned(), |text, (place, value)| text.replace(place, value))
    }

    /// Writes a filled text into the folder.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        std::fs::write(&path, self.fill(text)).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}
