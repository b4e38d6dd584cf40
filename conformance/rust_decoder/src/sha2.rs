// SPDX-License-Identifier: Apache-2.0
//! SHA-256 and SHA-512 (FIPS 180-4), which name parents by their payloads (3.2.2).
//!
//! The constants are the fractional parts of the square roots (initial state) and the cube roots
//! (rounds) of the first primes, computed here instead of listed.

use std::sync::OnceLock;

/// The first `N` primes.
fn primes<const N: usize>() -> [u64; N] {
    let mut primes = [0; N];
    let mut candidate = 2;
    for i in 0..N {
        while primes[..i].iter().any(|&p| candidate % p == 0) {
            candidate += 1;
        }
        primes[i] = candidate;
        candidate += 1;
    }
    primes
}

/// Product of multi-word integers of 32-bit digits, the least significant first.
fn multiply(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut product = vec![0; a.len() + b.len()];
    for (i, &x) in a.iter().enumerate() {
        let mut carry = 0;
        for (j, &y) in b.iter().enumerate() {
            let sum = product[i + j] + x * y + carry;
            product[i + j] = sum & 0xffff_ffff;
            carry = sum >> 32;
        }
        product[i + b.len()] = carry;
    }
    product
}

/// First 64 bits of the fractional part of the `degree`-th root of n, degree 2 or 3.
fn root_fraction(n: u64, degree: usize) -> u64 {
    // The largest r with r^degree <= n * 2^(64 * degree) is the root in 64-bit fixed point.
    let digits = |r: u128| {
        [
            r as u64 & 0xffff_ffff,
            (r >> 32) as u64 & 0xffff_ffff,
            (r >> 64) as u64,
        ]
    };
    let mut root = 0u128;
    for bit in (0..70).rev() {
        let candidate = root | 1 << bit;
        let factor = digits(candidate);
        let mut power = factor.to_vec();
        for _ in 1..degree {
            power = multiply(&power, &factor);
        }
        let (fraction, integer) = power.split_at(2 * degree);
        let integer = integer
            .iter()
            .rev()
            .fold(0u128, |sum, &d| sum << 32 | u128::from(d));
        let is_exact = fraction.iter().all(|&d| d == 0);
        if integer < u128::from(n) || integer == u128::from(n) && is_exact {
            root = candidate;
        }
    }
    root as u64
}

/// Message padded to blocks: a bit 1, zeros, and the size in bits.
fn padded(message: &[u8], block_bytes: usize) -> Vec<u8> {
    let size_field_bytes = block_bytes / 8;
    let mut bytes = message.to_vec();
    bytes.push(0x80);
    let used = (bytes.len() + size_field_bytes) % block_bytes;
    bytes.resize(bytes.len() + (block_bytes - used) % block_bytes, 0);
    let size_bits = 8 * message.len() as u128;
    bytes.extend_from_slice(&size_bits.to_be_bytes()[16 - size_field_bytes..]);
    bytes
}

macro_rules! sha2 {
    ($name:ident, $word:ty, $word_bytes:literal, $rounds:literal, $shift:literal,
     $a:expr, $e:expr, $w15:expr, $w2:expr) => {
        pub fn $name(message: &[u8]) -> [u8; 8 * $word_bytes] {
            static CONSTANTS: OnceLock<([$word; 8], [$word; $rounds])> = OnceLock::new();
            let fraction = |p, degree| (root_fraction(p, degree) >> $shift) as $word;
            let (initial, constants) = CONSTANTS.get_or_init(|| {
                let squares = primes::<8>().map(|p| fraction(p, 2));
                (squares, primes::<$rounds>().map(|p| fraction(p, 3)))
            });
            let mut state = *initial;
            for block in padded(message, 16 * $word_bytes).chunks_exact(16 * $word_bytes) {
                let mut w = [0 as $word; $rounds];
                for (word, bytes) in w.iter_mut().zip(block.chunks_exact($word_bytes)) {
                    *word = bytes
                        .iter()
                        .fold(0, |word, &byte| word << 8 | <$word>::from(byte));
                }
                for t in 16..$rounds {
                    let (x, y) = (w[t - 15], w[t - 2]);
                    let s0 = x.rotate_right($w15.0) ^ x.rotate_right($w15.1) ^ (x >> $w15.2);
                    let s1 = y.rotate_right($w2.0) ^ y.rotate_right($w2.1) ^ (y >> $w2.2);
                    w[t] = w[t - 16]
                        .wrapping_add(s0)
                        .wrapping_add(w[t - 7])
                        .wrapping_add(s1);
                }
                let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
                for t in 0..$rounds {
                    let s1 = e.rotate_right($e.0) ^ e.rotate_right($e.1) ^ e.rotate_right($e.2);
                    let choice = (e & f) ^ (!e & g);
                    let t1 = h
                        .wrapping_add(s1)
                        .wrapping_add(choice)
                        .wrapping_add(constants[t])
                        .wrapping_add(w[t]);
                    let s0 = a.rotate_right($a.0) ^ a.rotate_right($a.1) ^ a.rotate_right($a.2);
                    let majority = (a & b) ^ (a & c) ^ (b & c);
                    let t2 = s0.wrapping_add(majority);
                    (h, g, f, e, d, c, b, a) =
                        (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
                }
                for (sum, word) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                    *sum = sum.wrapping_add(word);
                }
            }
            let mut digest = [0; 8 * $word_bytes];
            for (bytes, word) in digest.chunks_exact_mut($word_bytes).zip(state) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
            digest
        }
    };
}

sha2!(
    sha256,
    u32,
    4,
    64,
    32,
    (2, 13, 22),
    (6, 11, 25),
    (7, 18, 3),
    (17, 19, 10)
);
sha2!(
    sha512,
    u64,
    8,
    80,
    0,
    (28, 34, 39),
    (14, 18, 41),
    (1, 8, 7),
    (19, 61, 6)
);

/// Digest in lower-case hexadecimal.
pub fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_abc() {
        assert_eq!(
            hexadecimal(&sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hexadecimal(&sha512(b"abc")),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn digest_of_a_message_that_fills_its_block() {
        assert_eq!(
            hexadecimal(&sha256(&[b'a'; 56])),
            "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"
        );
    }
}
