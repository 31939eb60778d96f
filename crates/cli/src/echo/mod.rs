//! A backend for trying things out: answers with JSON of what it received, or does what the end of the path says.

mod answer;
mod body;
mod builtin;
mod websocket;

pub use builtin::{Builtin, Imagined};

use crate::exit::Exit;
use crate::flags;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Who an echo backend says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Namespace of the Service it stands for.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
}

/// `narthex echo`: serves until the process is told to end.
pub fn run(flags: &flags::Echo) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("error: can't start: {error}");
            return Exit::NotListening;
        }
    };
    runtime.block_on(async {
        let listener = match TcpListener::bind(flags.listen).await {
            Ok(listener) => listener,
            Err(error) => {
                anstream::eprintln!("error: can't listen on {}: {error}", flags.listen);
                return Exit::NotListening;
            }
        };
        let address = listener.local_addr().unwrap_or(flags.listen);
        anstream::println!("listening on http://{address}, try: curl http://{address}/hello?a=1");
        let identity = Identity {
            namespace: flags.namespace.clone(),
            service: flags.service.clone(),
        };
        tokio::select! {
            () = serve(listener, Arc::new(identity)) => {}
            () = crate::signals::first() => {}
        }
        Exit::Success
    })
}

/// Answers every connection, each in a task of its own, until the future is dropped.
pub async fn serve(listener: TcpListener, identity: Arc<Identity>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, or a client that was gone at once: the next one may fare better.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        // Small answers must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let identity = Arc::clone(&identity);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let identity = Arc::clone(&identity);
                async move { Ok::<_, Infallible>(answer::answer(request, &identity).await) }
            });
            // HTTP/2 for who begins with its preface.
            let mut server = Builder::new(TokioExecutor::new());
            server
                .http1()
                .timer(TokioTimer::new())
                // As many as the gate lets in by default, and those that it adds.
                .max_headers(200);
            server.http2().timer(TokioTimer::new()).enable_connect_protocol();
            let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
            // A client that goes away in the middle is none of our business.
            let _ = connection.await;
        });
    }
}
