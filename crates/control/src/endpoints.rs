//! Endpoints that come from flags instead of EndpointSlices: `--endpoint` and `--echo`.

use std::net::SocketAddr;
use std::str::FromStr;
use thiserror::Error;

/// `--endpoint namespace/service:port=address[,address]`: where a Service's port is served.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StaticEndpoint {
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// The Service's port, by number or by name.
    pub port: String,
    /// Where it is served; at least one.
    pub addresses: Vec<SocketAddr>,
}

/// Where the built-in echo answers for a Service (`--echo`).
pub trait EchoAddresses: Send {
    /// The address for one port of a Service. Asked again with the same arguments, it gives the same answer.
    fn address(&self, namespace: &str, service: &str, port: u16) -> std::io::Result<SocketAddr>;
}

/// Why a text is no [`StaticEndpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// There is no `=`.
    #[error(
        "`{0}` lacks `=ADDRESS`; write namespace/service:port=ADDRESS:PORT, as in shop/web:80=127.0.0.1:9000"
    )]
    NoAddress(String),
    /// There is no `:port` before the `=`.
    #[error("`{0}` lacks the Service's port; write namespace/service:port=ADDRESS:PORT")]
    NoPort(String),
    /// The namespace or the name is missing or not a DNS label.
    #[error("`{0}` is not a Service; write namespace/service, as in shop/web")]
    NotAService(String),
    /// The port is neither a number nor a name of a port.
    #[error("`{0}` is neither the number nor the name of a Service's port")]
    NotAPort(String),
    /// An address is not `IP:PORT`.
    #[error("`{0}` is not an address with a port, as 127.0.0.1:9000 or [::1]:9000")]
    NotAnAddress(String),
}

impl FromStr for StaticEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (target, addresses) = text
            .split_once('=')
            .ok_or_else(|| EndpointError::NoAddress(text.into()))?;
        let (service, port) = target
            .rsplit_once(':')
            .ok_or_else(|| EndpointError::NoPort(target.into()))?;
        // Without a namespace it is `default`, as everywhere.
        let (namespace, name) = service.split_once('/').unwrap_or(("default", service));
        if !is_label(namespace) || !is_label(name) {
            return Err(EndpointError::NotAService(service.into()));
        }
        let by_number = port.parse::<u16>().is_ok_and(|port| port != 0);
        // RFC 6335 §5.1: a name has at least one letter.
        let by_name = is_label(port) && port.bytes().any(|byte| byte.is_ascii_lowercase());
        if !by_number && !by_name {
            return Err(EndpointError::NotAPort(port.into()));
        }
        let addresses = addresses
            .split(',')
            .map(|address| {
                let parsed = address.trim().parse::<SocketAddr>().ok();
                parsed
                    .filter(|address| address.port() != 0)
                    .ok_or_else(|| EndpointError::NotAnAddress(address.into()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            namespace: namespace.into(),
            service: name.into(),
            port: port.into(),
            addresses,
        })
    }
}

/// RFC 1123 label, as names of Services, namespaces and ports are.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::{EndpointError, StaticEndpoint};

    #[test]
    fn an_endpoint_is_a_service_a_port_and_addresses() {
        let endpoint: StaticEndpoint = "shop/web:http=127.0.0.1:9000,[::1]:9001".parse().unwrap();
        assert_eq!(endpoint.namespace, "shop");
        assert_eq!(endpoint.service, "web");
        assert_eq!(endpoint.port, "http");
        assert_eq!(
            endpoint.addresses,
            ["127.0.0.1:9000".parse().unwrap(), "[::1]:9001".parse().unwrap()]
        );
        let endpoint: StaticEndpoint = "web:80=127.0.0.1:9000".parse().unwrap();
        assert_eq!(endpoint.namespace, "default");
    }

    #[test]
    fn each_mistake_in_an_endpoint_is_told_apart() {
        let error = |text: &str| text.parse::<StaticEndpoint>().unwrap_err();
        assert_eq!(
            error("shop/web:80"),
            EndpointError::NoAddress("shop/web:80".into())
        );
        assert_eq!(
            error("shop/web=127.0.0.1:1"),
            EndpointError::NoPort("shop/web".into())
        );
        assert_eq!(
            error("a/b/c:80=127.0.0.1:1"),
            EndpointError::NotAService("a/b/c".into())
        );
        assert_eq!(
            error("shop/:80=127.0.0.1:1"),
            EndpointError::NotAService("shop/".into())
        );
        assert_eq!(
            error("shop/web:0=127.0.0.1:1"),
            EndpointError::NotAPort("0".into())
        );
        assert_eq!(
            error("shop/web:70000=127.0.0.1:1"),
            EndpointError::NotAPort("70000".into())
        );
        assert_eq!(
            error("shop/web:80=localhost:1"),
            EndpointError::NotAnAddress("localhost:1".into())
        );
        assert_eq!(
            error("shop/web:80=127.0.0.1"),
            EndpointError::NotAnAddress("127.0.0.1".into())
        );
        assert_eq!(error("shop/web:80="), EndpointError::NotAnAddress(String::new()));
    }
}
