//! A request head as the router sees it: borrowed, already normal.

/// What rules look at. The proxy fills it from its own codec, the CLI from a command line.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// As sent; methods are case-sensitive.
    pub method: &'a str,
    /// Lower-case, without port and trailing dot, see [`crate::host::normalise`]; empty if the request has none.
    pub host: &'a str,
    /// Normal form, see [`crate::path::read`]; `*` for `OPTIONS *`.
    pub path: &'a str,
    /// What follows the first `?`, raw.
    pub query: Option<&'a str>,
    /// Header fields.
    pub headers: &'a dyn Headers,
}

/// Header fields in the order in which they came.
pub trait Headers {
    /// The first field at position `from` or later whose name is `lower_name` (compared without regard to case):
    /// its position and its value without surrounding blanks. Ask again from the next position for more.
    fn next_value(&self, lower_name: &str, from: usize) -> Option<(usize, &[u8])>;
}

/// No fields at all.
impl Headers for () {
    fn next_value(&self, _: &str, _: usize) -> Option<(usize, &[u8])> {
        None
    }
}

/// Names and values.
impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for [(N, V)] {
    fn next_value(&self, lower_name: &str, from: usize) -> Option<(usize, &[u8])> {
        let position = self
            .iter()
            .skip(from)
            .position(|(name, _)| name.as_ref().eq_ignore_ascii_case(lower_name))?;
        Some((from + position, self[from + position].1.as_ref()))
    }
}

/// Names and values.
impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for Vec<(N, V)> {
    fn next_value(&self, lower_name: &str, from: usize) -> Option<(usize, &[u8])> {
        self.as_slice().next_value(lower_name, from)
    }
}
