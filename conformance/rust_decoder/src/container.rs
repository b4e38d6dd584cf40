// SPDX-License-Identifier: Apache-2.0
//! Clause 2.4: containers, in which elements are read, and the bit positions of joined payloads.

use std::borrow::Cow;

/// Bytes of a unit, or the joined payloads of its parts.
#[derive(Clone, Default)]
pub struct Container<'a> {
    bytes: Cow<'a, [u8]>,
    /// First bit of every piece: in the container, and in the stream.
    pieces: Vec<(u64, u64)>,
}

impl<'a> Container<'a> {
    /// Container of one piece, whose first bit is `stream_bit` of the stream.
    pub fn new(bytes: &'a [u8], stream_bit: u64) -> Self {
        Self {
            bytes: Cow::Borrowed(bytes),
            pieces: vec![(0, stream_bit)],
        }
    }

    /// Join the payload of another part.
    pub fn append(&mut self, bytes: &[u8], stream_bit: u64) {
        self.pieces.push((self.size_bits(), stream_bit));
        self.bytes.to_mut().extend_from_slice(bytes);
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn size_bits(&self) -> u64 {
        8 * self.bytes.len() as u64
    }

    /// Position in the stream of a bit, or of the end, of the container.
    pub fn stream_bit(&self, position: u64) -> u64 {
        let piece = self.pieces.iter().rev().find(|p| p.0 <= position);
        let (first, stream_bit) = piece.copied().unwrap_or_default();
        stream_bit.saturating_add(position.saturating_sub(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_joined_parts_are_those_of_their_parts() {
        let mut container = Container::new(&[1, 2], 100);
        container.append(&[3], 200);
        let positions: Vec<_> = [0, 15, 16, 24].map(|p| container.stream_bit(p)).into();
        assert_eq!(positions, [100, 115, 200, 208]);
        assert_eq!(container.bytes(), [1, 2, 3]);
    }
}
