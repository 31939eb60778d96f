use super::{Loaded, Problem, Store, covers};
use crate::input::Key;
use api::core::Secret;
use ir::{Code, HostPattern, Severity};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use std::sync::Arc;

#[test]
fn a_certificate_and_its_key_give_names_fingerprint_and_validity() {
    let (certificate, key) = issue(&["Shop.example.com", "*.example.com"]);
    let loaded = load(&[("tls.crt", &certificate), ("tls.key", &key)]);
    assert_eq!(loaded.problem, None);
    assert!(loaded.findings.is_empty());
    let certificate = loaded.certificate.unwrap();
    assert_eq!(&*certificate.id.0, "shop/cert");
    assert_eq!(certificate.names, ["*.example.com", "shop.example.com"]);
    assert_eq!(certificate.fingerprint.len(), 64);
    assert_eq!(certificate.not_after, NOT_AFTER);
}

#[test]
fn keys_of_every_common_kind_and_encoding_are_read() {
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params(&["a.test"]).self_signed(&pair).unwrap().pem();
        let loaded = load(&[("tls.crt", &certificate), ("tls.key", &pair.serialize_pem())]);
        assert_eq!(loaded.problem, None);
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_said_precisely() {
    let (certificate, key) = issue(&["a.test"]);
    let (_, other_key) = issue(&["a.test"]);
    let cut = &certificate[..certificate.len() / 2];
    let garbled = certificate.replacen('M', "!", 1);
    let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let not_a_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (crt, private, reason) in [
        (None, Some(key.as_str()), "tls.crt is missing"),
        (Some(certificate.as_str()), None, "tls.key is missing"),
        (Some(""), Some(&key), "tls.crt is empty"),
        (Some("certificate"), Some(&key), "tls.crt is not PEM"),
        (Some("\u{30}\u{2}\u{1}"), Some(&key), "tls.crt is DER, not PEM"),
        (Some(&key), Some(&key), "tls.crt holds no certificate"),
        (
            Some(cut),
            Some(&key),
            "tls.crt ends in the middle of a PEM section",
        ),
        (
            Some(&garbled),
            Some(&key),
            "tls.crt holds a PEM section that is not base64",
        ),
        (
            Some(not_x509),
            Some(&key),
            "certificate 1 of tls.crt is not an X.509 certificate",
        ),
        (
            Some(&certificate),
            Some(&certificate),
            "tls.key holds no private key",
        ),
        (
            Some(&certificate),
            Some(encrypted),
            "tls.key is encrypted with a password",
        ),
        (Some(&certificate), Some(not_a_key), "tls.key can't be used"),
        (
            Some(&certificate),
            Some(&other_key),
            "tls.key does not belong to the certificate in tls.crt",
        ),
    ] {
        let entries: Vec<_> = [("tls.crt", crt), ("tls.key", private)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let loaded = load(&entries);
        let Some(Problem::Invalid(found)) = loaded.problem else {
            panic!("{reason}: {loaded:?}");
        };
        assert!(found.starts_with(reason), "{found:?} instead of {reason:?}");
        assert!(loaded.certificate.is_none());
        assert_eq!(loaded.findings.len(), 1);
        assert_eq!(loaded.findings[0].code, Code::CertificateInvalid);
    }
}

#[test]
fn a_chain_in_the_wrong_order_is_put_right_and_reported() {
    let (leaf, key) = issue(&["a.test"]);
    let (issuer, _) = issue(&["ca.test"]);
    let loaded = load(&[("tls.crt", &format!("{issuer}{leaf}")), ("tls.key", &key)]);
    assert_eq!(loaded.certificate.unwrap().names, ["a.test"]);
    assert_eq!(loaded.findings[0].severity, Severity::Warning);
    assert!(loaded.findings[0].message.contains("number 2"));
}

#[test]
fn the_common_name_counts_only_without_alternative_names() {
    let pair = KeyPair::generate().unwrap();
    let mut params = params(&[]);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Old.example.com");
    let certificate = params.self_signed(&pair).unwrap().pem();
    let loaded = load(&[("tls.crt", &certificate), ("tls.key", &pair.serialize_pem())]);
    assert_eq!(loaded.certificate.unwrap().names, ["old.example.com"]);
}

#[test]
fn the_last_good_certificate_outlives_a_bad_version_but_not_its_secret() {
    let (certificate, key) = issue(&["a.test"]);
    let good = secret(&[("tls.crt", &certificate), ("tls.key", &key)]);
    let bad = secret(&[("tls.crt", "broken"), ("tls.key", &key)]);
    let mut store = Store::default();
    let first = store.load(&name(), Some(&good)).certificate.unwrap();
    let loaded = store.load(&name(), Some(&bad));
    assert!(Arc::ptr_eq(&first, loaded.certificate.as_ref().unwrap()));
    assert!(matches!(loaded.problem, Some(Problem::Invalid(_))));
    assert!(
        loaded.findings[0]
            .message
            .ends_with("the last good certificate stays in use")
    );
    assert!(store.load(&name(), None).certificate.is_none());
    assert!(store.load(&name(), Some(&bad)).certificate.is_none());
}

#[test]
fn a_secret_that_was_written_again_unchanged_keeps_its_allocation() {
    let (certificate, key) = issue(&["a.test"]);
    let entries: &[(&str, &str)] = &[("tls.crt", &certificate), ("tls.key", &key)];
    let mut store = Store::default();
    let first = store.load(&name(), Some(&secret(entries))).certificate.unwrap();
    let second = store.load(&name(), Some(&secret(entries))).certificate.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn the_calendar_tells_early_soon_and_late() {
    let (certificate, key) = issue(&["a.test"]);
    let mut store = Store::default();
    let secret = secret(&[("tls.crt", &certificate), ("tls.key", &key)]);
    let certificate = store.load(&name(), Some(&secret)).certificate.unwrap();
    let code = |now| store.calendar(&certificate, now).map(|finding| finding.code);
    let day = 24 * 3600;
    assert_eq!(code(NOT_BEFORE - 1), Some(Code::CertificateInvalid));
    assert_eq!(code(NOT_BEFORE), None);
    assert_eq!(code(NOT_AFTER - 30 * day), None);
    assert_eq!(code(NOT_AFTER - 30 * day + 1), Some(Code::CertificateExpiresSoon));
    assert_eq!(code(NOT_AFTER), Some(Code::CertificateExpiresSoon));
    assert_eq!(code(NOT_AFTER + 1), Some(Code::CertificateExpired));
}

#[test]
fn a_star_in_a_certificate_covers_one_label() {
    let (certificate, key) = issue(&["*.a.test", "b.test"]);
    let certificate = load(&[("tls.crt", &certificate), ("tls.key", &key)])
        .certificate
        .unwrap();
    let exact = |host: &str| covers(&certificate, &HostPattern::Exact(host.into()));
    assert!(exact("x.a.test") && exact("b.test"));
    assert!(!exact("a.test") && !exact("x.y.a.test") && !exact("x.b.test") && !exact("test"));
    let star = |suffix: &str| {
        let (suffix, one_label) = (suffix.into(), true);
        covers(&certificate, &HostPattern::Wildcard { suffix, one_label })
    };
    assert!(star(".a.test") && !star(".b.test") && !star(".test"));
    assert!(covers(&certificate, &HostPattern::Any));
}

/// Certificate and key for names, both PEM.
fn issue(names: &[&str]) -> (String, String) {
    let pair = KeyPair::generate().unwrap();
    let certificate = params(names).self_signed(&pair).unwrap();
    (certificate.pem(), pair.serialize_pem())
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(2030, 1, 1);
    params.not_after = rcgen::date_time_ymd(2031, 1, 1);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

fn name() -> Key {
    Key::new("shop", "cert")
}

fn secret(entries: &[(&str, &str)]) -> Arc<Secret> {
    let entries = entries.iter();
    Arc::new(Secret {
        data: entries
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect(),
        ..Secret::default()
    })
}

fn load(entries: &[(&str, &str)]) -> Loaded {
    Store::default().load(&name(), Some(&secret(entries)))
}

/// 2030-01-01 and 2031-01-01.
const NOT_BEFORE: i64 = 1_893_456_000;
const NOT_AFTER: i64 = 1_924_992_000;
