//! Requests sent again and again while something changes, and what came of them.

use crate::{Call, Connection, Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

/// Whether an answer is right.
pub type Expect = fn(&Response) -> bool;

/// A load that runs until [`Load::stop`].
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Outcome>,
}

/// What came of a load.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Requests that were answered as expected.
    pub right: u64,
    /// What went wrong otherwise, each with its request.
    pub wrong: Vec<String>,
}

impl Load {
    pub(crate) fn start(calls: Vec<(Call, Expect)>, clients: usize) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(calls));
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            tasks.spawn(client(Arc::clone(&calls), number, Arc::clone(&stop)));
        }
        Self { stop, clients: tasks }
    }

    /// Ends the load after the requests that are under way.
    pub async fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let mut total = Outcome::default();
        for outcome in self.clients.join_all().await {
            total.right += outcome.right;
            total.wrong.extend(outcome.wrong);
        }
        total
    }
}

/// One client with one connection, which it opens anew only when the gateway closed it between two requests.
async fn client(calls: Arc<Vec<(Call, Expect)>>, number: usize, stop: Arc<AtomicBool>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut connection: Option<Connection> = None;
    for (call, expect) in calls.iter().cycle().skip(number) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let opened = match connection.take() {
            Some(open) => Ok(open),
            None => call.connect().await,
        };
        let answered = match opened {
            Ok(mut open) => call.send_on(&mut open).await.map(|response| (open, response)),
            Err(error) => Err(error),
        };
        match answered {
            Ok((open, response)) if expect(&response) => {
                outcome.right += 1;
                if response.header("connection") != Some("close") {
                    connection = Some(open);
                }
            }
            Ok((_, response)) => {
                outcome
                    .wrong
                    .push(format!("{call}: {} {}", response.code(), response.text()));
            }
            Err(error) => outcome.wrong.push(format!("{call}: {error}")),
        }
        tokio::task::yield_now().await;
    }
    outcome
}
