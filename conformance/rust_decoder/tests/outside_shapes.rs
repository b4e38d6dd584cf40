// SPDX-License-Identifier: Apache-2.0
//! Clause 3.3: shapes that the application supplies.

use nnc_decoder::fault::{Class, Fault, Stage};
use nnc_decoder::output::Answer;
use nnc_decoder::payload::Shapes;
use nnc_decoder::stream::Decoder;
use std::fs;
use std::path::Path;

fn vector(path: &str) -> Vec<u8> {
    let suites = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites");
    fs::read(suites.join(path)).unwrap()
}

fn decode(path: &str, shape: Option<Vec<u64>>) -> Result<Answer, Fault> {
    let shapes = Shapes::from_iter(shape.map(|shape| ("w".to_owned(), shape)));
    Decoder::new(shapes).decode(&vector(path))
}

const WITH_SHAPE: &str = "core/vectors/shape.7x1.nnc";
const WITHOUT_SHAPE: &str = "invalid/vectors/data-unit.no-dimensions.nnc";

#[test]
fn a_supplied_shape_gives_the_values_of_a_sent_one() {
    let sent = decode(WITH_SHAPE, None).unwrap();
    let supplied = decode(WITHOUT_SHAPE, Some(vec![7, 1])).unwrap();
    assert_eq!(supplied.tensors[0].shape, [7, 1]);
    assert_eq!(supplied.tensors[0].values, sent.tensors[0].values);
}

#[test]
fn a_sent_shape_precedes_a_supplied_one() {
    let sent = decode(WITH_SHAPE, Some(vec![3])).unwrap();
    assert_eq!(sent.tensors[0].shape, [7, 1]);
}

#[test]
fn a_missing_shape_is_malformed_and_a_large_one_exceeds_a_limit() {
    for (shape, class) in [
        (None, Class::Malformed),
        (Some(vec![1 << 40]), Class::Limit),
    ] {
        let fault = decode(WITHOUT_SHAPE, shape).err().unwrap();
        assert_eq!(
            (fault.class, fault.stage, fault.bit),
            (class, Stage::Header, 160)
        );
    }
}
