//! Messages with bytes changed, dropped and doubled.

/// Pseudo-random numbers.
pub struct Random(pub u64);

impl Random {
    /// From 0 to `bound - 1`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// `seed` with a few bytes changed.
    pub fn mutated(&mut self, seed: &[u8]) -> Vec<u8> {
        const SPICE: &[u8] = b"\r\n\t :;,\0\x0b\x7f\xff0aG/%?#\"";
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes[at] = SPICE[self.below(SPICE.len())],
                1 => bytes.insert(at, SPICE[self.below(SPICE.len())]),
                2 if bytes.len() > 2 => drop(bytes.remove(at)),
                _ => {
                    let end = (at + self.below(20)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        bytes
    }
}
