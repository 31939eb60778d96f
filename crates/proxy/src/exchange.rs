//! One request and its response: the table of contents of the data plane.
//!
//! [`serve`] is the life of a connection, [`exchange`] the life of a request on it. The phases are next door:
//! `facts` (what is asked for), `decide` (rule and filters), `forward` (sending it on), `again` (doing so once more),
//! `relay` (both bodies at once), `answer` (the response's head), `mirror`, `record`, and `session` for what is the
//! connection's.

mod again;
mod announce;
mod answer;
mod cancel;
mod decide;
mod facts;
mod forward;
mod mirror;
mod record;
mod relay;
mod session;
mod streams;

pub(crate) use answer::connection_line;
pub(crate) use streams::serve_http3 as serve_quic;

use crate::connection::{Alpn, Downstream, Idle, Wait};
use crate::fault::Fault;
use crate::filter::cors;
use crate::forwarded;
use crate::http::buffer::Buffer;
use crate::http::grpc;
use crate::http::grpc_web::Web;
use crate::http::h1::{BodyLength, BodyReader, BodyWriter, Name, RequestHead};
use crate::plan::CompiledRule;
use crate::respond::{Asked, Reply};
use crate::worker::WorkerState;
use decide::Step;
use facts::Facts;
use forward::{Forward, Forwarded};
use record::Record;
use relay::Upload;
use session::{Arrival, End, Session, Work};
use std::rc::Rc;

/// Serves a connection until it closes.
pub async fn serve(worker: Rc<WorkerState>, downstream: Downstream) {
    if downstream
        .tls
        .as_ref()
        .is_some_and(|tls| tls.alpn == Some(Alpn::Http2))
    {
        return Box::pin(streams::serve(worker, downstream, Buffer::default())).await;
    }
    let mut session = Session::new(worker, downstream);
    loop {
        let until = session.idle_until();
        match session.downstream.idle(&session.worker, until, Wait::Long).await {
            // Boxed, and let go of when no request comes for a while: what exchanges need is many times as large as
            // what waiting for them needs.
            Idle::Readable => match Box::pin(serve_while_busy(&mut session)).await {
                Over::No => {}
                Over::Yes => return,
                Over::Preface => {
                    let Session {
                        worker,
                        downstream,
                        input,
                        ..
                    } = session;
                    return Box::pin(streams::serve(worker, downstream, input)).await;
                }
            },
            Idle::Close | Idle::TimedOut | Idle::Cold => return Box::pin(session.close()).await,
        }
    }
}

/// Serves one request after the other, as long as they come soon.
async fn serve_while_busy(session: &mut Session) -> Over {
    loop {
        let mut work = Work::take();
        let after = match session.read_head(&mut work).await {
            // Nothing came after all (TLS has records of its own): wait on, without buffers.
            Arrival::Nothing => After::Continue,
            Arrival::Gone => After::Close,
            Arrival::Bad(fault) => refuse(session, &mut work, fault).await,
            Arrival::Request => exchange(session, &mut work).await,
            Arrival::Preface => {
                work.give_back();
                return Over::Preface;
            }
        };
        work.give_back();
        match after {
            After::Continue => {}
            After::Close => {
                session.close().await;
                return Over::Yes;
            }
            After::Linger => {
                session.linger().await;
                return Over::Yes;
            }
            After::Cut => {
                session.cut();
                return Over::Yes;
            }
        }
        if session.input.is_empty() {
            let until = session.idle_until();
            match session.downstream.idle(&session.worker, until, Wait::Short).await {
                Idle::Readable => {}
                Idle::Cold => return Over::No,
                Idle::Close | Idle::TimedOut => {
                    session.close().await;
                    return Over::Yes;
                }
            }
        }
    }
}

/// Whether a connection has ended.
enum Over {
    No,
    Yes,
    /// It goes on as HTTP/2.
    Preface,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// The next request.
    Continue,
    /// Closed in order.
    Close,
    /// Closed, but read for a while: the client is still sending and would lose our answer to a reset.
    Linger,
    /// Reset: the client must see that something is missing.
    Cut,
}

/// One request, from its head on.
async fn exchange(session: &mut Session, work: &mut Work) -> After {
    let worker = Rc::clone(&session.worker);
    let plan = worker.plan();
    let Work {
        raw,
        head,
        response,
        to_upstream,
        from_upstream,
        to_client,
        host_room,
        path_room,
        request_id,
    } = work;
    let raw = raw.filled();
    let mut record = Record::new(session.began, raw.len() as u64);
    let mut upload = Upload::of(head, &plan.http.limits);
    let mut close = session.closes_after(head, &plan.http);

    // What is asked for, and by whom.
    let facts = Facts::read(raw, head, &plan.http.path, host_room, path_room);
    let client = forwarded::client(&session.ends, &plan.http, &head.fields, raw);
    forwarded::request_id(&client, &head.fields, raw, || worker.random.bits(), request_id);

    // Rule, filters, backend. Filters may have edited the fields afterwards.
    let tls = session.downstream.tls.as_deref();
    let mut decision = match plan.socket(session.downstream.slot) {
        Some(socket) => decide::decide(&worker, socket, tls, &facts, &client, raw, head, &plan.http),
        None => {
            close = true;
            decide::Decision::fault(Fault::NoRoute)
        }
    };
    record.found = decision.found;
    let alternative = announce::alternative(&plan, &session.downstream, facts.authority);

    // Not moved out: it is large.
    let (reply, fault) = match &mut decision.step {
        Step::Reply(reply, fault) => (std::mem::take(reply), *fault),
        Step::Forward(order) => {
            let grant = order.changes.cors.clone();
            let mut web = translated(order.rule, &facts, head, raw, &mut upload);
            let mut forward = Forward {
                worker: &worker,
                session: &mut *session,
                settings: &plan.http,
                raw,
                head,
                response,
                to_upstream,
                from_upstream,
                to_client: &mut *to_client,
                facts: &facts,
                client: &client,
                received: std::mem::take(&mut decision.received),
                request_id,
                upload: &mut upload,
                web: &mut web,
                record: &mut record,
                close,
                alternative: alternative.as_deref(),
            };
            match forward.run(order).await {
                Ok(Forwarded::Complete { close }) => {
                    let after = match settled(session, &upload, close) {
                        Some(after) => after,
                        None => settle_body(session, &mut upload, close).await,
                    };
                    record.finish(session, head, &facts, &client, raw, request_id, None);
                    return after;
                }
                Ok(Forwarded::Tunnelled) => {
                    record.finish(session, head, &facts, &client, raw, request_id, None);
                    // A client that is still sending would lose the last word to a reset.
                    return After::Linger;
                }
                Err(fault) if fault.status() == NOBODY => {
                    record.finish(session, head, &facts, &client, raw, request_id, Some(fault));
                    return After::Cut;
                }
                Err(fault) if record.figures.answered && record.figures.bytes_out > 0 => {
                    // A body of a known length can't end before.
                    let told = facts.grpc && !response.fields.has(Name::ContentLength);
                    let told = match web.as_mut().filter(|web| web.writes()) {
                        Some(web) => {
                            web.end(Some(&grpc::trailer(fault)), to_client);
                            Told::Already
                        }
                        None if told => Told::Trailer(fault),
                        None => Told::No,
                    };
                    let after = truncate(session, to_client, &mut record, told).await;
                    record.finish(session, head, &facts, &client, raw, request_id, Some(fault));
                    return after;
                }
                Err(fault) => {
                    // Nothing of the final response has left yet: a clear answer is better than a torn one. Interim ones
                    // may be half out, and then the other half must go before it.
                    if record.figures.bytes_out == 0 {
                        to_client.clear();
                    }
                    let mut reply = Reply::fault(fault, fault.status());
                    if let Some(grant) = &grant {
                        cors::allow_reply(grant, &mut reply);
                    }
                    (reply, Some(fault))
                }
            }
        }
    };

    // An answer of our own.
    close |= !is_droppable(&upload) || fault.is_some_and(leaves_framing_unsure);
    close |= worker.draining() || session.downstream.control.closing();
    let asked = Asked {
        to_head: facts.to_head,
        form: facts.form(&head.fields, raw),
        request_id: std::str::from_utf8(request_id).unwrap_or_default(),
        server: plan.http.server_header.as_deref(),
        alternative: alternative.as_deref(),
        connection: connection_line(close, head.version),
    };
    record.figures.body_out += reply.write(&asked, to_client);
    record.status = reply.sent_code(asked.form);
    let sent = session
        .answer(to_client, response, &mut record.figures.bytes_out)
        .await;
    let after = match sent {
        Ok(()) if fault.is_some_and(leaves_framing_unsure) => After::Linger,
        Ok(()) => settle_body(session, &mut upload, close).await,
        Err(_) => After::Cut,
    };
    record.finish(session, head, &facts, &client, raw, request_id, fault);
    after
}

/// The response broke off. What came of it goes out; its framing shows the client that the rest is missing, and where
/// the end of the connection is the only framing, a reset does. A call of gRPC is told the reason: out of a reset, clients
/// would make a mistake of the server's (grpc/doc/PROTOCOL-HTTP2.md, "Errors"), and not one after which to try again.
async fn truncate(
    session: &mut Session,
    to_client: &mut Buffer,
    record: &mut Record<'_>,
    told: Told,
) -> After {
    let multiplexed = session.downstream.stream.is_multiplexed();
    if let (Told::Trailer(fault), true) = (told, multiplexed) {
        session.downstream.stream.set_trailer(grpc::trailer(fault));
    }
    if told == Told::Already || told != Told::No && multiplexed {
        let sent = session
            .send(to_client, &mut record.figures.bytes_out, End::Yes)
            .await;
        return if sent.is_ok() { After::Close } else { After::Cut };
    }
    let sent = session
        .send(to_client, &mut record.figures.bytes_out, End::No)
        .await;
    if sent.is_err() || record.figures.until_close || session.downstream.stream.is_multiplexed() {
        After::Cut
    } else {
        After::Close
    }
}

/// How a client hears of the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Not at all.
    No,
    /// By what was written last.
    Already,
    /// By trailer fields, where there can be some.
    Trailer(Fault),
}

/// A rule for gRPC answers gRPC-Web as well: from here on the request is one of gRPC.
fn translated(
    rule: &CompiledRule,
    facts: &Facts<'_>,
    head: &mut RequestHead,
    raw: &[u8],
    upload: &mut Upload,
) -> Option<Box<Web>> {
    let kind = facts.web.filter(|_| rule.grpc)?;
    let web = Web::of_request(kind, &mut head.fields, raw);
    head.trailers = true;
    if kind.is_text() && head.body != BodyLength::Empty {
        head.body = BodyLength::Stream(None);
        upload.writer = BodyWriter::Chunked;
    }
    Some(Box::new(web))
}

/// Answers what could not be read as a request.
async fn refuse(session: &mut Session, work: &mut Work, fault: Fault) -> After {
    let plan = session.worker.plan();
    let asked = Asked {
        server: plan.http.server_header.as_deref(),
        connection: b"Connection: close\r\n",
        ..Asked::default()
    };
    let mut record = Record::new(session.began, session.input.len() as u64);
    record.figures.body_out += Reply::fault(fault, fault.status()).write(&asked, &mut work.to_client);
    record.status = fault.status();
    let sent = session
        .answer(
            &mut work.to_client,
            &mut work.response,
            &mut record.figures.bytes_out,
        )
        .await;
    record.finish_unread(session, fault);
    if sent.is_ok() { After::Linger } else { After::Cut }
}

/// The response is out: what comes next, if nothing is left of the request's body.
#[inline]
fn settled(session: &Session, upload: &Upload, close: bool) -> Option<After> {
    upload.body.ended().then(|| {
        if !close {
            After::Continue
        } else if session.input.is_empty() {
            After::Close
        } else {
            After::Linger
        }
    })
}

/// The response is out: what is left of the request's body is dropped, if it is little.
async fn settle_body(session: &mut Session, upload: &mut Upload, close: bool) -> After {
    if let Some(after) = settled(session, upload, close) {
        return after;
    }
    if close || !is_droppable(upload) {
        return After::Linger;
    }
    match session.drop_body(&mut upload.body).await {
        Ok(()) => After::Continue,
        Err(_) => After::Linger,
    }
}

/// Whether reading the rest of the body costs less than a new connection.
fn is_droppable(upload: &Upload) -> bool {
    match upload.body {
        BodyReader::Ended | BodyReader::Trailed(_) => true,
        BodyReader::Length(left) => left <= relay::ROOM as u64 && !upload.expects_continue,
        BodyReader::Chunked(_) | BodyReader::UntilClose => false,
    }
}

/// After these, nobody can say where the next request begins.
fn leaves_framing_unsure(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::BadRequest
            | Fault::BadRequestBody
            | Fault::BodyTooLarge
            | Fault::SlowBody
            | Fault::Misdirected
    )
}

/// Status of faults that leave nobody to answer.
const NOBODY: u16 = 499;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_costs_little_while_it_waits() {
        fn size<F>(_: impl Fn(Rc<WorkerState>, Downstream) -> F) -> usize {
            size_of::<F>()
        }
        let size = size(serve);
        assert!(size <= 1024, "the future of a connection takes {size} bytes");
    }
}
