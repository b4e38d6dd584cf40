// SPDX-License-Identifier: Apache-2.0
//! Clauses 2.5 and 2.6: model and layer parameter sets.

use crate::bits::Bits;
use crate::fault::Fault;
use crate::performance_maps as maps;

/// Density and parameter of quantisation (4.1).
#[derive(Clone, Copy)]
pub struct Quantisation {
    pub qp_density: u32,
    pub quantization_parameter: i64,
}

/// Values of the parameter sets in force.
#[derive(Default)]
pub struct Parameters {
    pub topology_indexed_reference_flag: bool,
    pub parent_signalling_enabled_flag: bool,
    pub quantisation: Option<Quantisation>,
}

impl Parameters {
    /// `nnr_model_parameter_set_unit_payload()`.
    pub fn model_parameter_set(&mut self, b: &mut Bits, profile: u8) -> Result<(), Fault> {
        let _topology_carriage_flag = b.flag("topology_carriage_flag")?;
        let sparsification_flag = b.flag("mps_sparsification_flag")?;
        let pruning_flag = b.flag("mps_pruning_flag")?;
        let unification_flag = b.flag("mps_unification_flag")?;
        let decomposition_flag = b.flag("mps_decomposition_performance_map_flag")?;
        let quantization_method_flags = b.u("mps_quantization_method_flags", 3)?;
        self.topology_indexed_reference_flag = b.flag("mps_topology_indexed_reference_flag")?;
        let mut validation_set_performance_present_flag = false;
        if profile == 1 {
            let base_model_id_present_flag = b.flag("base_model_id_present_flag")?;
            validation_set_performance_present_flag =
                b.flag("validation_set_performance_present_flag")?;
            let metric_type_performance_map_valid_flag =
                b.flag("metric_type_performance_map_valid_flag")?;
            self.parent_signalling_enabled_flag = b.flag("mps_parent_signalling_enabled_flag")?;
            if self.parent_signalling_enabled_flag {
                let _nnr_pre_flag = b.flag("nnr_pre_flag")?;
            } else {
                b.reserved_zero("nnr_reserved_zero_1bit", 1)?;
            }
            b.reserved_zero("nnr_reserved_zero_2bits", 2)?;
            if base_model_id_present_flag {
                let _base_model_id = b.st("base_model_id")?;
            }
            if validation_set_performance_present_flag || metric_type_performance_map_valid_flag {
                let _performance_metric_type = b.st("performance_metric_type")?;
            }
        } else {
            b.reserved_zero("nnr_reserved_zero_7bits", 7)?;
        }
        self.quantisation(
            b,
            quantization_method_flags,
            ["mps_qp_density", "mps_quantization_parameter"],
        )?;
        if sparsification_flag {
            maps::sparsification_performance_map(b)?;
        }
        if pruning_flag {
            maps::pruning_performance_map(b)?;
        }
        if unification_flag {
            maps::unification_performance_map(b)?;
        }
        if decomposition_flag {
            maps::decomposition_performance_map(b)?;
        }
        if validation_set_performance_present_flag {
            let _validation_set_performance = b.flt("validation_set_performance")?;
        }
        b.byte_alignment()?;
        b.end()
    }

    /// `nnr_layer_parameter_set_unit_payload()`.
    pub fn layer_parameter_set(&mut self, b: &mut Bits) -> Result<(), Fault> {
        b.reserved_zero("nnr_reserved_zero_1bit", 1)?;
        let sparsification_flag = b.flag("lps_sparsification_flag")?;
        let pruning_flag = b.flag("lps_pruning_flag")?;
        let unification_flag = b.flag("lps_unification_flag")?;
        let quantization_method_flags = b.u("lps_quantization_method_flags", 3)?;
        b.reserved_zero("nnr_reserved_zero_1bit", 1)?;
        self.quantisation(
            b,
            quantization_method_flags,
            ["lps_qp_density", "lps_quantization_parameter"],
        )?;
        if sparsification_flag {
            maps::sparsification_performance_map(b)?;
        }
        if pruning_flag {
            maps::pruning_performance_map(b)?;
        }
        if unification_flag {
            maps::unification_performance_map(b)?;
        }
        b.byte_alignment()?;
        b.end()
    }

    /// `*_qp_density` and `*_quantization_parameter`, which replace those in force.
    fn quantisation(
        &mut self,
        b: &mut Bits,
        method_flags: u64,
        [density, parameter]: [&'static str; 2],
    ) -> Result<(), Fault> {
        if method_flags & 3 != 0 {
            self.quantisation = Some(Quantisation {
                qp_density: b.u(density, 3)? as u32,
                quantization_parameter: b.i(parameter, 13)?,
            });
        }
        Ok(())
    }
}

/// `nnr_layer_parameter_set_unit_header()`.
pub fn layer_parameter_set_header(b: &mut Bits) -> Result<(), Fault> {
    let _lps_self_contained_flag = b.flag("lps_self_contained_flag")?;
    b.reserved_zero("nnr_reserved_zero_7bits", 7)
}
