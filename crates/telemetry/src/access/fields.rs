//! The fields of the access log, declared once: JSON, templates and the reference page follow from this table.

use super::AccessRecord;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

/// One field.
pub struct Field {
    /// Name in JSON and in templates.
    pub name: &'static str,
    /// Further names in templates: those of nginx, where there is one.
    pub aliases: &'static [&'static str],
    /// Whether `json` has it.
    pub in_json: bool,
    /// What it is.
    pub help: &'static str,
    /// `"name":`
    pub(super) json_key: &'static str,
    pub(super) value: for<'r> fn(&'r AccessRecord<'_>) -> Value<'r>,
}

/// A field's value in one record.
pub(super) enum Value<'r> {
    Missing,
    /// As received; to be escaped.
    Text(&'r [u8]),
    /// Pieces with nothing in between; each to be escaped.
    Joined([&'r [u8]; 3]),
    /// Request line: method, path, query, protocol.
    Request(&'r AccessRecord<'r>),
    Number(u64),
    /// Seconds to the microsecond.
    Seconds(Duration),
    Ip(IpAddr),
    Port(u16),
    Address(SocketAddr),
    /// As RFC 3339 has it, to the millisecond, UTC.
    Time(SystemTime),
    /// As the Common Log Format has it, UTC.
    LocalTime(SystemTime),
    /// Seconds since 1970 with milliseconds.
    UnixTime(SystemTime),
}

macro_rules! fields {
    ($($name:ident [$($alias:ident)*] $json:ident $help:literal $value:expr;)*) => {
        /// Every field, in the order of `json`.
        pub static FIELDS: &[Field] = &[$(Field {
            name: stringify!($name),
            aliases: &[$(stringify!($alias)),*],
            in_json: $json,
            json_key: concat!("\"", stringify!($name), "\":"),
            help: $help,
            value: $value,
        }),*];
    };
}

fields! {
    time [time_iso8601] true "when the request's first byte came: RFC 3339, UTC, milliseconds" |r| Value::Time(r.time);
    time_local [] false "the same as the Common Log Format has it" |r| Value::LocalTime(r.time);
    time_unix [msec] false "the same in seconds since 1970, with milliseconds" |r| Value::UnixTime(r.time);
    request_id [req_id] true "value of `X-Request-ID`" |r| text(r.request_id.as_bytes());
    client [remote_addr] true "the client's address, from a trusted proxy's word if there was one" |r| r.client.map_or(Value::Missing, Value::Ip);
    peer [realip_remote_addr] true "other end of the connection" |r| r.peer.map_or(Value::Missing, Value::Address);
    remote_port [] false "port of the other end of the connection" |r| r.peer.map_or(Value::Missing, |peer| Value::Port(peer.port()));
    local [] false "address and port that the client connected to" |r| r.local.map_or(Value::Missing, Value::Address);
    server_port [] false "port that the client connected to" |r| r.local.map_or(Value::Missing, |local| Value::Port(local.port()));
    method [request_method] true "method" |r| text(r.method);
    scheme [] true "`http` or `https`" |r| text(r.scheme.as_bytes());
    host [http_host] true "host asked for; of a TLS stream the name" |r| text(r.host);
    path [] true "path as received" |r| text(r.path);
    query [args query_string] true "query as received, without `?`" |r| r.query.map_or(Value::Missing, text);
    request_uri [] false "path and query as received" |r| match r.query {
        Some(query) => Value::Joined([r.path, b"?", query]),
        None => text(r.path),
    };
    request [] false "method, path, query and protocol" |r| Value::Request(r);
    protocol [server_protocol] true "`HTTP/1.1`; `TCP`, `TLS` or `UDP` for a stream" |r| text(r.protocol.as_bytes());
    status [] true "status sent to the client; none if it went away before" |r| number(r.status.into());
    bytes_in [request_length] true "bytes of the request as received, head included; of a stream all from the client" |r| Value::Number(r.bytes_in);
    bytes_out [bytes_sent] true "bytes of the response as sent, head included; of a stream all to the client" |r| Value::Number(r.bytes_out);
    body_bytes_out [body_bytes_sent] false "bytes of the response's body" |r| Value::Number(r.body_bytes_out);
    duration [request_time] true "seconds from the request's first byte to the response's last" |r| Value::Seconds(r.duration);
    upstream_connect [upstream_connect_time] true "seconds to connect to the endpoint; none when a connection was reused" |r| r.upstream_connect.map_or(Value::Missing, Value::Seconds);
    upstream_first_byte [upstream_header_time] true "seconds from sending the request head to the response's first byte" |r| r.upstream_first_byte.map_or(Value::Missing, Value::Seconds);
    route_kind [] true "kind of the object that the rule belongs to" |r| text(r.route_kind.as_bytes());
    route_namespace [namespace] true "its namespace" |r| text(r.route_namespace.as_bytes());
    route [ingress_name] true "its name" |r| text(r.route.as_bytes());
    rule [] true "the rule's name or position" |r| text(r.rule.as_bytes());
    upstream [proxy_upstream_name] true "id of the upstream" |r| text(r.upstream.as_bytes());
    endpoint [upstream_addr] true "address of the endpoint" |r| r.endpoint.map_or(Value::Missing, Value::Address);
    upstream_status [] true "status that the endpoint sent" |r| number(r.upstream_status.into());
    tries [] true "times that the request was sent" |r| number(r.tries.into());
    fault [] true "stable code of what went wrong" |r| text(r.fault.as_bytes());
    user_agent [http_user_agent] true "value of `User-Agent`" |r| text(r.user_agent);
    referer [http_referer] true "value of `Referer`" |r| text(r.referer);
    tls_version [ssl_protocol] true "`TLSv1.3`; none on plain HTTP" |r| text(r.tls_version.as_bytes());
    listener [] true "listener that took the request" |r| text(r.listener.as_bytes());
}

/// Text, or nothing if empty.
fn text(bytes: &[u8]) -> Value<'_> {
    if bytes.is_empty() {
        Value::Missing
    } else {
        Value::Text(bytes)
    }
}

/// A number, or nothing if 0.
fn number(number: u64) -> Value<'static> {
    if number == 0 {
        Value::Missing
    } else {
        Value::Number(number)
    }
}

#[cfg(test)]
mod tests {
    use super::FIELDS;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_aliases_are_distinct() {
        let mut names = BTreeSet::new();
        for field in FIELDS {
            assert!(names.insert(field.name), "{}", field.name);
            for alias in field.aliases {
                assert!(names.insert(alias), "{alias}");
            }
        }
    }
}
