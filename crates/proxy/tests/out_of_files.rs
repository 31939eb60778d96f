//! A process without a file left for one more connection. Alone in its file, because it takes all files of its process.

mod support;

use socket2::{Domain, Socket, Type};
use std::fs::File;
use std::time::Duration;
use support::*;

#[test]
fn without_files_a_worker_neither_spins_nor_dies_and_goes_on_when_there_are_some_again() {
    let plane = Plane::start(1);
    let routes = vec![status_route("*", 404)];
    let address = plane.serve(&snapshot(
        vec![bind(
            0,
            ir::Transport::Http,
            vec![listener(pattern("*"), vec![], routes)],
        )],
        vec![],
        vec![],
    ));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let cpu_time = cpu_ticks();
    let files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    socket
        .connect(&address.into())
        .expect("the kernel answers by itself");
    let mut client = Peer::new(socket.into());
    client
        .stream
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("a time-out");
    assert!(client.get("x.example").is_none(), "nobody can accept");
    // A worker that spins would have used nearly all of the 300 ms.
    drop(files);
    assert!(
        cpu_ticks() - cpu_time < 25,
        "{} hundredths of a second",
        cpu_ticks() - cpu_time
    );
    client
        .stream
        .get_ref()
        .set_read_timeout(Some(PATIENCE))
        .expect("a time-out");
    assert_eq!(status(&client.response().expect("an answer").0), "404");
}

/// Hundredths of a second of user time that this process has used.
fn cpu_ticks() -> u64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return 0;
    };
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let field = |index: usize| {
        after_name
            .split(' ')
            .nth(index)
            .and_then(|text| text.parse::<u64>().ok())
    };
    field(11).unwrap_or(0)
}
