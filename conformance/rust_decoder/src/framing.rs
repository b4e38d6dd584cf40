// SPDX-License-Identifier: Apache-2.0
//! Clauses 2.1 and 2.2: the frames of units, and the order of units in a stream.

use crate::fault::{Class, Fault, Stage};
use crate::trace::{Trace, Value};

pub const NNR_STR: u8 = 0;
pub const NNR_MPS: u8 = 1;
pub const NNR_LPS: u8 = 2;
pub const NNR_TPL: u8 = 3;
pub const NNR_QNT: u8 = 4;
pub const NNR_NDU: u8 = 5;
pub const NNR_AGG: u8 = 6;

/// `partial_data_counter` and its bit position.
#[derive(Clone, Copy)]
pub struct Counter {
    pub value: u8,
    pub bit: u64,
}

/// A unit up to the header of its type.
pub struct Frame<'a> {
    pub first_bit: u64,
    pub unit_type: u8,
    pub type_bit: u64,
    pub independently_decodable_flag: bool,
    pub counter: Option<Counter>,
    /// Header of the unit's type, and payload.
    pub body: &'a [u8],
    pub body_bit: u64,
    /// Size of the whole unit.
    pub size_bytes: usize,
}

impl Frame<'_> {
    /// Add the elements of the frame to a trace.
    pub fn trace(&self, trace: &Trace) {
        let size_bits = self.type_bit - self.first_bit - 1;
        let flags_bit = self.type_bit + 6;
        let add = |bit, n_bits, element, value| {
            trace.add(bit, n_bits, element, || Value::Integer(value));
        };
        let size_flag = i64::from(size_bits > 15);
        let has_counter = i64::from(self.counter.is_some());
        add(self.first_bit, 1, "nnr_unit_size_flag", size_flag);
        let size_bytes = self.size_bytes as i64;
        add(self.first_bit + 1, size_bits, "nnr_unit_size", size_bytes);
        add(self.type_bit, 6, "nnr_unit_type", self.unit_type.into());
        let independent = i64::from(self.independently_decodable_flag);
        add(flags_bit, 1, "independently_decodable_flag", independent);
        let element = "partial_data_counter_present_flag";
        add(flags_bit + 1, 1, element, has_counter);
        if let Some(counter) = self.counter {
            add(counter.bit, 8, "partial_data_counter", counter.value.into());
        }
    }

    /// Position of faults of parts: the counter, or the type in a unit without one.
    pub fn part_bit(&self) -> u64 {
        self.counter.map_or(self.type_bit, |counter| counter.bit)
    }
}

/// Unit types seen in a stream (2.1).
#[derive(Default)]
pub struct UnitOrder {
    start: bool,
    model_parameter_set: bool,
    data: bool,
}

impl UnitOrder {
    /// Whether a unit of this type may stand here; `part_of` is the type of the open parts.
    fn admit(&mut self, unit_type: u8, part_of: Option<u8>) -> bool {
        if (unit_type == NNR_STR) == self.start {
            return false;
        }
        self.start = true;
        let continued = part_of == Some(unit_type);
        if unit_type == NNR_MPS && !continued && (self.model_parameter_set || self.data) {
            return false;
        }
        self.model_parameter_set |= unit_type == NNR_MPS;
        self.data |= unit_type == NNR_NDU;
        true
    }
}

fn truncated(bit: u64, text: &'static str) -> Fault {
    Fault::new(Class::Truncated, Stage::Framing, bit, text)
}

/// Read the frame of the unit at byte `start`: steps 1 to 3 of 7.4.
pub fn frame<'a>(
    stream: &'a [u8],
    start: usize,
    order: &mut UnitOrder,
    part_of: Option<u8>,
) -> Result<Frame<'a>, Fault> {
    let rest = stream.get(start..).unwrap_or(&[]);
    let first_bit = 8 * start as u64;
    let size_bit = first_bit + 1;
    let long = rest.first().is_some_and(|byte| byte >> 7 == 1);
    let size_field_bytes = if long { 4 } else { 2 };
    let size_field = rest.get(..size_field_bytes);
    let size_field = size_field.ok_or_else(|| truncated(size_bit, "2.2 nnr_unit_size"))?;
    let size = size_field
        .iter()
        .fold(0, |size, &byte| size << 8 | u32::from(byte));
    let size_bytes = (size & if long { 0x7fff_ffff } else { 0x7fff }) as usize;
    if size_bytes < size_field_bytes + 1 {
        return Err(Fault::framing(size_bit, "2.2 nnr_unit_size too small"));
    }
    let unit = rest.get(..size_bytes);
    let unit = unit.ok_or_else(|| truncated(size_bit, "2.2 unit beyond the stream"))?;

    let flags = unit[size_field_bytes];
    let type_bit = first_bit + 8 * size_field_bytes as u64;
    let unit_type = flags >> 2;
    if !order.admit(unit_type, part_of) {
        return Err(Fault::framing(type_bit, "2.1 order of units"));
    }

    let mut body_start = size_field_bytes + 1;
    let mut counter = None;
    if flags & 1 == 1 {
        let bit = type_bit + 8;
        let value = unit.get(body_start).copied();
        let value = value.ok_or_else(|| truncated(bit, "2.2 partial_data_counter"))?;
        counter = Some(Counter { value, bit });
        body_start += 1;
    }
    Ok(Frame {
        first_bit,
        unit_type,
        type_bit,
        independently_decodable_flag: flags >> 1 & 1 == 1,
        counter,
        body: &unit[body_start..],
        body_bit: first_bit + 8 * body_start as u64,
        size_bytes,
    })
}
