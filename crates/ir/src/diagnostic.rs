//! A user's mistake, as a value: what is wrong, where, why, and what to do about it.
//!
//! Codes are declared once, in [`codes!`] below; `docs/reference/diagnostics.md` is generated from them.

use crate::Origin;
use serde::{Serialize, Serializer};
use std::fmt;

/// One finding about one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Diagnostic {
    /// Stable code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The object.
    #[serde(rename = "object")]
    pub origin: Origin,
    /// Field path within it, `spec.rules[0].matches[1].path.value`; empty for the object as a whole.
    pub field: String,
    /// What is wrong and why it matters, one sentence, no full stop at the end.
    pub message: String,
    /// What to do, one imperative sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A finding with its code's own severity.
    pub fn new(code: Code, origin: Origin, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            origin,
            field: field.into(),
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// `error [NTX0101] HTTPRoute shop/cart: spec.rules[0]...: message`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] {}: ", self.severity, self.code, self.origin.object())?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Works, but probably not as meant.
    Warning,
    /// Some of what the object asks for does not work.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

macro_rules! codes {
    ($($name:ident = $number:literal $severity:ident $summary:literal $detail:literal;)*) => {
        /// A stable code. Never reused for something else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $summary] $name,)* }

        impl Code {
            /// Every code, in order of number.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// `NTX0101`
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => concat!("NTX", $number),)* }
            }

            /// The code in a word, as an Event's reason: `BackendNotFound`.
            pub fn reason(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Severity of every finding with this code.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// One line: what it is.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$name => $summary,)* }
            }

            /// A few sentences: what follows from it and how to mend it.
            pub fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail,)* }
            }
        }
    };
}

// 00xx reading files, 01xx references, 02xx Gateway and listeners, 03xx routes, 04xx Ingress, 05xx TLS,
// 06xx Services and endpoints, 07xx routing as a whole (found by `check`).
codes! {
    UnreadableFile = "0001" Error "a file can't be read as YAML or JSON"
        "The last version that could be read stays in use; nothing of the broken version is applied.";
    InvalidObject = "0002" Error "an object does not have the shape its kind asks for"
        "The object is left out; other objects of the file are used. A required field is missing or has the wrong type.";
    UnknownKind = "0003" Note "a kind that Narthex does not read"
        "Listed once per kind. Deployments, Pods and the like may sit in the same directory.";
    DuplicateObject = "0004" Warning "the same object stands in two places"
        "The first one, by path of the file and position in it, is used.";
    UnknownField = "0005" Warning "a field that the kind does not have"
        "Usually a spelling mistake. The API server would drop it; Narthex ignores it too.";
    BackendNotFound = "0101" Error "a backend's Service does not exist"
        "Its share of the requests is answered with an error (500 for HTTPRoute, 503 for Ingress).";
    BackendPortNotFound = "0102" Error "a backend's port is not a port of its Service"
        "Its share of the requests is answered with an error.";
    RefNotPermitted = "0103" Error "a reference into another namespace that no ReferenceGrant allows"
        "Create a ReferenceGrant in the namespace of the object that is referred to.";
    BackendKindUnsupported = "0104" Error "a backend of a kind that can be none"
        "Services and XBackends can be backends.";
    ParentNotFound = "0105" Warning "a parentRef names no Gateway, ListenerSet or listener that exists"
        "The route does not attach there. If it attaches nowhere else, it has no effect. A ListenerSet has none without its Gateway.";
    UnsupportedProtocol = "0106" Error "a Service port's appProtocol is not supported yet"
        "http, kubernetes.io/h2c and kubernetes.io/ws are spoken; https, tls and kubernetes.io/wss with a BackendTLSPolicy.";
    BackendInvalid = "0107" Error "an XBackend whose settings contradict each other or can't be understood"
        "Nothing is sent there: its share of the requests is answered with an error.";
    ListenerConflict = "0201" Error "two listeners claim the same port with the same hostname or different protocols"
        "Of equal listeners the first in the oldest Gateway wins, then the first in the oldest ListenerSet; a different protocol on the port loses likewise.";
    ListenerProtocolUnsupported = "0202" Error "a listener's protocol is not supported"
        "HTTP and HTTPS are served for now.";
    ListenerTlsInvalid = "0203" Error "a listener's TLS settings can't be used"
        "HTTPS needs mode Terminate and at least one usable certificate.";
    ListenerRouteKindInvalid = "0204" Error "a listener allows a kind of route that it can't serve"
        "HTTP and HTTPS listeners serve HTTPRoute, TLS listeners TLSRoute, TCP listeners TCPRoute, UDP listeners UDPRoute.";
    GatewayClassNotFound = "0205" Warning "a Gateway's class does not exist or belongs to another controller"
        "The Gateway is left alone.";
    GatewayAddressUnusable = "0206" Error "an address that a Gateway asks for can't be used"
        "Only addresses of type IPAddress can be listened on here.";
    GatewayParametersInvalid = "0207" Error "a parametersRef names something that Narthex does not know"
        "Remove parametersRef.";
    GatewayFieldUnsupported = "0208" Warning "a field of a Gateway that is not honoured yet"
        "The rest of the Gateway works.";
    ListenerInvalid = "0209" Error "a listener's name, port, hostname or filters can't be used"
        "The listener is left out; other listeners of the Gateway work.";
    ListenerSetNotAllowed = "0210" Error "a Gateway does not admit a ListenerSet"
        "Its listeners are not served. A Gateway admits none unless its allowedListeners says so.";
    GatewayServiceForeign = "0211" Error "a Service that is not ours has the name of a Gateway's Service"
        "It is left as it is, and the Gateway can't be reached. Rename the Service or the Gateway.";
    GatewayPortsTaken = "0212" Error "no port of ours is left for a port of a Gateway"
        "The listener is not served. Widen --gateway-service-ports.";
    InfrastructureInvalid = "0213" Warning "a label or annotation of infrastructure that Narthex sets itself"
        "It is left out of what is made for the Gateway; the others are there.";
    TelemetryUnsupported = "0214" Error "an XTelemetryPolicy that asks for what is not supported yet"
        "It has no effect: nothing is sent to the collector that it names.";
    RouteNotAllowed = "0301" Error "a listener does not allow the route to attach"
        "allowedRoutes of the listener must admit the route's namespace and kind.";
    RouteHostnameMismatch = "0302" Error "none of a route's hostnames is covered by the listener"
        "The route does not attach to that listener.";
    FilterUnsupported = "0303" Error "a filter that is not supported"
        "The rule answers 500: a filter that can't be applied must not be skipped.";
    FilterInvalid = "0304" Error "a filter's settings contradict each other or are out of range"
        "The rule answers 500, other rules of the route work.";
    MatchInvalid = "0305" Error "a match can't be understood"
        "The rule is left out, other rules of the route work.";
    RegexInvalid = "0306" Error "a regular expression does not compile"
        "The rule is left out. The syntax is that of the Rust regex crate: no look-around, no backreferences.";
    TimeoutInvalid = "0307" Error "a time limit is not a duration, or contradicts another"
        "The limit is not applied. Durations look like 500ms, 10s, 1m30s; backendRequest must not exceed request.";
    RouteFieldUnsupported = "0308" Warning "a field of a route that is not honoured yet"
        "The rest of the route works.";
    NoBackends = "0309" Warning "a rule without backends and without a redirect"
        "Every request that the rule matches is answered with 500.";
    RouteHostnameInvalid = "0310" Error "a route's hostname is not a host name"
        "The hostname is left out; a route of which no hostname is left has no effect.";
    NameRepeated = "0311" Warning "a name that stands twice in a list where the first one counts"
        "The later one is ignored, as the specification of HTTPRoute asks for.";
    WeightInvalid = "0312" Error "a backend's weight is out of range"
        "The rule answers 500; a backend of a TCPRoute, UDPRoute or TLSRoute gets nothing. Weights go from 0 to 1000000.";
    RetryInvalid = "0313" Error "a setting of a rule's retry is out of range or not a duration"
        "The setting is not applied, the rest of retry is. Codes go from 400 to 599, attempts from 0; durations look like 25ms, 1s.";
    SessionInvalid = "0314" Error "a setting of sessionPersistence contradicts another or can't be understood"
        "There are no sessions then. A Permanent cookie needs absoluteTimeout; a Header needs a name; durations look like 30m, 12h.";
    SessionNameRepeated = "0315" Warning "two rules of a route, or two backends of a rule, name the same session"
        "Neither rules nor backends share sessions, and the cookie of one replaces that of the other: a client that goes to both is kept nowhere.";
    NoDefaultGateway = "0316" Warning "a route asks for default Gateways, and there is none"
        "The route attaches to what its parentRefs name, and to nothing else.";
    StreamRouteWithoutBackend = "0320" Warning "a TCPRoute, UDPRoute or TLSRoute without a backend that gets anything"
        "Every connection is closed at once, every datagram dropped.";
    StreamRuleIgnored = "0321" Warning "a TCPRoute, UDPRoute or TLSRoute with more than one rule"
        "Nothing tells the streams of one rule from those of another; the first rule has them all.";
    IngressClassUnknown = "0401" Warning "an Ingress names a class that does not exist or belongs to another controller"
        "The Ingress is left alone.";
    IngressClassMissing = "0402" Warning "an Ingress without a class, and no class is the default"
        "The Ingress is left alone.";
    AnnotationNotHonoured = "0403" Warning "an ingress-nginx annotation that is not honoured yet"
        "The Ingress works as if the annotation were not there.";
    AnnotationInvalid = "0404" Error "an annotation's value can't be understood"
        "The Ingress works as if the annotation were not there.";
    IngressResourceBackend = "0405" Error "an Ingress backend of type resource"
        "Only Services can be backends. Requests for it are answered with 503.";
    IngressPathInvalid = "0406" Error "an Ingress path can't be used"
        "The path is left out, other paths of the Ingress work.";
    IngressHostInvalid = "0407" Error "an Ingress host is not a host name"
        "The rule is left out, other rules of the Ingress work.";
    PathClaimedTwice = "0408" Warning "two Ingresses claim the same host and path"
        "The oldest Ingress wins, then the first by namespace and name.";
    PortServiceInvalid = "0420" Error "an entry of a tcp-services or udp-services ConfigMap can't be used"
        "The port is left out, other ports of the ConfigMap work.";
    PortServicesNotFound = "0421" Warning "a flag names a ConfigMap of ports that does not exist"
        "Nothing is served for it until there is one.";
    Http3NotServed = "0422" Warning "HTTPS on a port that can't be served over HTTP/3"
        "It is served over HTTP/1.1 and HTTP/2 alone: another listener has the UDP port, or certificates of clients are checked.";
    SecretNotFound = "0501" Error "a certificate's Secret does not exist"
        "Ingress hosts get the default certificate, a Gateway listener none.";
    CertificateInvalid = "0502" Error "a Secret does not hold a usable certificate and key"
        "The last good certificate stays in use if there was one.";
    CertificateHostMismatch = "0503" Warning "a certificate does not cover a host that it is served for"
        "Clients will refuse the connection.";
    CertificateExpired = "0504" Error "a certificate has expired"
        "Clients will refuse the connection.";
    CertificateExpiresSoon = "0505" Warning "a certificate expires within 30 days"
        "Renew it.";
    AuthorityInvalid = "0506" Error "certificates of authorities that can't be had from where they should be"
        "Nobody is believed by them. They stand as PEM in the entry ca.crt of a ConfigMap or Secret, or in a ClusterTrustBundle.";
    PolicyInvalid = "0507" Error "a BackendTLSPolicy, or the TLS of an XBackend, that can't be followed"
        "Requests to what it is for are answered with 502: what is to be protected is not sent in the clear.";
    PolicyConflict = "0508" Error "two policies have the same target"
        "The older one is in force, then the first by namespace and name.";
    PolicyTargetInvalid = "0509" Error "a policy's target is nothing that it can be attached to"
        "It has no effect there. Services are targets of BackendTLSPolicy, Services and XBackends of XBackendTrafficPolicy, Gateways of XTelemetryPolicy.";
    TlsPolicyUnknown = "0510" Error "a TLS policy that does not exist"
        "The listener has the strictest one. Policies are `modern` (TLS 1.3 alone) and `intermediate` (TLS 1.2 and 1.3).";
    StapleInvalid = "0511" Warning "an OCSP response that can't be shown to clients"
        "The certificate is served without it. It stands as DER in the entry tls.ocsp-staple of the certificate's Secret.";
    TicketSecretInvalid = "0512" Warning "the Secret for session tickets can't be used"
        "Sessions are resumed by the replica that they began with and by no other. The entry `key` has at least 32 random bytes.";
    NoEndpoints = "0601" Warning "a backend that a rule refers to has no endpoint"
        "Requests for it are answered with 503 until there is one.";
    ExternalNameUnresolved = "0602" Warning "the name of an ExternalName Service or of an XBackend can't be resolved"
        "Requests for it are answered with 503 until it can.";
    ExternalNameRefused = "0603" Error "an external name resolves to an address that is not allowed"
        "Loopback and link-local addresses are refused unless --allow-local-external-names is given.";
    EndpointInvalid = "0604" Warning "an endpoint that can't be used"
        "The endpoint is left out, others of the slice are used.";
    TrafficPolicyInvalid = "0605" Error "a setting of an XBackendTrafficPolicy is out of range or not a duration"
        "The default holds in its place. Intervals go up to an hour, percent from 0 to 100, count from 1.";
    OwnerConflict = "0701" Warning "an Ingress and an HTTPRoute claim the same host and path"
        "The HTTPRoute wins, so that a path can be moved from Ingress to Gateway API without a gap.";
    RuleShadowed = "0702" Warning "a rule that can never match"
        "Another rule that comes first matches everything it would.";
    HostClaimedTwice = "0703" Note "a host is claimed by objects of several namespaces"
        "Their rules are merged; check that this is meant.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(
            Code::ALL
                .windows(2)
                .all(|pair| pair[0].as_str() < pair[1].as_str())
        );
    }
}
