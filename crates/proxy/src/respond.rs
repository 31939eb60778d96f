//! Answers of our own: the only place that turns a fault or a filter's answer into bytes.
//!
//! Small, in the form that the client asks for (HTML, JSON, else plain text), with the request's id so that a user's
//! screenshot leads to the log line, and without a product name or version.

use crate::fault::Fault;
use crate::http::buffer::Buffer;
use crate::http::date;
use crate::http::h1::write;
use crate::http::{grpc, grpc_web};

/// An answer that is not an upstream's.
#[derive(Debug, Default)]
pub struct Reply {
    status: u16,
    fields: Vec<(&'static str, Vec<u8>)>,
    body: Content,
    /// The fault that it is for, and its code.
    fault: Option<Fault>,
    code: &'static str,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Content {
    /// None at all.
    #[default]
    Empty,
    /// The status and what it means.
    Status,
}

/// Forms of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// `text/plain`
    #[default]
    Plain,
    /// `text/html`
    Html,
    /// `application/json`
    Json,
    /// What clients of gRPC understand: no body, all in the fields.
    Grpc,
    /// The same for gRPC-Web, whose clients find the status in the fields if nothing follows.
    GrpcWeb(grpc_web::Kind),
}

/// What an answer needs to know about the request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The request's method was HEAD.
    pub to_head: bool,
    /// Form of the body.
    pub form: Form,
    /// The request's id; empty if it never got one.
    pub request_id: &'a str,
    /// Value of `Server`, if there shall be one.
    pub server: Option<&'a str>,
    /// Value of `Alt-Svc`, if there shall be one.
    pub alternative: Option<&'a str>,
    /// Line about the connection's future, with its line end, or nothing.
    pub connection: &'static [u8],
}

impl Reply {
    /// For a fault, with its own status or another that the configuration wants.
    pub fn fault(fault: Fault, status: u16) -> Self {
        let mut reply = Self {
            status,
            fields: Vec::new(),
            body: Content::Status,
            fault: Some(fault),
            code: fault.code(),
        };
        // RFC 9110 §15.5.6: a 405 names the methods that are allowed; for a gateway that is everything but CONNECT.
        if fault == Fault::ConnectRefused {
            reply.field("Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        }
        reply
    }

    /// A status with its usual body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            fields: Vec::new(),
            body: Content::Status,
            fault: None,
            code: "",
        }
    }

    /// A status and nothing else.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            fields: Vec::new(),
            body: Content::Empty,
            fault: None,
            code: "",
        }
    }

    /// A redirect. Characters that can't stand in a field are dropped from the location; there are none in a
    /// normal path.
    pub fn redirect(status: u16, location: String) -> Self {
        let mut reply = Self::status(status);
        let mut location = location.into_bytes();
        location.retain(|byte| matches!(byte, 0x21..=0x7e));
        reply.fields.push(("Location", location));
        reply
    }

    /// Adds a field.
    pub fn field(&mut self, name: &'static str, value: &[u8]) {
        self.fields.push((name, value.to_vec()));
    }

    /// Its status.
    pub fn code(&self) -> u16 {
        self.status
    }

    /// The status as it is sent.
    pub fn sent_code(&self, form: Form) -> u16 {
        if form.is_grpc() { 200 } else { self.status }
    }

    /// Writes the answer. Gives the length of its body.
    pub fn write(&self, asked: &Asked<'_>, out: &mut Buffer) -> u64 {
        if asked.form.is_grpc() {
            self.write_grpc(asked, out);
            return 0;
        }
        write::status_line(out, self.status, b"");
        date::write_field(out, crate::time::Instant::now());
        if let Some(server) = asked.server {
            write::field(out, b"Server", server.as_bytes());
        }
        if let Some(alternative) = asked.alternative {
            write::field(out, b"Alt-Svc", alternative.as_bytes());
        }
        for (name, value) in &self.fields {
            write::field(out, name.as_bytes(), value);
        }
        let body = match self.body {
            Content::Empty => String::new(),
            Content::Status => self.text(asked),
        };
        if !body.is_empty() {
            write::field(out, b"Content-Type", asked.form.media_type().as_bytes());
        }
        // RFC 9110 §8.6: no length on a 204.
        if self.status != 204 {
            out.extend(b"Content-Length: ");
            write::decimal(out, body.len() as u64);
            out.extend(b"\r\n");
        }
        if self.status >= 400 {
            out.extend(b"Cache-Control: no-store\r\n");
        }
        out.extend(asked.connection);
        out.extend(b"\r\n");
        if asked.to_head {
            return 0;
        }
        out.extend(body.as_bytes());
        body.len() as u64
    }

    /// "Trailers-Only" of grpc/doc/PROTOCOL-HTTP2.md: the status in the fields, and nothing behind them.
    fn write_grpc(&self, asked: &Asked<'_>, out: &mut Buffer) {
        write::status_line(out, 200, b"");
        date::write_field(out, crate::time::Instant::now());
        write::field(out, b"Content-Type", asked.form.media_type().as_bytes());
        let mut digits = itoa::Buffer::new();
        let code = grpc::code(self.status, self.fault);
        write::field(out, b"grpc-status", digits.format(code).as_bytes());
        let reason = write::reason_of(self.status);
        let text = match (self.code, asked.request_id) {
            ("", _) => reason.to_owned(),
            (code, "") => format!("{reason} ({code})"),
            (code, id) => format!("{reason} ({code}, request {id})"),
        };
        write::field(out, b"grpc-message", grpc::message(&text).as_bytes());
        out.extend(b"Content-Length: 0\r\n");
        out.extend(asked.connection);
        out.extend(b"\r\n");
    }

    fn text(&self, asked: &Asked<'_>) -> String {
        let (status, reason) = (self.status, write::reason_of(self.status));
        let id = asked.request_id;
        match asked.form {
            Form::Json => {
                serde_json::json!({
                    "status": status,
                    "reason": reason,
                    "code": self.code,
                    "requestId": id,
                })
                .to_string()
                    + "\n"
            }
            Form::Html => {
                let title = escape(&format!("{status} {reason}"));
                let id = match id {
                    "" => String::new(),
                    id => format!("<p><small>{}</small></p>", escape(id)),
                };
                format!(
                    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
                     <body style=\"font-family:sans-serif;text-align:center;padding:4em\"><h1>{title}</h1>{id}</body></html>\n"
                )
            }
            Form::Plain | Form::Grpc | Form::GrpcWeb(_) => match id {
                "" => format!("{status} {reason}\n"),
                id => format!("{status} {reason}\nrequest {id}\n"),
            },
        }
    }
}

impl Form {
    /// What an `Accept` field prefers among our three, in order of its list; without one, or with `*/*` alone: plain
    /// text.
    pub fn of_accept(accept: Option<&[u8]>) -> Self {
        let Some(accept) = accept else { return Self::Plain };
        for element in crate::http::h1::fields::elements(accept) {
            let media = element
                .split(|&byte| byte == b';')
                .next()
                .unwrap_or(element)
                .trim_ascii();
            if media.eq_ignore_ascii_case(b"text/html")
                || media.eq_ignore_ascii_case(b"application/xhtml+xml")
            {
                return Self::Html;
            }
            if media.eq_ignore_ascii_case(b"application/json")
                || media.len() > 5 && media[media.len() - 5..].eq_ignore_ascii_case(b"+json")
            {
                return Self::Json;
            }
            if media.eq_ignore_ascii_case(b"text/plain") {
                return Self::Plain;
            }
        }
        Self::Plain
    }

    /// Whether it has a status of gRPC.
    pub fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::GrpcWeb(_))
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; charset=utf-8",
            Self::Grpc => grpc::MEDIA_TYPE,
            Self::GrpcWeb(kind) => kind.media_type(),
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply, asked: &Asked<'_>) -> String {
        let mut out = Buffer::default();
        reply.write(asked, &mut out);
        String::from_utf8(out.filled().to_vec()).expect("text")
    }

    #[test]
    fn the_form_follows_accept() {
        for (accept, form) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Html),
            ("application/json", Form::Json),
            ("application/problem+json", Form::Json),
            ("*/*", Form::Plain),
            ("image/png, text/plain", Form::Plain),
        ] {
            assert_eq!(Form::of_accept(Some(accept.as_bytes())), form, "{accept}");
        }
    }

    #[test]
    fn a_fault_is_told_with_the_request_id_and_without_a_product_name() {
        for form in [Form::Plain, Form::Html, Form::Json] {
            let asked = Asked {
                form,
                request_id: "0123<b>",
                ..Asked::default()
            };
            let text = written(&Reply::fault(Fault::NoEndpoints, 503), &asked);
            assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
            assert!(text.contains("0123") && !text.to_lowercase().contains("narthex"));
            assert!(form != Form::Html || text.contains("0123&lt;b&gt;"));
        }
    }

    #[test]
    fn an_answer_to_head_has_the_length_but_not_the_body() {
        let asked = Asked {
            to_head: true,
            ..Asked::default()
        };
        let text = written(&Reply::status(404), &asked);
        assert!(text.contains("Content-Length: 14\r\n") && text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_location_can_not_break_out_of_its_field() {
        let text = written(
            &Reply::redirect(302, "http://a/\r\nSet-Cookie: x".into()),
            &Asked::default(),
        );
        assert!(text.contains("Location: http://a/Set-Cookie:x\r\n"));
    }
}
