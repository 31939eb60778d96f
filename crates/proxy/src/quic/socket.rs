//! The UDP socket of one worker's endpoint. What comes to it and belongs to another worker's connection is handed over.

use super::{Secrets, Signs};
use crate::l4::udp;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// A socket that was opened for a worker, and its ways to the others.
#[derive(Debug)]
pub struct Opened {
    /// The socket.
    pub socket: std::net::UdpSocket,
    /// What all workers share.
    pub secrets: Arc<Secrets>,
    /// Its place among the sockets of the address, which connection ids tell.
    pub place: u16,
    inbox: mpsc::Receiver<Datagram>,
    peers: Arc<[mpsc::Sender<Datagram>]>,
}

/// What came to another worker's socket.
#[derive(Debug)]
struct Datagram {
    bytes: Box<[u8]>,
    meta: RecvMeta,
}

/// Opens a socket for each worker.
pub fn open(
    address: ir::BindAddress,
    workers: usize,
    alone: bool,
    secrets: &Arc<Secrets>,
) -> io::Result<Vec<Opened>> {
    let sockets = udp::open(address, workers, alone)?;
    let (peers, inboxes): (Vec<_>, Vec<_>) = sockets.iter().map(|_| mpsc::channel(HANDED_OVER)).unzip();
    let peers: Arc<[_]> = peers.into();
    let opened = (0..)
        .zip(sockets)
        .zip(inboxes)
        .map(|((place, socket), inbox)| Opened {
            socket,
            place,
            secrets: Arc::clone(secrets),
            inbox,
            peers: Arc::clone(&peers),
        });
    Ok(opened.collect())
}

/// As an endpoint uses it.
#[derive(Debug)]
pub struct Steered {
    socket: Arc<dyn AsyncUdpSocket>,
    signs: Signs,
    place: u16,
    /// Locked by its own worker alone.
    inbox: Mutex<mpsc::Receiver<Datagram>>,
    peers: Arc<[mpsc::Sender<Datagram>]>,
}

impl Opened {
    /// Takes it into a worker's event loop. `wrap` does so with the socket.
    pub fn steer(
        self,
        wrap: impl FnOnce(std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>>,
    ) -> io::Result<Arc<Steered>> {
        Ok(Arc::new(Steered {
            socket: wrap(self.socket)?,
            signs: self.secrets.signs().clone(),
            place: self.place,
            inbox: Mutex::new(self.inbox),
            peers: self.peers,
        }))
    }
}

impl Steered {
    /// Hands over what belongs to others, and closes the gaps. Several datagrams of one sender may be in one buffer (GRO),
    /// all of one length but for the last.
    fn sort(&self, buffer: &mut [u8], meta: &mut RecvMeta) {
        let (mut at, mut kept) = (0, 0);
        while at < meta.len {
            let end = (at + meta.stride.max(1)).min(meta.len);
            match self.owner(&buffer[at..end]) {
                Some(peer) => {
                    let datagram = Datagram {
                        bytes: buffer[at..end].into(),
                        meta: RecvMeta {
                            len: end - at,
                            stride: end - at,
                            ..*meta
                        },
                    };
                    // A worker that has no time for it is a network that loses it.
                    let _ = peer.try_send(datagram);
                }
                None => {
                    buffer.copy_within(at..end, kept);
                    kept += end - at;
                }
            }
            at = end;
        }
        meta.len = kept;
    }

    /// The other worker to which a datagram belongs.
    fn owner(&self, datagram: &[u8]) -> Option<&mpsc::Sender<Datagram>> {
        let place = self.signs.of_datagram(datagram)?;
        self.peers.get(usize::from(place)).filter(|_| place != self.place)
    }

    fn poll_inbox(&self, cx: &mut Context<'_>) -> Option<Datagram> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        match inbox.poll_recv(cx) {
            Poll::Ready(datagram) => datagram,
            Poll::Pending => None,
        }
    }
}

impl AsyncUdpSocket for Steered {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.peers.len() < 2 {
            return self.socket.poll_recv(cx, buffers, metas);
        }
        if let (Some(datagram), Some(buffer), Some(meta)) =
            (self.poll_inbox(cx), buffers.first_mut(), metas.first_mut())
        {
            let room = buffer.get_mut(..datagram.bytes.len());
            *meta = datagram.meta;
            match room {
                Some(room) => room.copy_from_slice(&datagram.bytes),
                None => meta.len = 0,
            }
            return Poll::Ready(Ok(1));
        }
        loop {
            let count = ready!(self.socket.poll_recv(cx, buffers, metas))?;
            let mut own = count == 0;
            for (buffer, meta) in buffers.iter_mut().zip(metas.iter_mut()).take(count) {
                self.sort(buffer, meta);
                own |= meta.len > 0;
            }
            if own {
                return Poll::Ready(Ok(count));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// Datagrams that may wait for another worker.
const HANDED_OVER: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quic::cid::Ids;
    use quinn::ConnectionIdGenerator as _;
    use std::collections::VecDeque;
    use std::task::Waker;

    /// What the kernel would have: buffers with datagrams of one length each.
    #[derive(Debug, Default)]
    struct Kernel(Mutex<VecDeque<(Vec<u8>, usize)>>);

    impl AsyncUdpSocket for Kernel {
        fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
            unreachable!("nothing is sent")
        }

        fn try_send(&self, _: &Transmit<'_>) -> io::Result<()> {
            Ok(())
        }

        fn poll_recv(
            &self,
            _: &mut Context<'_>,
            buffers: &mut [IoSliceMut<'_>],
            metas: &mut [RecvMeta],
        ) -> Poll<io::Result<usize>> {
            let Some((bytes, stride)) = self.0.lock().unwrap().pop_front() else {
                return Poll::Pending;
            };
            buffers[0][..bytes.len()].copy_from_slice(&bytes);
            metas[0] = RecvMeta {
                len: bytes.len(),
                stride,
                ..RecvMeta::default()
            };
            Poll::Ready(Ok(1))
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok(([127, 0, 0, 1], 1).into())
        }
    }

    fn receive(socket: &Steered) -> Option<Vec<u8>> {
        let (mut room, mut metas) = ([0; 2000], [RecvMeta::default()]);
        let mut cx = Context::from_waker(Waker::noop());
        match socket.poll_recv(&mut cx, &mut [IoSliceMut::new(&mut room)], &mut metas) {
            Poll::Ready(Ok(1)) => Some(room[..metas[0].len].to_vec()),
            _ => None,
        }
    }

    #[test]
    fn what_belongs_to_others_is_handed_over_and_the_rest_closes_up() {
        let secrets = Arc::<Secrets>::default();
        let (peers, inboxes): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::channel(HANDED_OVER)).unzip();
        let peers: Arc<[_]> = peers.into();
        let kernels: Vec<Arc<Kernel>> = (0..3).map(|_| Arc::default()).collect();
        let sockets: Vec<Steered> = (0..)
            .zip(inboxes)
            .map(|(place, inbox)| Steered {
                socket: Arc::clone(&kernels[usize::from(place)]) as Arc<dyn AsyncUdpSocket>,
                signs: secrets.signs().clone(),
                place,
                inbox: Mutex::new(inbox),
                peers: Arc::clone(&peers),
            })
            .collect();
        let mut ids = [0, 1, 2].map(|place| Ids {
            signs: secrets.signs().clone(),
            place,
        });
        let mut packet = |place: usize, mark: u8, length: usize| {
            let mut packet = [&[0x40][..], &ids[place].generate_cid(), &[mark]].concat();
            packet.resize(length, 7);
            packet
        };
        let (a, b, c, d) = (
            packet(1, 1, 60),
            packet(0, 2, 60),
            packet(2, 3, 60),
            packet(1, 4, 40),
        );
        // One buffer, as GRO gives it: the last datagram is shorter.
        let all = [a.clone(), b.clone(), c.clone(), d.clone()].concat();
        kernels[1].0.lock().unwrap().push_back((all, 60));
        // A first packet of a client has an id that is none of ours.
        let stranger = [&[0xc0, 0, 0, 0, 1, 8][..], &[9; 50]].concat();
        kernels[1].0.lock().unwrap().push_back((stranger.clone(), 56));
        // All of it is for another.
        kernels[1].0.lock().unwrap().push_back((packet(0, 5, 60), 60));
        assert_eq!(receive(&sockets[1]), Some([a, d].concat()));
        assert_eq!(receive(&sockets[1]), Some(stranger));
        assert_eq!(receive(&sockets[1]), None);
        assert_eq!(receive(&sockets[0]), Some(b));
        assert_eq!(receive(&sockets[0]).map(|packet| packet.len()), Some(60));
        assert_eq!(receive(&sockets[0]), None);
        assert_eq!(receive(&sockets[2]), Some(c));
    }
}
