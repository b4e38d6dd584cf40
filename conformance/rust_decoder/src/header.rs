// SPDX-License-Identifier: Apache-2.0
//! Clause 3.2: the header of a compressed data unit.

use crate::bits::Bits;
use crate::codebook::Codebook;
use crate::factors::{Decomposition, Factor};
use crate::fault::{Class, Fault, Stage};
use crate::limits;
use crate::names;
use crate::nodes::Lineage;
use crate::parameter_sets::Parameters;
use crate::tensors::Roles;

/// `nnr_compressed_data_unit_payload_type` (3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadType {
    Int,
    Float,
    RawFloat,
    Block,
}

impl PayloadType {
    /// Whether the payload has a quantisation parameter.
    pub fn is_quantised(self) -> bool {
        matches!(self, Self::Float | Self::Block)
    }
}

const NNR_CPT_DC: u64 = 1;
const GREATEST_DATA_FORMAT: u64 = 9;
const GREATEST_SCAN_ORDER: u64 = 4;

/// Header of a compressed data unit.
pub struct DataUnitHeader {
    pub payload_type: PayloadType,
    pub names: Vec<String>,
    pub lineage: Lineage,
    pub codebook: Option<Codebook>,
    pub second_codebook: Option<Codebook>,
    pub dq_flag: bool,
    pub compressed_parameter_types: u64,
    pub decomposition: Option<Decomposition>,
    /// The sent shape; `None` when the application supplies it.
    pub tensor_dimensions: Option<Vec<u64>>,
    /// U, `cabac_unary_length_minus1` + 1.
    pub cabac_unary_length: usize,
    pub scan_order: u32,
}

impl DataUnitHeader {
    /// `nnr_compressed_data_unit_header()`: steps 6 and 7 of 7.4.
    pub fn parse(
        b: &mut Bits,
        profile: u8,
        parameters: &Parameters,
        references: &[String],
    ) -> Result<Self, Fault> {
        let type_bit = b.offset();
        let payload_type = match b.u("nnr_compressed_data_unit_payload_type", 5)? {
            0 => PayloadType::Int,
            1 => PayloadType::Float,
            2 => PayloadType::RawFloat,
            3 => PayloadType::Block,
            _ => return Err(Fault::header(type_bit, "3.1 reserved payload type")),
        };
        let is_block = payload_type == PayloadType::Block;
        let multiple_bit = b.offset();
        let multiple_topology_elements = b.flag("nnr_multiple_topology_elements_present_flag")?;
        if multiple_topology_elements && !is_block {
            return Err(Fault::new(
                Class::Unsupported,
                Stage::Header,
                multiple_bit,
                "3.2 several names outside a block unit",
            ));
        }
        let decompressed_data_format_present_flag =
            b.flag("nnr_decompressed_data_format_present_flag")?;
        let input_parameters_present_flag = b.flag("input_parameters_present_flag")?;

        let names_bit = b.offset();
        let names = match (
            multiple_topology_elements,
            parameters.topology_indexed_reference_flag,
        ) {
            (true, false) => names::topology_elements_ids_list(b)?,
            (true, true) => names::topology_elements_index_list(b, references)?,
            (false, false) => vec![b.st("topology_elem_id")?],
            (false, true) => vec![names::indexed_name(
                b,
                "topology_elem_id_index",
                references,
            )?],
        };

        let mut lineage = Lineage::default();
        if profile == 1 {
            lineage = Lineage::parse(b, parameters.parent_signalling_enabled_flag)?;
        }
        let mut header = Self {
            payload_type,
            names,
            lineage,
            codebook: None,
            second_codebook: None,
            dq_flag: false,
            compressed_parameter_types: 0,
            decomposition: None,
            tensor_dimensions: None,
            cabac_unary_length: 10,
            scan_order: 0,
        };
        if payload_type.is_quantised() && b.flag("codebook_present_flag")? {
            header.codebook = Some(Codebook::parse(b)?);
        }
        if payload_type != PayloadType::RawFloat {
            header.dq_flag = b.flag("dq_flag")?;
        }
        if decompressed_data_format_present_flag {
            let bit = b.offset();
            if b.u("nnr_decompressed_data_format", 7)? > GREATEST_DATA_FORMAT {
                return Err(Fault::header(bit, "3.2 reserved data format"));
            }
        }
        let mut types_bit = type_bit;
        let mut dimensions_bit = b.offset();
        if input_parameters_present_flag {
            (types_bit, dimensions_bit) = header.parse_input_parameters(b, names_bit)?;
        }
        if is_block && header.decomposition.is_some() && header.codebook.is_some() {
            header.second_codebook = Some(Codebook::parse(b)?);
        }
        let dimensions = header.tensor_dimensions.as_deref().unwrap_or(&[]);
        if dimensions.len() > 1 {
            if profile == 1 {
                b.ue("first_tensor_dimension_shift", 1)?;
            }
            let bit = b.offset();
            let scan_order = b.u("scan_order", 4)?;
            if scan_order > GREATEST_SCAN_ORDER {
                return Err(Fault::header(bit, "3.2 reserved scan_order"));
            }
            header.scan_order = scan_order as u32;
            if scan_order > 0 {
                header.parse_entry_points(b)?;
            }
        }
        b.byte_alignment()?;
        header.check(types_bit, dimensions_bit)?;
        Ok(header)
    }

    /// `tensor_dimensions_flag` to `cabac_unary_length_minus1`. Returns the positions of
    /// `compressed_parameter_types` and `tensor_dimensions[0]`.
    fn parse_input_parameters(&mut self, b: &mut Bits, name_bit: u64) -> Result<(u64, u64), Fault> {
        let tensor_dimensions_flag = b.flag("tensor_dimensions_flag")?;
        let cabac_unary_length_flag = b.flag("cabac_unary_length_flag")?;
        let types_bit = b.offset();
        self.compressed_parameter_types = b.u("compressed_parameter_types", 4)?;
        if self.compressed_parameter_types & NNR_CPT_DC != 0 {
            let decomposition_rank = b.ue("decomposition_rank", 3)?;
            let rows_bit = b.offset();
            self.decomposition = Some(Decomposition {
                decomposition_rank,
                g_number_of_rows: b.ue("g_number_of_rows", 3)?,
                rows_bit,
            });
            if self.payload_type != PayloadType::Block && Factor::of_names(&self.names).is_none() {
                return Err(Fault::header(name_bit, "3.4 factor without _G or _H"));
            }
        }
        let mut dimensions_bit = b.offset();
        if tensor_dimensions_flag {
            let bit = b.offset();
            let count_tensor_dimensions = b.ue("count_tensor_dimensions", 1)?;
            if count_tensor_dimensions > limits::DIMENSIONS {
                return Err(Fault::limit(bit, "7.3 dimensions"));
            }
            dimensions_bit = b.offset();
            let dimensions = (0..count_tensor_dimensions).map(|_| b.ue("tensor_dimensions", 7));
            self.tensor_dimensions = Some(dimensions.collect::<Result<_, _>>()?);
        }
        if cabac_unary_length_flag {
            self.cabac_unary_length = b.u("cabac_unary_length_minus1", 8)? as usize + 1;
        }
        Ok((types_bit, dimensions_bit))
    }

    /// The entry points (3.2.4), which a decoder that decodes straight through ignores.
    fn parse_entry_points(&self, b: &mut Bits) -> Result<(), Fault> {
        let roles = Roles::of(self, self.tensor_dimensions.as_deref().unwrap_or(&[]));
        let block_rows = |shape: &[u64]| {
            shape
                .first()
                .map_or(1, |r| r.div_ceil(4 << self.scan_order))
        };
        let scanned = roles
            .in_payload_order()
            .into_iter()
            .filter(|t| t.is_scanned());
        let num_entry_points = scanned
            .map(|t| block_rows(&t.shape).saturating_sub(1))
            .fold(0, u64::saturating_add);
        if num_entry_points > limits::ENTRY_POINTS {
            return Err(Fault::limit(b.offset(), "7.3 entry points of a unit"));
        }
        for j in 0..num_entry_points {
            b.u("cabac_offset_value", 8)?;
            if self.dq_flag {
                b.u("dq_state", 3)?;
            }
            if j == 0 {
                b.ue("bit_offset_delta1", 11)?;
            } else {
                b.ie("bit_offset_delta2", 7)?;
            }
        }
        Ok(())
    }

    /// Rules that concern several elements: step 7 of 7.4.
    fn check(&self, types_bit: u64, dimensions_bit: u64) -> Result<(), Fault> {
        let dimensions = self.tensor_dimensions.as_deref();
        let roles = Roles::of(self, dimensions.unwrap_or(&[]));
        if roles.len() != self.names.len() {
            return Err(Fault::header(types_bit, "3.4 number of names"));
        }
        for codebook in [&self.codebook, &self.second_codebook]
            .into_iter()
            .flatten()
        {
            codebook.check_entries()?;
        }
        let Some(dimensions) = dimensions else {
            return Ok(());
        };
        if let Some(decomposition) = self.decomposition {
            decomposition.check(dimensions, decomposition.rows_bit)?;
        }
        if roles.max_elements() > limits::TENSOR_ELEMENTS {
            return Err(Fault::limit(dimensions_bit, "7.3 elements of one tensor"));
        }
        Ok(())
    }
}
