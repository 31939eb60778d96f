//! What a request asks for, in the one spelling that rules see.

use crate::fault::Fault;
use crate::http::h1::{Fields, Name, RequestHead, Target};
use crate::http::{grpc, grpc_web};
use crate::respond::Form;
use crate::sys;
use ir::path::Path;

/// A request, read. Borrows from the bytes of its head.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub method: &'a str,
    /// Lower-case, without port; empty if there is none.
    pub host: &'a str,
    /// Host and port as sent.
    pub authority: &'a [u8],
    pub path: Path<'a>,
    /// Path as received.
    pub raw_path: &'a [u8],
    pub query: Option<&'a str>,
    pub to_head: bool,
    /// A request of gRPC.
    pub grpc: bool,
    /// One of gRPC-Web.
    pub web: Option<grpc_web::Kind>,
    /// Host or path can't be understood.
    pub fault: Option<Fault>,
}

impl<'a> Facts<'a> {
    /// Reads. The rooms are used only when host or path have to be changed.
    pub fn read(
        raw: &'a [u8],
        head: &RequestHead,
        policy: &ir::PathPolicy,
        host_room: &'a mut String,
        path_room: &'a mut String,
    ) -> Self {
        // Methods are tokens and targets are ASCII: the parser saw to it.
        let text = |bytes: &'a [u8]| sys::ascii(bytes).unwrap_or_default();
        let method = match head.method.of_bytes(raw) {
            b"GET" => "GET",
            b"POST" => "POST",
            other => text(other),
        };
        let authority = head.authority.of_bytes(raw);
        let mut fault = None;
        let host = if head.plain_host {
            text(authority)
        } else {
            router::host::normalise(authority, host_room).map_or_else(
                |_| {
                    fault = Some(Fault::BadRequest);
                    ""
                },
                |host| host.name,
            )
        };
        let raw_path = head.path.of_bytes(raw);
        let whole_server = head.form == Target::Asterisk
            // RFC 9112 §3.2.4: OPTIONS in absolute form without path and query means the server as a whole.
            || (method == "OPTIONS" && raw_path.is_empty() && head.query.is_none());
        let path = match (whole_server, raw_path.is_empty()) {
            (true, _) => Ok(Path {
                normal: "*",
                forward: "*",
            }),
            (_, true) => Ok(Path {
                normal: "/",
                forward: "/",
            }),
            _ if head.plain_path => {
                let path = text(raw_path);
                Ok(Path {
                    normal: path,
                    forward: path,
                })
            }
            _ => ir::path::read_text(text(raw_path), policy, path_room),
        };
        let path = path.unwrap_or_else(|_| {
            fault = Some(Fault::BadRequest);
            Path {
                normal: "",
                forward: "",
            }
        });
        Self {
            method,
            host,
            authority,
            path,
            raw_path,
            query: head.query.map(|query| text(query.of_bytes(raw))),
            to_head: method == "HEAD",
            web: match method {
                "POST" => grpc_web::Kind::of(&head.fields, raw),
                _ => None,
            },
            grpc: method == "POST" && grpc::is_grpc(&head.fields, raw),
            fault,
        }
    }

    /// The form in which the client understands an answer of ours.
    pub fn form(&self, fields: &Fields, raw: &[u8]) -> Form {
        match self.web {
            _ if self.grpc => Form::Grpc,
            Some(kind) => Form::GrpcWeb(kind),
            None => Form::of_accept(fields.received(raw, Name::Accept)),
        }
    }

    /// Whether doing it twice comes to the same as doing it once (RFC 9110 §9.2.2).
    pub fn is_idempotent(&self) -> bool {
        matches!(
            self.method,
            "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"
        )
    }
}
