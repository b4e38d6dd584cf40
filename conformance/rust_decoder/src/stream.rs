// SPDX-License-Identifier: Apache-2.0
//! Clause 2.1: streams and sequences.

use crate::bits::Bits;
use crate::container::Container;
use crate::fault::{Class, Fault, Stage};
use crate::framing::{frame, UnitOrder, NNR_LPS, NNR_MPS, NNR_QNT, NNR_STR, NNR_TPL};
use crate::header::DataUnitHeader;
use crate::output::{Answer, UnitFrame};
use crate::parameter_sets::{layer_parameter_set_header, Parameters};
use crate::parts::Parts;
use crate::payload::{decode_data_unit, Shapes, Surroundings};
use crate::topology::{self, Formats};
use crate::trace::Trace;
use crate::updates::Memory;

/// Decoder of the streams of a sequence, in order.
#[derive(Default)]
pub struct Decoder {
    memory: Memory,
    shapes: Shapes,
    is_traced: bool,
}

/// State of one stream, which starts afresh.
#[derive(Default)]
struct StreamState {
    profile: u8,
    parameters: Parameters,
    references: Vec<String>,
    elements: u64,
}

/// Parsed header of a unit.
enum Header {
    Start,
    ModelParameterSet,
    LayerParameterSet,
    Topology(Formats),
    Quantization(Formats),
    Data(Box<DataUnitHeader>),
}

impl StreamState {
    /// The header of a unit's type: steps 6 and 7 of 7.4.
    fn header(&mut self, unit_type: u8, b: &mut Bits) -> Result<Header, Fault> {
        match unit_type {
            NNR_STR => {
                let bit = b.offset();
                self.profile = b.u("general_profile_idc", 8)? as u8;
                if self.profile > 1 {
                    return Err(Fault::new(
                        Class::Unsupported,
                        Stage::Header,
                        bit,
                        "2.3 general_profile_idc",
                    ));
                }
                Ok(Header::Start)
            }
            NNR_MPS => Ok(Header::ModelParameterSet),
            NNR_LPS => layer_parameter_set_header(b).map(|()| Header::LayerParameterSet),
            NNR_TPL => topology::topology_header(b).map(Header::Topology),
            NNR_QNT => topology::quantization_header(b).map(Header::Quantization),
            _ => DataUnitHeader::parse(b, self.profile, &self.parameters, &self.references)
                .map(|header| Header::Data(Box::new(header))),
        }
    }
}

impl Decoder {
    /// Decoder with the shapes that the application supplies.
    pub fn new(shapes: Shapes) -> Self {
        Self {
            shapes,
            ..Self::default()
        }
    }

    /// Trace the syntax of the streams.
    pub fn with_trace(self) -> Self {
        Self {
            is_traced: true,
            ..self
        }
    }

    /// Decode the next stream of the sequence.
    pub fn decode(&mut self, stream: &[u8]) -> Result<Answer, Fault> {
        if stream.is_empty() {
            return Err(Fault::framing(0, "2.1 empty stream"));
        }
        let mut answer = Answer::default();
        let mut state = StreamState::default();
        let mut order = UnitOrder::default();
        let mut parts = Parts::default();
        let trace = Trace::new(self.is_traced);
        let mut start = 0;
        while start < stream.len() {
            let frame = frame(stream, start, &mut order, parts.unit_type())?;
            frame.trace(&trace);
            answer.units.push(UnitFrame {
                nnr_unit_type: frame.unit_type,
                byte_offset: start,
                nnr_unit_size: frame.size_bytes,
            });
            start += frame.size_bytes;
            if !parts.admit(&frame)? {
                continue;
            }
            let container = Container::new(frame.body, frame.body_bit);
            let mut b = Bits::traced(&container, &trace);
            let header = state.header(frame.unit_type, &mut b)?;
            let header_bytes = (b.position() / 8) as usize;
            if let Some((header, payload)) = parts.collect(&frame, header, header_bytes)? {
                let b = Bits::traced(&payload, &trace);
                self.payload(
                    header,
                    &payload,
                    b,
                    frame.first_bit,
                    &mut state,
                    &mut answer,
                )?;
            }
        }
        parts.finish(8 * stream.len() as u64)?;
        answer.trace = trace.into_text();
        Ok(answer)
    }

    /// The payload of a complete unit: steps 9 to 12 of 7.4.
    fn payload(
        &mut self,
        header: Header,
        payload: &Container,
        mut b: Bits,
        unit_bit: u64,
        state: &mut StreamState,
        answer: &mut Answer,
    ) -> Result<(), Fault> {
        match header {
            Header::Start => b.end()?,
            Header::ModelParameterSet => {
                state
                    .parameters
                    .model_parameter_set(&mut b, state.profile)?;
            }
            Header::LayerParameterSet => state.parameters.layer_parameter_set(&mut b)?,
            Header::Topology(formats) => {
                let topology = topology::topology_payload(&mut b, formats)?;
                answer.topology.push(topology.data);
                if let Some(names) = topology.reference_list {
                    state.references = names;
                }
            }
            Header::Quantization(formats) => topology::quantization_payload(&mut b, formats)?,
            Header::Data(header) => {
                let mut surroundings = Surroundings {
                    profile: state.profile,
                    parameters: &state.parameters,
                    shapes: &self.shapes,
                    memory: &mut self.memory,
                    stream_elements: &mut state.elements,
                    unit_bit,
                };
                let tensors = decode_data_unit(*header, payload, &mut surroundings)?;
                answer.tensors.extend(tensors);
            }
        }
        Ok(())
    }
}
