// SPDX-License-Identifier: Apache-2.0
//! Output of the conformance contract: safetensors, and a report beside it.

use crate::sha2::{hexadecimal, sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::rc::Rc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    Int32,
    Float32,
}

/// State of the arithmetic decoder after the last bin of a tensor.
pub struct ArithmeticState {
    pub range: u32,
    pub offset: u32,
    pub bit_offset: u64,
    /// (s0, s1) of every context.
    pub contexts: Vec<(i32, i32)>,
}

/// A decoded tensor.
pub struct Tensor {
    pub name: String,
    pub dtype: DataType,
    pub shape: Vec<u64>,
    /// Values in C order, little-endian.
    pub values: Vec<u8>,
    /// Levels of an arithmetic-coded tensor.
    pub levels: Option<Rc<Vec<i32>>>,
    pub arithmetic: Option<ArithmeticState>,
}

/// Position of a unit in its stream.
pub struct UnitFrame {
    pub nnr_unit_type: u8,
    pub byte_offset: usize,
    pub nnr_unit_size: usize,
}

/// What one stream carries.
#[derive(Default)]
pub struct Answer {
    pub tensors: Vec<Tensor>,
    pub units: Vec<UnitFrame>,
    /// Bytes of every topology unit; empty for a reference list.
    pub topology: Vec<Vec<u8>>,
    /// Syntax trace, on request.
    pub trace: Option<String>,
}

impl Answer {
    /// Tensors of distinct names; a later tensor replaces an earlier one (3.2.1).
    fn delivered(&self) -> Vec<&Tensor> {
        let latest: HashMap<&str, usize> = self
            .tensors
            .iter()
            .enumerate()
            .map(|(i, tensor)| (tensor.name.as_str(), i))
            .collect();
        let is_latest = |&(i, tensor): &(usize, &Tensor)| latest[tensor.name.as_str()] == i;
        let tensors = self.tensors.iter().enumerate().filter(is_latest);
        tensors.map(|(_, tensor)| tensor).collect()
    }

    /// Write a safetensors file with `value:NAME` and `level:NAME`.
    pub fn write_safetensors(&self, file: &mut dyn io::Write) -> io::Result<()> {
        let tensors = self.delivered();
        let (mut entries, mut begin) = (Vec::new(), 0);
        let mut add = |kind: &str, dtype: &str, tensor: &Tensor, size_bytes: usize| {
            let end = begin + size_bytes;
            entries.push(format!(
                "\"{kind}:{}\":{{\"dtype\":\"{dtype}\",\"shape\":{:?},\"data_offsets\":[{begin},{end}]}}",
                json_escaped(&tensor.name),
                tensor.shape
            ));
            begin = end;
        };
        for tensor in &tensors {
            let dtype = match tensor.dtype {
                DataType::Int32 => "I32",
                DataType::Float32 => "F32",
            };
            add("value", dtype, tensor, tensor.values.len());
            if let Some(levels) = &tensor.levels {
                add("level", "I32", tensor, 4 * levels.len());
            }
        }
        let header = format!("{{{}}}", entries.join(","));
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for tensor in tensors {
            file.write_all(&tensor.values)?;
            for level in tensor.levels.iter().flat_map(|levels| levels.iter()) {
                file.write_all(&level.to_le_bytes())?;
            }
        }
        file.flush()
    }

    /// Report of the units, the topology and the states of the arithmetic decoder.
    pub fn report(&self) -> String {
        let units = self.units.iter().map(|unit| {
            format!(
                "{{\"nnr_unit_type\":{},\"byte_offset\":{},\"nnr_unit_size\":{}}}",
                unit.nnr_unit_type, unit.byte_offset, unit.nnr_unit_size
            )
        });
        let topology = self.topology.iter().map(|data| {
            let sha256 = hexadecimal(&sha256(data));
            format!("{{\"size_bytes\":{},\"sha256\":\"{sha256}\"}}", data.len())
        });
        let arithmetic = self.delivered().into_iter().filter_map(|tensor| {
            let state = tensor.arithmetic.as_ref()?;
            let words = state.contexts.iter().flat_map(|&(s0, s1)| [s0 as i16, s1 as i16]);
            let bytes: Vec<u8> = words.flat_map(i16::to_le_bytes).collect();
            Some(format!(
                "\"{}\":{{\"range\":{},\"offset\":{},\"bit_offset\":{},\"contexts_sha256\":\"{}\"}}",
                json_escaped(&tensor.name),
                state.range,
                state.offset,
                state.bit_offset,
                hexadecimal(&sha256(&bytes))
            ))
        });
        let join = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(",");
        format!(
            "{{\"format\":\"nnr-conformance-report/1\",\"units\":[{}],\"topology\":[{}],\"arithmetic\":{{{}}}}}",
            join(&mut units.into_iter()),
            join(&mut topology.into_iter()),
            join(&mut arithmetic.into_iter())
        )
    }
}

fn json_escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(escaped, "\\{c}"),
            c if c < ' ' => write!(escaped, "\\u{:04x}", c as u32),
            c => write!(escaped, "{c}"),
        };
    }
    escaped
}
