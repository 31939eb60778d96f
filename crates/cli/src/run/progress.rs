//! Says that loading takes a while, on a terminal only.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Waits for `loading`, and shows from the first second on how long it has taken so far.
pub async fn shown<T>(loading: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let mut loading = std::pin::pin!(loading);
    if !std::io::stderr().is_terminal() {
        return loading.await;
    }
    let mut said = false;
    loop {
        match tokio::time::timeout(Duration::from_secs(1), &mut loading).await {
            Ok(loaded) => {
                if said {
                    say("\r\x1b[K");
                }
                return loaded;
            }
            Err(_) => {
                said = true;
                say(&format!("\rloading … {} s", started.elapsed().as_secs()));
            }
        }
    }
}

fn say(text: &str) {
    let mut err = std::io::stderr().lock();
    // A terminal that is gone needs no progress.
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
