//! Flags to the settings of a translation, and the certificate for hosts that have none.

use crate::flags::{Balance, Forwarded, ServiceKind, SettingsFlags, TlsPolicyName};
use crate::values::ObjectName;
use ir::{Certificate, CertificateId, Origin, PrivateKey};
use translate::{GatewayServices, Key, ServiceType, Settings};

/// The settings that the flags ask for.
pub fn from_flags(flags: &SettingsFlags, fallback_certificate: Certificate) -> Settings {
    Settings {
        http_port: flags.http_port,
        https_port: flags.https_port,
        bind: flags.bind.clone(),
        gateway_controller: flags.gateway_controller_name.clone(),
        ingress_controller: flags.ingress_controller_name.clone(),
        ingress_class: flags.ingress_class.clone(),
        watch_ingress_without_class: flags.ingress_class.is_none(),
        namespace_selector: flags.watch_namespace_selector.clone(),
        tcp_services: flags.tcp_services_configmap.as_ref().map(key),
        udp_services: flags.udp_services_configmap.as_ref().map(key),
        tls_policy: match flags.tls_policy {
            TlsPolicyName::Modern => ir::TlsPolicy::Modern,
            TlsPolicyName::Intermediate => ir::TlsPolicy::Intermediate,
        },
        ticket_secret: flags.tls_ticket_secret.as_ref().map(key),
        default_certificate: flags.default_certificate.as_ref().map(key),
        fallback_certificate: Some(fallback_certificate),
        proxy_protocol_ports: flags.proxy_protocol.clone(),
        allow_local_external_names: flags.allow_local_external_names,
        http: http(flags),
        udp_idle_timeout: flags.udp_timeout.0,
        upstream: upstream(flags),
        address_pool: flags.address_pool.clone(),
        status_addresses: flags.status_address.clone(),
        publish_service: flags.publish_service.as_ref().map(key),
        gateway_services: flags.gateway_service.map(|kind| GatewayServices {
            kind: match kind {
                ServiceKind::LoadBalancer => ServiceType::LoadBalancer,
                ServiceKind::NodePort => ServiceType::NodePort,
                ServiceKind::ClusterIp => ServiceType::ClusterIP,
            },
            ports: flags.gateway_service_ports.0.clone(),
        }),
    }
}

/// Its key.
pub fn key(name: &ObjectName) -> Key {
    Key::new(name.namespace.as_str(), name.name.as_str())
}

fn http(flags: &SettingsFlags) -> ir::HttpSettings {
    ir::HttpSettings {
        trusted_proxies: flags.trusted_proxies.clone(),
        forwarded: match flags.forwarded {
            Forwarded::XForwarded => ir::ForwardedHeaders::XForwarded,
            Forwarded::Both => ir::ForwardedHeaders::Both,
        },
        limits: ir::Limits {
            request_line: bounded(flags.max_request_line.0),
            header_bytes: bounded(flags.max_header_bytes.0),
            header_count: usize::from(flags.max_header_count),
            body: flags.max_body.map(|size| size.0),
            requests_per_connection: flags.max_requests_per_connection,
            streams: flags.max_streams,
            connections: flags.max_connections,
        },
        timeouts: ir::ServerTimeouts {
            handshake: flags.handshake_timeout.0,
            head: flags.header_timeout.0,
            body_idle: flags.body_timeout.0,
            send: flags.send_timeout.0,
            keep_alive: flags.keep_alive_timeout.0,
        },
        path: ir::PathPolicy {
            merge_slashes: flags.merge_slashes,
            refuse_escaped_slashes: flags.refuse_escaped_slashes,
        },
        server_header: flags.server_header.clone(),
        http3: flags.http3.then(|| ir::Http3 {
            port: flags.http3_port,
            early_data: flags.http3_early_data,
            retry_above: flags.max_http3_handshakes,
            ..ir::Http3::default()
        }),
    }
}

fn upstream(flags: &SettingsFlags) -> ir::UpstreamSettings {
    ir::UpstreamSettings {
        balance: match flags.balance {
            Balance::RoundRobin => ir::Balance::RoundRobin,
            Balance::LeastRequest => ir::Balance::LeastRequest,
        },
        connect_timeout: flags.upstream_connect_timeout.0,
        head_timeout: flags.upstream_response_timeout.0,
        body_idle_timeout: flags.upstream_body_timeout.0,
        tunnel_idle_timeout: flags.tunnel_timeout.0,
        keep_alive_timeout: flags.upstream_keep_alive_timeout.0,
        ..ir::UpstreamSettings::default()
    }
}

/// A self-signed certificate, for as long as the process runs: browsers warn, `curl -k` works.
pub fn self_signed() -> Result<Certificate, rcgen::Error> {
    let key = rcgen::KeyPair::generate()?;
    let mut parameters = rcgen::CertificateParams::new(vec![FALLBACK_NAME.to_owned()])?;
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, FALLBACK_NAME);
    let not_after = jiff::Timestamp::now().as_second() + FALLBACK_DAYS * 86_400;
    let date = jiff::Timestamp::from_second(not_after)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_zoned(jiff::tz::TimeZone::UTC);
    parameters.not_after = rcgen::date_time_ymd(date.year().into(), date.month() as u8, date.day() as u8);
    let certificate = parameters.self_signed(&key)?;
    let leaf = certificate.der().to_vec();
    Ok(Certificate {
        fingerprint: fingerprint(&leaf),
        chain: vec![leaf],
        key: PrivateKey(key.serialize_der()),
        not_after,
        ..stand_in()
    })
}

/// What stands for the certificate of [`self_signed`] where nothing runs: the same on every call, and nothing to wait for.
pub fn stand_in() -> Certificate {
    Certificate {
        id: CertificateId("default".into()),
        origin: Origin::new("Narthex", "", "default-certificate"),
        chain: Vec::new(),
        key: PrivateKey(Vec::new()),
        staple: None,
        names: vec![FALLBACK_NAME.into()],
        not_after: i64::MAX,
        fingerprint: "(made at start)".into(),
    }
}

fn fingerprint(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bounded(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

const FALLBACK_NAME: &str = "narthex.invalid";
const FALLBACK_DAYS: i64 = 365;

#[cfg(test)]
mod tests {
    use super::{from_flags, self_signed, stand_in};
    use crate::flags::{Command, command};
    use clap::FromArgMatches;

    #[test]
    fn without_flags_the_settings_are_the_documented_defaults() {
        let matches = command().try_get_matches_from(["narthex", "check", "x"]).unwrap();
        let cli = crate::flags::Cli::from_arg_matches(&matches).unwrap();
        let Command::Check(check) = cli.command else {
            panic!("check");
        };
        let settings = from_flags(&check.settings, stand_in());
        assert_eq!(settings.http, ir::HttpSettings::default());
        assert_eq!(settings.upstream, ir::UpstreamSettings::default());
        let default = translate::Settings::default();
        assert_eq!(settings.udp_idle_timeout, default.udp_idle_timeout);
        assert_eq!(settings.gateway_controller, default.gateway_controller);
        assert_eq!(settings.ingress_controller, default.ingress_controller);
    }

    #[test]
    fn the_self_signed_certificate_is_valid_for_a_year() {
        let certificate = self_signed().unwrap();
        let days = (certificate.not_after - jiff::Timestamp::now().as_second()) / 86_400;
        assert!((363..=365).contains(&days), "{days}");
        assert_eq!(certificate.fingerprint.len(), 64);
    }
}
