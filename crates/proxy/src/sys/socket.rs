//! Reading and writing a socket without the C library's part in it: `recv` and `send` are points at which a thread can be
//! cancelled, and preparing for that and taking it back costs a program with several threads more instructions than
//! everything else that happens outside of the kernel. Nobody cancels threads here.

use std::ffi::{c_long, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::null;

/// Reads once. 0: the other side will send no more, or there is no room.
#[inline]
pub(crate) fn receive(from: &impl AsFd, room: &mut [u8]) -> io::Result<usize> {
    let socket = c_long::from(from.as_fd().as_raw_fd());
    // SAFETY: the descriptor is borrowed, hence open; `room` can be written to its whole length; no address is asked for.
    let count = unsafe {
        libc::syscall(
            libc::SYS_recvfrom,
            socket,
            room.as_mut_ptr(),
            room.len(),
            NO_FLAGS,
            null::<c_void>(),
            null::<c_void>(),
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Writes once, and says how much went.
#[inline]
pub(crate) fn send(to: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let socket = c_long::from(to.as_fd().as_raw_fd());
    // SAFETY: the descriptor is borrowed, hence open; `bytes` are only read; there is no address, so its length is none.
    let count = unsafe {
        libc::syscall(
            libc::SYS_sendto,
            socket,
            bytes.as_ptr(),
            bytes.len(),
            // As the standard library: an error instead of a signal where nobody reads any more.
            c_long::from(libc::MSG_NOSIGNAL),
            null::<c_void>(),
            NO_LENGTH,
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Whether there was nothing to do, by the error of a socket. It is used up: a mere kind has no memory to give back, but
/// the compiler can't know.
#[inline]
pub(crate) fn would_block(error: io::Error) -> bool {
    let would_block = error.kind() == io::ErrorKind::WouldBlock;
    if would_block {
        std::mem::forget(error);
    }
    would_block
}

const NO_FLAGS: c_long = 0;
const NO_LENGTH: c_long = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn bytes_come_as_they_went_and_errors_and_ends_are_told() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let other = listener.accept().unwrap().0;
        assert_eq!(send(&one, b"hello").unwrap(), 5);
        let mut room = [0; 16];
        assert_eq!(receive(&other, &mut room).unwrap(), 5);
        assert_eq!(&room[..5], b"hello");
        other.set_nonblocking(true).unwrap();
        let nothing = receive(&other, &mut room).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        drop(one);
        other.set_nonblocking(false).unwrap();
        assert_eq!(receive(&other, &mut room).unwrap(), 0);
        // The first one is answered with a reset, after which there is no sending.
        let broken = (0..100).find_map(|_| send(&other, b"x").err()).unwrap();
        assert!(matches!(
            broken.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
        ));
    }
}
