//! Where frames of a WebSocket begin and end (RFC 6455 §5.2), so that a last word of ours can be put behind a message.

/// Follows the frames of one direction. Looks at their heads alone.
#[derive(Debug, Default)]
pub struct Frames {
    /// The head at hand, as far as it is there.
    head: [u8; LONGEST_HEAD],
    held: usize,
    /// Bytes of the frame at hand that are still to come.
    left: u64,
    /// A message has begun, and its last frame has not ended.
    within: bool,
    closed: bool,
}

impl Frames {
    /// Whether everything so far was whole messages.
    pub fn is_between(&self) -> bool {
        self.held == 0 && !self.within
    }

    /// Whether that side has said good-bye itself.
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// Follows what comes next. Gives how much of it there is up to the end of the last whole message, if one ended in it.
    pub fn follow(&mut self, bytes: &[u8]) -> Option<usize> {
        let (mut at, mut end) = (0, None);
        while at < bytes.len() {
            if self.left == 0 {
                self.head[self.held] = bytes[at];
                self.held += 1;
                at += 1;
                let Some(left) = self.behind_head() else { continue };
                self.left = left;
            }
            let skipped = self.left.min((bytes.len() - at) as u64);
            self.left -= skipped;
            at += skipped as usize;
            if self.left == 0 {
                self.end_frame();
                if self.is_between() {
                    end = Some(at);
                }
            }
        }
        end
    }

    /// How many bytes follow the head, if all of it is there.
    fn behind_head(&self) -> Option<u64> {
        let head = &self.head[..self.held];
        let second = *head.get(1)?;
        let (length, size) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([*head.get(2)?, *head.get(3)?])), 4),
            127 => {
                let bytes = head.get(2..10)?;
                let length = bytes
                    .iter()
                    .fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
                (length, 10)
            }
            short => (u64::from(short), 2),
        };
        let size = if second & 0x80 == 0 { size } else { size + 4 };
        (head.len() == size).then_some(length)
    }

    fn end_frame(&mut self) {
        self.held = 0;
        let (last, kind) = (self.head[0] & 0x80 != 0, self.head[0] & 0x0f);
        match kind {
            // Control frames may come between the frames of a message (§5.4).
            8.. => self.closed |= kind == CLOSE,
            _ => self.within = !last,
        }
    }
}

/// A server's frame that says that it is going away (RFC 6455 §5.5.1, §7.4.1).
pub const GOING_AWAY: [u8; 4] = [0x80 | CLOSE, 2, CODE[0], CODE[1]];
const CODE: [u8; 2] = 1001_u16.to_be_bytes();
const CLOSE: u8 = 8;
/// Two bytes, eight of a long length, four of a mask.
const LONGEST_HEAD: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with this first byte, and so much behind its head.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match length {
            0..126 => frame.push(length as u8),
            126..65536 => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0x88; length]);
        frame
    }

    #[test]
    fn messages_end_where_their_last_frame_ends() {
        let text = 0x81;
        for (frames, ends) in [
            (vec![frame(text, 0)], vec![2]),
            (vec![frame(text, 125), frame(0x82, 126)], vec![127, 257]),
            (vec![frame(text, 70_000)], vec![70_010]),
            // A message in three frames, with a ping in between.
            (
                vec![frame(1, 1), frame(0x89, 3), frame(0, 2), frame(0x80, 0)],
                vec![14],
            ),
            (vec![frame(0x8a, 0), frame(1, 1)], vec![2]),
        ] {
            let bytes = frames.concat();
            // At once, and in pieces of any size.
            assert_eq!(Frames::default().follow(&bytes), ends.last().copied());
            for size in [1, 2, 3, 7, 1000] {
                let (mut follower, mut found, mut before) = (Frames::default(), Vec::new(), 0);
                for piece in bytes.chunks(size) {
                    found.extend(follower.follow(piece).map(|end| before + end));
                    before += piece.len();
                }
                let last = ends.last().copied();
                assert_eq!(found.last().copied(), last, "{size}");
                assert!(found.iter().all(|end| ends.contains(end)));
                assert_eq!(follower.is_between(), last == Some(bytes.len()));
                assert!(!follower.closed());
            }
        }
    }

    #[test]
    fn a_masked_frame_has_a_longer_head() {
        let mut follower = Frames::default();
        assert_eq!(follower.follow(&[0x81, 0x81, 1, 2, 3, 4]), None);
        assert_eq!(follower.follow(b"x"), Some(1));
    }

    #[test]
    fn a_close_is_noticed_when_it_is_whole() {
        let mut follower = Frames::default();
        follower.follow(&GOING_AWAY[..3]);
        assert!(!follower.closed() && !follower.is_between());
        follower.follow(&GOING_AWAY[3..]);
        assert!(follower.closed() && follower.is_between());
    }
}
