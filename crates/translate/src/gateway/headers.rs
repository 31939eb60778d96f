//! Header filters: which fields they may edit, and with what.

use super::filters::{Mistake, invalid};
use super::matches::is_token;
use super::rule::Look;
use api::gateway::{HeaderModifier, HttpHeader};
use ir::{Code, HeaderEdit};

/// Reads a header filter; `None` if it changes nothing.
///
/// Each name once per list; the first counts.
pub(super) fn edit(
    look: &mut Look<'_, '_>,
    given: Option<&HeaderModifier>,
    field: &str,
    name: &'static str,
) -> Result<Option<HeaderEdit>, Mistake> {
    let Some(given) = given else { return Ok(None) };
    let mut edit = HeaderEdit::default();
    for (list, given, edited) in [
        ("set", &given.set, &mut edit.set),
        ("add", &given.add, &mut edit.add),
    ] {
        edited.reserve_exact(given.len());
        for (index, HttpHeader { name: header, value }) in given.iter().enumerate() {
            editable(header, name)?;
            if !is_field_value(value) {
                return Err(invalid(
                    name,
                    format!("the value for header {header} has a control character, or a space at its edge"),
                    "Remove it",
                ));
            }
            if edited
                .iter()
                .any(|(before, _)| before.eq_ignore_ascii_case(header))
            {
                repeated(look, header, &format!("{field}.{name}.{list}[{index}].name"));
                continue;
            }
            edited.push((header.to_string(), value.to_string()));
        }
    }
    for header in &given.remove {
        editable(header, name)?;
        if !edit
            .remove
            .iter()
            .any(|before| before.eq_ignore_ascii_case(header))
        {
            edit.remove.push(header.clone());
        }
    }
    let nothing = edit == HeaderEdit::default();
    Ok((!nothing).then_some(edit))
}

fn repeated(look: &mut Look<'_, '_>, header: &str, field: &str) {
    look.report(
        Code::NameRepeated,
        field,
        format!("{header} stands twice in this list; the first one counts"),
        "Remove one of them",
    );
}

/// Whether a filter may edit a header field. Framing and the connection are the proxy's own business, and
/// `Host` has a filter of its own.
fn editable(header: &str, field: &'static str) -> Result<(), Mistake> {
    if !is_token(header) {
        return Err(invalid(
            field,
            format!("\"{header}\" is not the name of a header field"),
            "Use letters, digits and -",
        ));
    }
    let lower = header.to_ascii_lowercase();
    if lower == "host" {
        return Err(invalid(
            field,
            "the Host header can't be edited".into(),
            "Use a URLRewrite filter with hostname",
        ));
    }
    if OURS.contains(&lower.as_str()) {
        return Err(invalid(
            field,
            format!(
                "header {header} belongs to the connection or to the framing of the message and can't be edited"
            ),
            "Remove it from the filter",
        ));
    }
    Ok(())
}

/// `field-value` of RFC 9110 §5.5, not empty.
fn is_field_value(value: &str) -> bool {
    let edge = |byte: Option<u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    !edge(bytes.first().copied())
        && !edge(bytes.last().copied())
        && bytes
            .iter()
            .all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// Hop-by-hop fields (RFC 9110 §7.6.1) and framing (RFC 9112 §6).
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];
