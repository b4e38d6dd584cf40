// SPDX-License-Identifier: Apache-2.0
//! Clause 2.7: performance maps, parsed for the elements behind them.

use crate::bits::Bits;
use crate::fault::Fault;

/// Entries of a counted list: one less than the count, none for 0 (decision 0001).
fn entries(count: u64) -> u64 {
    count.saturating_sub(1)
}

pub fn sparsification_performance_map(b: &mut Bits) -> Result<(), Fault> {
    let spm_count_thresholds = b.u("spm_count_thresholds", 8)?;
    for _ in 0..entries(spm_count_thresholds) {
        b.flt("sparsification_threshold")?;
        b.flt("non_zero_ratio")?;
        b.flt("spm_nn_accuracy")?;
        let spm_count_classes = b.u("spm_count_classes", 8)?;
        b.class_bitmask("spm_class_bitmask")?;
        for _ in 0..spm_count_classes {
            b.flt("spm_nn_class_accuracy")?;
        }
    }
    Ok(())
}

pub fn pruning_performance_map(b: &mut Bits) -> Result<(), Fault> {
    let ppm_count_pruning_ratios = b.u("ppm_count_pruning_ratios", 8)?;
    for _ in 0..entries(ppm_count_pruning_ratios) {
        b.flt("pruning_ratio")?;
        b.flt("ppm_nn_accuracy")?;
        let ppm_count_classes = b.u("ppm_count_classes", 8)?;
        b.class_bitmask("ppm_class_bitmask")?;
        for _ in 0..ppm_count_classes {
            b.flt("ppm_nn_class_accuracy")?;
        }
    }
    Ok(())
}

pub fn unification_performance_map(b: &mut Bits) -> Result<(), Fault> {
    let upm_count_thresholds = b.u("upm_count_thresholds", 8)?;
    for _ in 0..entries(upm_count_thresholds) {
        let count_reshaped_tensor_dimension = b.ue("count_reshaped_tensor_dimension", 1)?;
        for _ in 0..entries(count_reshaped_tensor_dimension) {
            b.ue("reshaped_tensor_dimensions", 7)?;
        }
        b.byte_alignment()?;
        let count_super_block_dimension = b.u("count_super_block_dimension", 8)?;
        for _ in 0..entries(count_super_block_dimension) {
            b.u("super_block_dimensions", 8)?;
        }
        let count_block_dimension = b.u("count_block_dimension", 8)?;
        for _ in 0..entries(count_block_dimension) {
            b.u("block_dimensions", 8)?;
        }
        b.flt("unification_threshold")?;
        b.flt("upm_nn_accuracy")?;
        let upm_count_classes = b.u("upm_count_classes", 8)?;
        b.class_bitmask("upm_class_bitmask")?;
        for _ in 0..upm_count_classes {
            b.flt("upm_nn_class_accuracy")?;
        }
    }
    Ok(())
}

pub fn decomposition_performance_map(b: &mut Bits) -> Result<(), Fault> {
    let dpm_count_thresholds = b.u("dpm_count_thresholds", 8)?;
    for _ in 0..entries(dpm_count_thresholds) {
        b.flt("mse_threshold")?;
        b.flt("dpm_nn_accuracy")?;
        b.flt("nn_reduction_ratio")?;
        let dpm_count_classes = b.u("dpm_count_classes", 16)?;
        for _ in 0..dpm_count_classes {
            b.flt("dpm_nn_class_accuracy")?;
        }
    }
    Ok(())
}
