//! The flags that every command which reads objects has: listening, classes, what requests may look like, limits, times.

use crate::values::{self, Duration, ObjectName, PortRange, Size};
use clap::{ArgAction, Args, ValueEnum};
use control::StaticEndpoint;
use ipnet::IpNet;
use std::net::IpAddr;
use translate::selector::LabelSelector;

/// What the objects leave open. The same flags for every command that reads objects, so that `check` and
/// `explain` answer for exactly the `run` that has the same flags.
#[derive(Debug, Clone, Args)]
pub struct SettingsFlags {
    /// Port of plain HTTP for Ingress objects (a Gateway's listeners name theirs).
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..), help_heading = LISTENING)]
    pub http_port: u16,
    /// Port of HTTPS for Ingress objects.
    #[arg(long, value_name = "PORT", default_value_t = 8443, value_parser = clap::value_parser!(u16).range(1..), help_heading = LISTENING)]
    pub https_port: u16,
    /// Address to listen on (repeatable); by default all, IPv4 and IPv6.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', help_heading = LISTENING)]
    pub bind: Vec<IpAddr>,
    /// Port on which each connection must start with a PROXY protocol header (repeatable).
    #[arg(long, value_name = "PORT", value_delimiter = ',', help_heading = LISTENING)]
    pub proxy_protocol: Vec<u16>,
    /// Serve HTTP/3 too, on the UDP port of the same number beside each port of HTTPS, and tell clients of it (Alt-Svc).
    #[arg(long, help_heading = LISTENING)]
    pub http3: bool,
    /// Port of HTTP/3 that clients are told; by default the one by which they came.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), requires = "http3", help_heading = LISTENING)]
    pub http3_port: Option<u16>,
    /// Let returning clients of HTTP/3 send a request with their first packet: GET and HEAD are passed on with Early-Data: 1,
    /// all others answered with 425.
    #[arg(long, requires = "http3", help_heading = LISTENING)]
    pub http3_early_data: bool,
    /// Secret with the certificate for hosts that have none; by default one is made at start.
    #[arg(long, value_name = "NAMESPACE/NAME", help_heading = LISTENING)]
    pub default_certificate: Option<ObjectName>,
    /// Versions of TLS that clients may use, where a listener's option narthex.dev/tls-policy does not say otherwise.
    #[arg(long, value_name = "POLICY", default_value = "intermediate", help_heading = LISTENING)]
    pub tls_policy: TlsPolicyName,
    /// Secret whose entry `key` all replicas derive their keys for session tickets from; by default each has its own.
    #[arg(long, value_name = "NAMESPACE/NAME", help_heading = LISTENING)]
    pub tls_ticket_secret: Option<ObjectName>,
    /// Networks with addresses of this machine: each Gateway that asks for no address gets one of its own (repeatable).
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', value_parser = values::network, help_heading = LISTENING)]
    pub address_pool: Vec<IpNet>,
    /// Address that the status of Ingresses and Gateways shows (repeatable).
    #[arg(long, visible_alias = "publish-status-address", value_name = "ADDRESS", value_delimiter = ',', help_heading = LISTENING)]
    pub status_address: Vec<IpAddr>,
    /// Service that leads here: the status of Ingresses and Gateways shows its addresses, unless --status-address gives some.
    #[arg(long, value_name = "NAMESPACE/NAME", help_heading = LISTENING)]
    pub publish_service: Option<ObjectName>,
    /// Make a Service for each Gateway, of type LoadBalancer unless another one is named; its addresses are the Gateway's. It
    /// leads to the endpoints of --publish-service.
    #[arg(long, value_name = "TYPE", num_args = 0..=1, require_equals = true, ignore_case = true, default_missing_value = "LoadBalancer", help_heading = LISTENING)]
    pub gateway_service: Option<ServiceKind>,
    /// Ports to listen on for the Services of Gateways, one for each port of each Gateway.
    #[arg(long, value_name = "FIRST-LAST", default_value = "20000-29999", help_heading = LISTENING)]
    pub gateway_service_ports: PortRange,

    /// Addresses of a Service's port, instead of its EndpointSlices (repeatable).
    #[arg(long, value_name = "NAMESPACE/SERVICE:PORT=ADDRESS[,ADDRESS]", help_heading = BACKENDS)]
    pub endpoint: Vec<StaticEndpoint>,
    /// Give every Service without endpoints a built-in backend that answers with JSON of what it received.
    #[arg(long, help_heading = BACKENDS)]
    pub echo: bool,
    /// Let ExternalName Services resolve to loopback and link-local addresses.
    #[arg(long, help_heading = BACKENDS)]
    pub allow_local_external_names: bool,

    /// ConfigMap of TCP ports as ingress-nginx has it: `"9000": shop/db:5432`, perhaps with `:PROXY` behind it.
    #[arg(long, value_name = "NAMESPACE/NAME", help_heading = LISTENING)]
    pub tcp_services_configmap: Option<ObjectName>,
    /// ConfigMap of UDP ports, likewise.
    #[arg(long, value_name = "NAMESPACE/NAME", help_heading = LISTENING)]
    pub udp_services_configmap: Option<ObjectName>,

    /// Labels of namespaces whose Gateways, routes and Ingresses are served, as `kubectl --selector` has them; by default all.
    #[arg(long, value_name = "SELECTOR", value_parser = translate::selector::parse, help_heading = CLASSES)]
    pub watch_namespace_selector: Option<LabelSelector>,
    /// Class whose Ingresses are served, besides the classes that IngressClass objects give to this controller.
    #[arg(long, value_name = "NAME", help_heading = CLASSES)]
    pub ingress_class: Option<String>,
    /// Controller name by which a GatewayClass chooses this program.
    #[arg(long, value_name = "NAME", default_value = "narthex.dev/gateway-controller", help_heading = CLASSES)]
    pub gateway_controller_name: String,
    /// Controller name by which an IngressClass chooses this program.
    #[arg(long, value_name = "NAME", default_value = "narthex.dev/ingress-controller", help_heading = CLASSES)]
    pub ingress_controller_name: String,

    /// Network whose X-Forwarded-*, X-Real-IP, X-Request-ID and Forwarded fields are believed (repeatable).
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', value_parser = values::network, help_heading = REQUESTS)]
    pub trusted_proxies: Vec<IpNet>,
    /// Which forwarding fields backends get.
    #[arg(long, value_name = "FIELDS", default_value = "x-forwarded", help_heading = REQUESTS)]
    pub forwarded: Forwarded,
    /// Read `//` in a path as `/`.
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set, help_heading = REQUESTS)]
    pub merge_slashes: bool,
    /// Answer 400 to %2F and %5C in a path, for backends that read them as slashes.
    #[arg(long, help_heading = REQUESTS)]
    pub refuse_escaped_slashes: bool,
    /// `Server` field of responses; by default the backend's is passed on.
    #[arg(long, value_name = "TEXT", help_heading = REQUESTS)]
    pub server_header: Option<String>,

    /// Longest request line; beyond it: 414.
    #[arg(long, value_name = "SIZE", default_value = "8k", help_heading = LIMITS)]
    pub max_request_line: Size,
    /// Most bytes of header fields in a request; beyond: 431.
    #[arg(long, value_name = "SIZE", default_value = "32k", help_heading = LIMITS)]
    pub max_header_bytes: Size,
    /// Most header fields in a request; beyond: 431.
    #[arg(long, value_name = "COUNT", default_value_t = 100, help_heading = LIMITS)]
    pub max_header_count: u16,
    /// Longest request body; beyond: 413. By default there is no limit.
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    pub max_body: Option<Size>,
    /// Requests on one connection before it is closed; 0 for no limit.
    #[arg(long, value_name = "COUNT", default_value_t = 0, help_heading = LIMITS)]
    pub max_requests_per_connection: u32,
    /// Requests at once on one connection of HTTP/2 or HTTP/3.
    #[arg(long, value_name = "COUNT", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_535), help_heading = LIMITS)]
    pub max_streams: u32,
    /// Open client connections per worker; 0 to follow the limit of open files.
    #[arg(long, value_name = "COUNT", default_value_t = 0, help_heading = LIMITS)]
    pub max_connections: u32,

    /// Handshakes of HTTP/3 under way per worker beyond which a client has to prove its address first; 0 to ask it always.
    #[arg(long, value_name = "COUNT", default_value_t = 100, help_heading = LIMITS)]
    pub max_http3_handshakes: u32,

    /// For a TLS handshake or a PROXY protocol header.
    #[arg(long, value_name = "DURATION", default_value = "10s", help_heading = TIMEOUTS)]
    pub handshake_timeout: Duration,
    /// For a request's head, from its first byte; beyond: 408.
    #[arg(long, value_name = "DURATION", default_value = "30s", help_heading = TIMEOUTS)]
    pub header_timeout: Duration,
    /// Without progress of a request's body; beyond: 408.
    #[arg(long, value_name = "DURATION", default_value = "60s", help_heading = TIMEOUTS)]
    pub body_timeout: Duration,
    /// Without progress of a response towards the client.
    #[arg(long, value_name = "DURATION", default_value = "60s", help_heading = TIMEOUTS)]
    pub send_timeout: Duration,
    /// For the next request on a connection.
    #[arg(long, value_name = "DURATION", default_value = "75s", help_heading = TIMEOUTS)]
    pub keep_alive_timeout: Duration,
    /// To connect to an endpoint.
    #[arg(long, value_name = "DURATION", default_value = "5s", help_heading = TIMEOUTS)]
    pub upstream_connect_timeout: Duration,
    /// For an endpoint's response to begin; beyond: 504.
    #[arg(long, value_name = "DURATION", default_value = "60s", help_heading = TIMEOUTS)]
    pub upstream_response_timeout: Duration,
    /// Without progress of an endpoint's response body.
    #[arg(long, value_name = "DURATION", default_value = "60s", help_heading = TIMEOUTS)]
    pub upstream_body_timeout: Duration,
    /// Without a byte either way on a TCP or TLS stream, a WebSocket or another upgraded connection.
    #[arg(long, value_name = "DURATION", default_value = "1h", help_heading = TIMEOUTS)]
    pub tunnel_timeout: Duration,
    /// Without a datagram either way before a UDP flow is forgotten.
    #[arg(long, value_name = "DURATION", default_value = "60s", help_heading = TIMEOUTS)]
    pub udp_timeout: Duration,
    /// For an unused connection to an endpoint.
    #[arg(long, value_name = "DURATION", default_value = "55s", help_heading = TIMEOUTS)]
    pub upstream_keep_alive_timeout: Duration,

    /// How an endpoint is chosen.
    #[arg(long, value_name = "HOW", default_value = "round-robin", help_heading = BACKENDS)]
    pub balance: Balance,
}

/// Type of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServiceKind {
    /// With an address that a load balancer gives it.
    #[value(name = "LoadBalancer")]
    LoadBalancer,
    /// With a port on every node.
    #[value(name = "NodePort")]
    NodePort,
    /// With an address within the cluster.
    #[value(name = "ClusterIP")]
    ClusterIp,
}

/// Versions of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsPolicyName {
    /// TLS 1.3 alone.
    Modern,
    /// TLS 1.3, and TLS 1.2 with forward secrecy and authenticated ciphers.
    Intermediate,
}

/// Which forwarding fields backends get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Forwarded {
    /// X-Forwarded-For, -Proto, -Host and -Port, X-Real-IP, X-Request-ID.
    XForwarded,
    /// These and Forwarded (RFC 7239).
    Both,
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Balance {
    /// One after the other.
    RoundRobin,
    /// Of two chosen at random, the one with fewer requests.
    LeastRequest,
}

const LISTENING: &str = "Listening";
const BACKENDS: &str = "Backends";
const CLASSES: &str = "Classes";
const REQUESTS: &str = "Requests";
const LIMITS: &str = "Limits";
const TIMEOUTS: &str = "Timeouts";
