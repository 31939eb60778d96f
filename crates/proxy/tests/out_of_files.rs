//! A process without a file left for one more connection. Alone in its file, because it takes all files of its process.

mod support;

use socket2::{Domain, Socket, Type};
use std::fs::File;
use std::io::{Read as _, Seek as _};
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
    let mut cpu_time = CpuTime::open();
    let files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    socket
        .connect(&address.into())
        .expect("the kernel answers by itself");
    let before = cpu_time.ticks();
    let mut client = Peer::new(socket.into());
    client
        .stream
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("a time-out");
    assert!(client.get("x.example").is_none(), "nobody can accept");
    // A worker that spins would have used nearly all of the 300 ms.
    let used = cpu_time.ticks() - before;
    drop(files);
    assert!(used < 15, "{used} hundredths of a second");
    client
        .stream
        .get_ref()
        .set_read_timeout(Some(PATIENCE))
        .expect("a time-out");
    assert_eq!(status(&client.response().expect("an answer").0), "404");
}

/// The CPU time of this process. The file stays open, for there will be none left to open it with.
struct CpuTime(File);

impl CpuTime {
    fn open() -> Self {
        Self(File::open("/proc/self/stat").expect("Linux has it"))
    }

    /// Hundredths of a second, in user space and in the kernel.
    fn ticks(&mut self) -> u64 {
        let mut stat = String::new();
        self.0.rewind().expect("a file");
        self.0.read_to_string(&mut stat).expect("text");
        let after_name = stat.rsplit(") ").next().expect("a name");
        after_name
            .split(' ')
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().expect("a number"))
            .sum()
    }
}
