// SPDX-License-Identifier: Apache-2.0
//! Damaged vectors: flipped bits, changed bytes and cuts end with an answer or a fault, in time.

use nnc_decoder::stream::Decoder;
use std::fs;
use std::io::sink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MUTATIONS: usize = 20_000;
const LIMIT: Duration = Duration::from_secs(20);

/// Xorshift generator of Marsaglia.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

fn vectors() -> Vec<PathBuf> {
    let suites = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites");
    let mut paths = Vec::new();
    for suite in ["core", "extended", "invalid"] {
        for entry in fs::read_dir(suites.join(suite).join("vectors")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "nnc") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths
}

fn mutate(stream: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        if stream.is_empty() {
            return;
        }
        let i = random.below(stream.len());
        match random.below(4) {
            0 | 1 => stream[i] ^= 1 << random.below(8),
            2 => stream[i] = random.below(256) as u8,
            _ => stream.truncate(i + 1),
        }
    }
}

#[test]
fn damaged_vectors_neither_panic_nor_hang() {
    let streams: Vec<_> = vectors()
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert!(streams.len() > 1000);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut decoded = 0;
    for i in 0..MUTATIONS {
        // The undamaged stream first: the damaged one may then have a previous update.
        let stream = &streams[random.below(streams.len())];
        let mut damaged = stream.clone();
        mutate(&mut damaged, &mut random);
        let mut decoder = Decoder::default().with_trace();
        let start = Instant::now();
        if random.below(4) == 0 {
            let _ = decoder.decode(stream);
        }
        match decoder.decode(&damaged) {
            Err(fault) => assert!(fault.bit <= 8 * damaged.len() as u64, "mutation {i}"),
            Ok(answer) => {
                decoded += 1;
                answer.write_safetensors(&mut sink()).unwrap();
                assert!(!answer.report().is_empty());
            }
        }
        assert!(start.elapsed() < LIMIT, "mutation {i}");
    }
    assert!(decoded > 0 && decoded < MUTATIONS);
}
