// SPDX-License-Identifier: Apache-2.0
//! RFC 1951 (deflate) and RFC 1950 (zlib's wrapping), as clause 2.8 uses them.

/// Reason for the rejection of compressed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    Truncated,
    Malformed,
    Limit,
}

use InflateError::{Limit, Malformed, Truncated};

const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_BITS: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const CODE_LENGTH_ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
const END_OF_BLOCK: usize = 256;
const MAX_CODE_BITS: usize = 15;

/// Canonical Huffman code.
struct Huffman {
    /// Codes of each length.
    counts: [u16; MAX_CODE_BITS + 1],
    /// Symbols in the order of their codes.
    symbols: Vec<u16>,
}

impl Huffman {
    /// Code of the given lengths. A code with unused bit patterns is malformed, except, on request,
    /// one of at most one codeword of one bit.
    fn new(lengths: &[u8], may_be_single: bool) -> Result<Self, InflateError> {
        let mut counts = [0u16; MAX_CODE_BITS + 1];
        for &length in lengths {
            counts[usize::from(length)] += 1;
        }
        counts[0] = 0;
        let mut unused = 1i32;
        for &count in &counts[1..] {
            unused = 2 * unused - i32::from(count);
            if unused < 0 {
                return Err(Malformed);
            }
        }
        let single = counts[2..].iter().all(|&count| count == 0);
        if unused > 0 && !(may_be_single && single) {
            return Err(Malformed);
        }
        let mut symbols = Vec::new();
        for length in 1..=MAX_CODE_BITS {
            let of_length = (0u16..)
                .zip(lengths)
                .filter(|(_, &l)| usize::from(l) == length);
            symbols.extend(of_length.map(|(symbol, _)| symbol));
        }
        Ok(Self { counts, symbols })
    }
}

struct Inflater<'a> {
    input: &'a [u8],
    position: usize,
    bit_buffer: u32,
    buffered_bits: u32,
    output: Vec<u8>,
    max_bytes: usize,
}

impl Inflater<'_> {
    fn byte(&mut self) -> Result<u8, InflateError> {
        let byte = *self.input.get(self.position).ok_or(Truncated)?;
        self.position += 1;
        Ok(byte)
    }

    /// Up to 16 bits, the first least significant.
    fn bits(&mut self, n: u32) -> Result<usize, InflateError> {
        while self.buffered_bits < n {
            self.bit_buffer |= u32::from(self.byte()?) << self.buffered_bits;
            self.buffered_bits += 8;
        }
        let value = self.bit_buffer & ((1 << n) - 1);
        self.bit_buffer >>= n;
        self.buffered_bits -= n;
        Ok(value as usize)
    }

    fn symbol(&mut self, code: &Huffman) -> Result<usize, InflateError> {
        let (mut word, mut first, mut index) = (0usize, 0usize, 0usize);
        for &count in &code.counts[1..] {
            word |= self.bits(1)?;
            let count = usize::from(count);
            if word < first + count {
                let symbol = code.symbols.get(index + word - first);
                return symbol.map(|&s| usize::from(s)).ok_or(Malformed);
            }
            index += count;
            first = (first + count) << 1;
            word <<= 1;
        }
        Err(Malformed)
    }

    fn put(&mut self, byte: u8) -> Result<(), InflateError> {
        if self.output.len() >= self.max_bytes {
            return Err(Limit);
        }
        self.output.push(byte);
        Ok(())
    }

    fn stored_block(&mut self) -> Result<(), InflateError> {
        (self.bit_buffer, self.buffered_bits) = (0, 0);
        let length = u16::from_le_bytes([self.byte()?, self.byte()?]);
        let complement = u16::from_le_bytes([self.byte()?, self.byte()?]);
        if length != !complement {
            return Err(Malformed);
        }
        for _ in 0..length {
            let byte = self.byte()?;
            self.put(byte)?;
        }
        Ok(())
    }

    fn dynamic_codes(&mut self) -> Result<(Huffman, Huffman), InflateError> {
        let literal_count = self.bits(5)? + 257;
        let distance_count = self.bits(5)? + 1;
        let code_length_count = self.bits(4)? + 4;
        if literal_count > 286 || distance_count > 30 {
            return Err(Malformed);
        }
        let mut code_lengths = [0u8; 19];
        for &i in &CODE_LENGTH_ORDER[..code_length_count] {
            code_lengths[i] = self.bits(3)? as u8;
        }
        let code = Huffman::new(&code_lengths, false)?;
        let total = literal_count + distance_count;
        let mut lengths: Vec<u8> = Vec::new();
        while lengths.len() < total {
            let (length, count) = match self.symbol(&code)? {
                16 => (*lengths.last().ok_or(Malformed)?, 3 + self.bits(2)?),
                17 => (0, 3 + self.bits(3)?),
                18 => (0, 11 + self.bits(7)?),
                length => (length as u8, 1),
            };
            lengths.resize(lengths.len() + count, length);
        }
        if lengths.len() > total || lengths[END_OF_BLOCK] == 0 {
            return Err(Malformed);
        }
        let (literals, distances) = lengths.split_at(literal_count);
        Ok((
            Huffman::new(literals, true)?,
            Huffman::new(distances, true)?,
        ))
    }

    fn compressed_block(
        &mut self,
        literals: &Huffman,
        distances: &Huffman,
    ) -> Result<(), InflateError> {
        loop {
            let symbol = self.symbol(literals)?;
            if symbol < END_OF_BLOCK {
                self.put(symbol as u8)?;
                continue;
            }
            if symbol == END_OF_BLOCK {
                return Ok(());
            }
            let i = symbol - END_OF_BLOCK - 1;
            let base = *LENGTH_BASE.get(i).ok_or(Malformed)?;
            let length = usize::from(base) + self.bits(u32::from(LENGTH_BITS[i]))?;
            let i = self.symbol(distances)?;
            let base = *DISTANCE_BASE.get(i).ok_or(Malformed)?;
            let distance = usize::from(base) + self.bits((i as u32 / 2).saturating_sub(1))?;
            if distance > self.output.len() {
                return Err(Malformed);
            }
            for _ in 0..length {
                let byte = self.output[self.output.len() - distance];
                self.put(byte)?;
            }
        }
    }

    fn deflate_stream(&mut self) -> Result<(), InflateError> {
        loop {
            let last = self.bits(1)? == 1;
            match self.bits(2)? {
                0 => self.stored_block()?,
                1 => {
                    let mut lengths = [8u8; 288];
                    lengths[144..256].fill(9);
                    lengths[256..280].fill(7);
                    let literals = Huffman::new(&lengths, false)?;
                    self.compressed_block(&literals, &Huffman::new(&[5; 32], false)?)?;
                }
                2 => {
                    let (literals, distances) = self.dynamic_codes()?;
                    self.compressed_block(&literals, &distances)?;
                }
                _ => return Err(Malformed),
            }
            if last {
                return Ok(());
            }
        }
    }
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in bytes {
        a = (a + u32::from(byte)) % 65521;
        b = (b + a) % 65521;
    }
    b << 16 | a
}

/// Inflate a deflate stream, bare or in zlib's wrapping.
///
/// Returns the bytes, at most `max_bytes`, and the size of the compressed stream.
pub fn inflate(input: &[u8], max_bytes: usize) -> Result<(Vec<u8>, usize), InflateError> {
    let mut inflater = Inflater {
        input,
        position: 0,
        bit_buffer: 0,
        buffered_bits: 0,
        output: Vec::new(),
        max_bytes,
    };
    let wrapped = match *input {
        [cmf, flg, ..] => cmf & 15 == 8 && u16::from_be_bytes([cmf, flg]) % 31 == 0,
        _ => false,
    };
    if wrapped {
        let (window, preset_dictionary) = (input[0] >> 4, input[1] >> 5 & 1);
        if window > 7 || preset_dictionary == 1 {
            return Err(Malformed);
        }
        inflater.position = 2;
    }
    inflater.deflate_stream()?;
    if wrapped {
        let mut checksum = [0; 4];
        for byte in &mut checksum {
            *byte = inflater.byte()?;
        }
        if u32::from_be_bytes(checksum) != adler32(&inflater.output) {
            return Err(Malformed);
        }
    }
    Ok((inflater.output, inflater.position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_block_with_a_match_is_inflated() {
        // zlib.compress(b"abcabcabcabc", 9)
        let wrapped = [
            0x78, 0xda, 0x4b, 0x4c, 0x4a, 0x4e, 0x84, 0x21, 0x00, 0x1d, 0xe0, 0x04, 0x99,
        ];
        let expected = (b"abcabcabcabc".to_vec(), wrapped.len());
        assert_eq!(inflate(&wrapped, 100), Ok(expected));
        assert_eq!(inflate(&wrapped[2..9], 100).map(|r| r.1), Ok(7));
        assert_eq!(inflate(&wrapped, 11), Err(Limit));
        assert_eq!(inflate(&wrapped[..12], 100), Err(Truncated));
    }

    #[test]
    fn a_stored_block_is_copied() {
        let bare = [1, 2, 0, 0xfd, 0xff, 7, 9];
        assert_eq!(inflate(&bare, 100), Ok((vec![7, 9], 7)));
        assert_eq!(inflate(&[1, 2, 0, 0, 0], 100), Err(Malformed));
    }
}
