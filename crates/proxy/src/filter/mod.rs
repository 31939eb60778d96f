//! What happens to a request or a response besides being forwarded. Filters are compiled once, when a plan is built,
//! and sorted into the one order in which they run ([`order`]); per request they are a `match` in a loop.

pub mod cors;
pub mod headers;
pub mod https_redirect;
pub mod mirror;
pub mod order;
pub mod redirect;
pub mod rewrite;

pub use cors::{CompiledCors, CorsGrant};
pub use headers::CompiledEdit;
pub use mirror::CompiledMirror;

use crate::http::h1::Fields;
use crate::respond::Reply;
use crate::upstream::UpstreamCell;
use std::sync::Arc;

/// A filter, ready to run. Large ones are boxed: a rule's filters should lie in one cache line.
#[derive(Debug)]
pub enum CompiledFilter {
    /// To HTTPS.
    HttpsRedirect {
        /// Status of the answer.
        status: u16,
        /// Port to name; 443 is left out.
        port: u16,
    },
    /// Answers preflights and grants access.
    Cors(Box<CompiledCors>),
    /// Answers with a redirect.
    Redirect(Box<ir::Redirect>),
    /// Edits the request's fields.
    RequestHeaders(Box<CompiledEdit>),
    /// Changes host or path of the forwarded request.
    Rewrite(Box<ir::UrlRewrite>),
    /// Sends a copy elsewhere.
    Mirror(Box<CompiledMirror>),
    /// Edits the response's fields.
    ResponseHeaders(Box<CompiledEdit>),
}

/// A request as filters see it.
#[derive(Debug)]
pub struct Request<'a> {
    /// Bytes of the head.
    pub raw: &'a [u8],
    /// Method.
    pub method: &'a [u8],
    /// Fields; edits go here.
    pub fields: &'a mut Fields,
    /// `http` or `https`, as the client used it (a trusted proxy's word counts).
    pub scheme: &'a str,
    /// Host as matched.
    pub host: &'a str,
    /// Port that the client spoke to, as a trusted proxy or the socket says.
    pub port: u16,
    /// Normalised path as matched.
    pub path: &'a str,
    /// The path in the client's own spelling, as far as it is safe.
    pub own_path: &'a str,
    /// Query, raw.
    pub query: Option<&'a str>,
    /// The prefix that the rule matched, if it matched by prefix.
    pub prefix: Option<&'a str>,
}

/// What filters decided about a forwarded request.
#[derive(Debug, Default)]
pub struct Changes<'p> {
    /// Another `Host`.
    pub host: Option<&'p str>,
    /// Another path.
    pub path: Option<String>,
    /// What a CORS filter allows.
    pub cors: Option<CorsGrant<'p>>,
    /// Where copies go.
    pub mirrors: smallvec::SmallVec<[&'p Arc<UpstreamCell>; 1]>,
}

/// Compiles a rule's filters and puts them in the order in which they run. `cell` gives the cell of an upstream.
pub fn compile(
    filters: &[ir::Filter],
    cell: &mut dyn FnMut(&ir::UpstreamId) -> Arc<UpstreamCell>,
) -> Arc<[CompiledFilter]> {
    let mut ordered: Vec<&ir::Filter> = filters.iter().collect();
    // Stable: filters of the same kind keep the user's order.
    ordered.sort_by_key(|filter| order::place(filter));
    ordered
        .into_iter()
        .map(|filter| match filter {
            ir::Filter::HttpsRedirect { status, port } => CompiledFilter::HttpsRedirect {
                status: *status,
                port: *port,
            },
            ir::Filter::Cors(cors) => CompiledFilter::Cors(Box::new(CompiledCors::new(cors))),
            ir::Filter::Redirect(redirect) => CompiledFilter::Redirect(Box::new(redirect.clone())),
            ir::Filter::RequestHeaders(edit) => {
                CompiledFilter::RequestHeaders(Box::new(CompiledEdit::new(edit)))
            }
            ir::Filter::Rewrite(rewrite) => CompiledFilter::Rewrite(Box::new(rewrite.clone())),
            ir::Filter::Mirror(mirror) => CompiledFilter::Mirror(Box::new(CompiledMirror {
                cell: cell(&mirror.upstream),
                fraction: mirror.fraction,
            })),
            ir::Filter::ResponseHeaders(edit) => {
                CompiledFilter::ResponseHeaders(Box::new(CompiledEdit::new(edit)))
            }
        })
        .collect()
}

/// Runs filters on a request. A reply ends it: nothing is forwarded. `draw` gives a random number below its argument.
pub fn run<'p>(
    filters: &'p [CompiledFilter],
    request: &mut Request<'_>,
    changes: &mut Changes<'p>,
    draw: &dyn Fn(u32) -> u32,
) -> Option<Reply> {
    for filter in filters {
        match filter {
            CompiledFilter::HttpsRedirect { status, port } => {
                if let Some(reply) = https_redirect::reply(*status, *port, request) {
                    return Some(reply);
                }
            }
            CompiledFilter::Cors(cors) => match cors::check(cors, request) {
                cors::Verdict::Answer(reply) => return Some(reply),
                cors::Verdict::Forward(grant) => changes.cors = Some(grant),
            },
            CompiledFilter::Redirect(redirect) => return Some(redirect::reply(redirect, request)),
            CompiledFilter::RequestHeaders(edit) => edit.apply(request.fields, request.raw),
            CompiledFilter::Rewrite(rewrite) => rewrite::apply(rewrite, request, changes),
            CompiledFilter::Mirror(mirror) => {
                if mirror.chosen(draw) {
                    changes.mirrors.push(&mirror.cell);
                }
            }
            // On the way back.
            CompiledFilter::ResponseHeaders(_) => {}
        }
    }
    None
}

/// Runs filters on a response.
pub fn edit_response(filters: &[CompiledFilter], fields: &mut Fields, raw: &[u8]) {
    for filter in filters {
        if let CompiledFilter::ResponseHeaders(edit) = filter {
            edit.apply(fields, raw);
        }
    }
}
