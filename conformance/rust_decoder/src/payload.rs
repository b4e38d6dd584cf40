// SPDX-License-Identifier: Apache-2.0
//! Clause 3.5: the payload of a compressed data unit.

use crate::arithmetic::{ArithmeticDecoder, Context};
use crate::bits::twos_complement;
use crate::codebook::Codebook;
use crate::container::Container;
use crate::fault::{Class, Fault, Stage};
use crate::header::{DataUnitHeader, PayloadType};
use crate::level::CodebookBounds;
use crate::limits;
use crate::output::{ArithmeticState, DataType, Tensor};
use crate::parameter_sets::Parameters;
use crate::tensor_data::TensorCoding;
use crate::tensors::{elements, rows, width, Roles, UnitTensor};
use crate::updates::{Memory, RememberedTensor, Update};
use crate::values::{from_codebook, uniform};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Shapes that the application supplies, by the first name of a unit (3.3).
pub type Shapes = HashMap<String, Vec<u64>>;

/// State of the stream and the sequence around a data unit.
pub struct Surroundings<'a> {
    pub profile: u8,
    pub parameters: &'a Parameters,
    pub shapes: &'a Shapes,
    pub memory: &'a mut Memory,
    /// Elements of all tensors of the stream so far.
    pub stream_elements: &'a mut u64,
    /// First bit of the unit.
    pub unit_bit: u64,
}

/// A tensor between the codeword and its reconstruction.
struct CodedTensor {
    unit_tensor: UnitTensor,
    step: f32,
    levels: Rc<Vec<i32>>,
    arithmetic: ArithmeticState,
}

/// Decode a data unit behind its header: steps 10 to 12 of 7.4.
pub fn decode_data_unit(
    mut header: DataUnitHeader,
    payload: &Container,
    surroundings: &mut Surroundings,
) -> Result<Vec<Tensor>, Fault> {
    let payload_bit = payload.stream_bit(0);
    let tensors = tensors(&mut header, payload_bit, surroundings)?;
    let previous = previous_update(&header, &tensors, payload_bit, surroundings.memory)?;
    if header.payload_type == PayloadType::RawFloat {
        return raw_tensors(&header, tensors, payload);
    }
    let coded = decode_codeword(&header, tensors, payload, previous.as_ref(), surroundings)?;
    let outside = Fault::new(
        Class::Malformed,
        Stage::Reconstruction,
        payload_bit,
        "4.3 level outside the codebook",
    );
    let values: Option<Vec<_>> = coded.iter().map(|t| reconstruct(&header, t)).collect();
    let values = values.ok_or(outside)?;
    if surroundings.parameters.parent_signalling_enabled_flag {
        let remembered = coded.iter().enumerate().map(|(i, tensor)| {
            let previous = previous.as_ref().and_then(|update| update.get(i));
            RememberedTensor::new(
                tensor.unit_tensor.shape.clone(),
                tensor.levels.clone(),
                previous,
            )
        });
        surroundings.memory.remember(
            header.lineage.node,
            payload.bytes(),
            remembered.collect(),
            surroundings.unit_bit,
        )?;
    }
    let dtype = match header.payload_type {
        PayloadType::Int => DataType::Int32,
        _ => DataType::Float32,
    };
    let delivered = coded
        .into_iter()
        .zip(values)
        .map(|(tensor, values)| Tensor {
            name: header.names[tensor.unit_tensor.name].clone(),
            dtype,
            shape: tensor.unit_tensor.shape,
            values,
            levels: Some(tensor.levels),
            arithmetic: Some(tensor.arithmetic),
        });
    Ok(delivered.collect())
}

/// Tensors in payload order, with the checks of step 10 that precede the parent.
fn tensors(
    header: &mut DataUnitHeader,
    payload_bit: u64,
    surroundings: &mut Surroundings,
) -> Result<Vec<UnitTensor>, Fault> {
    let is_sent = header.tensor_dimensions.is_some();
    if !is_sent {
        let name = header.names.first().cloned().unwrap_or_default();
        header.tensor_dimensions = surroundings.shapes.get(&name).cloned();
    }
    let Some(dimensions) = header.tensor_dimensions.as_deref() else {
        return Err(Fault::header(payload_bit, "3.3 no dimensions"));
    };
    let roles = Roles::of(header, dimensions);
    if !is_sent {
        if let Some(decomposition) = header.decomposition {
            decomposition.check(dimensions, payload_bit)?;
        }
        if roles.max_elements() > limits::TENSOR_ELEMENTS {
            return Err(Fault::limit(payload_bit, "7.3 elements of one tensor"));
        }
    }
    let total = surroundings
        .stream_elements
        .saturating_add(roles.total_elements());
    if total > limits::STREAM_ELEMENTS {
        return Err(Fault::limit(payload_bit, "7.3 elements of all tensors"));
    }
    *surroundings.stream_elements = total;
    if header.payload_type == PayloadType::Block && dimensions.is_empty() {
        return Err(Fault::header(payload_bit, "3.4 weight without dimension"));
    }
    let mut names = HashSet::new();
    if !header.names.iter().all(|name| names.insert(name)) {
        return Err(Fault::header(payload_bit, "3.2.1 name twice in a unit"));
    }
    Ok(roles.in_payload_order())
}

/// The previous update, of the same shapes (5.6.1).
fn previous_update(
    header: &DataUnitHeader,
    tensors: &[UnitTensor],
    payload_bit: u64,
    memory: &Memory,
) -> Result<Option<Update>, Fault> {
    let Some(parent) = &header.lineage.parent else {
        return Ok(None);
    };
    let previous = memory.previous_update(header.lineage.node.as_ref(), parent)?;
    if let Some(update) = &previous {
        let shapes = tensors.iter().map(|tensor| &tensor.shape);
        if !shapes.eq(update.iter().map(|tensor| &tensor.shape)) {
            return Err(Fault::new(
                Class::Malformed,
                Stage::Sequence,
                payload_bit,
                "5.6.1 previous update of other shapes",
            ));
        }
    }
    Ok(previous)
}

/// Payload of NNR_PT_RAW_FLOAT.
fn raw_tensors(
    header: &DataUnitHeader,
    tensors: Vec<UnitTensor>,
    payload: &Container,
) -> Result<Vec<Tensor>, Fault> {
    let mut delivered = Vec::new();
    for tensor in tensors {
        if payload.bytes().len() as u64 != 4 * elements(&tensor.shape) {
            return Err(Fault::payload(payload.stream_bit(0), "3.5 raw values"));
        }
        delivered.push(Tensor {
            name: header.names[tensor.name].clone(),
            dtype: DataType::Float32,
            shape: tensor.shape,
            values: payload.bytes().to_vec(),
            levels: None,
            arithmetic: None,
        });
    }
    Ok(delivered)
}

/// Codebook of a tensor of the unit.
fn codebook_of<'a>(header: &'a DataUnitHeader, tensor: &UnitTensor) -> Option<&'a Codebook> {
    if tensor.has_codebook() {
        header.codebook.as_ref()
    } else if tensor.has_second_codebook() {
        header.second_codebook.as_ref()
    } else {
        None
    }
}

/// The codeword, from its start to its end.
fn decode_codeword(
    header: &DataUnitHeader,
    tensors: Vec<UnitTensor>,
    payload: &Container,
    previous: Option<&Update>,
    surroundings: &Surroundings,
) -> Result<Vec<CodedTensor>, Fault> {
    let is_quantised = header.payload_type.is_quantised();
    let quantisation = surroundings.parameters.quantisation;
    if is_quantised && quantisation.is_none() {
        return Err(Fault::payload(
            payload.stream_bit(0),
            "4.1 no density in force",
        ));
    }
    let quantisation = quantisation.filter(|_| is_quantised);
    let parent = header.lineage.parent.as_ref();
    let mut a = ArithmeticDecoder::new(payload)?;
    let mut coded = Vec::new();
    for (i, unit_tensor) in tensors.into_iter().enumerate() {
        let mut step = 1.0;
        if let Some(quantisation) = quantisation {
            let n = quantisation.qp_bits();
            let qp_value = twos_complement(a.bypass(n)?, n);
            step = quantisation.step_size(qp_value);
        }
        let codebook = codebook_of(header, &unit_tensor).filter(|_| surroundings.profile == 1);
        let coding = TensorCoding {
            rows: rows(&unit_tensor.shape),
            width: width(&unit_tensor.shape),
            dq: header.dq_flag && is_quantised,
            unary_length: header.cabac_unary_length,
            scan_order: if unit_tensor.is_scanned() {
                header.scan_order
            } else {
                0
            },
            profile: surroundings.profile,
            codebook: codebook.map(|codebook| CodebookBounds {
                size: codebook.size(),
                zero_offset: codebook.zero_offset(),
            }),
            parent_node_id_present_flag: parent.is_some(),
            temporal_context_modeling_flag: parent
                .is_some_and(|p| p.temporal_context_modeling_flag),
            previous_update: previous.and_then(|update| update.get(i)),
        };
        let data = coding.decode(&mut a)?;
        let (range, offset, bit_offset) = a.registers();
        coded.push(CodedTensor {
            unit_tensor,
            step,
            levels: Rc::new(data.levels),
            arithmetic: ArithmeticState {
                range,
                offset,
                bit_offset,
                contexts: data.contexts.iter().map(Context::estimators).collect(),
            },
        });
    }
    a.finish()?;
    Ok(coded)
}

/// Values of a tensor, little-endian (4); `None` when a level is outside the codebook.
fn reconstruct(header: &DataUnitHeader, tensor: &CodedTensor) -> Option<Vec<u8>> {
    let levels = tensor.levels.iter();
    let mut values = Vec::with_capacity(4 * tensor.levels.len());
    let codebook = codebook_of(header, &tensor.unit_tensor);
    for &level in levels {
        let bytes = match (header.payload_type, codebook) {
            (PayloadType::Int, _) => level.to_le_bytes(),
            (_, None) => uniform(level, tensor.step).to_le_bytes(),
            (_, Some(codebook)) => from_codebook(level, codebook, tensor.step)?.to_le_bytes(),
        };
        values.extend_from_slice(&bytes);
    }
    Some(values)
}
