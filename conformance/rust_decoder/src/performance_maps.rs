// SPDX-License-Identifier: Apache-2.0
//! Clause 2.7: performance maps, parsed for the elements behind them.

use crate::bits::Bits;
use crate::fault::Fault;

fn floats(b: &mut Bits, count: u64) -> Result<(), Fault> {
    for _ in 0..count {
        b.flt()?;
    }
    Ok(())
}

/// Entries of a counted list: one less than the count, none for 0 (decision 0001).
fn entries(count: u64) -> u64 {
    count.saturating_sub(1)
}

/// `*_count_classes`, `*_class_bitmask` and `*_nn_class_accuracy`.
fn classes(b: &mut Bits) -> Result<(), Fault> {
    let count_classes = b.u(8)?;
    b.class_bitmask()?;
    floats(b, count_classes)
}

pub fn sparsification_performance_map(b: &mut Bits) -> Result<(), Fault> {
    let spm_count_thresholds = b.u(8)?;
    for _ in 0..entries(spm_count_thresholds) {
        floats(b, 3)?; // sparsification_threshold, non_zero_ratio, spm_nn_accuracy
        classes(b)?;
    }
    Ok(())
}

pub fn pruning_performance_map(b: &mut Bits) -> Result<(), Fault> {
    let ppm_count_pruning_ratios = b.u(8)?;
    for _ in 0..entries(ppm_count_pruning_ratios) {
        floats(b, 2)?; // pruning_ratio, ppm_nn_accuracy
        classes(b)?;
    }
    Ok(())
}

pub fn unification_performance_map(b: &mut Bits) -> Result<(), Fault> {
    let upm_count_thresholds = b.u(8)?;
    for _ in 0..entries(upm_count_thresholds) {
        let count_reshaped_tensor_dimension = b.ue(1)?;
        for _ in 0..entries(count_reshaped_tensor_dimension) {
            let _reshaped_tensor_dimensions = b.ue(7)?;
        }
        b.byte_alignment()?;
        for _ in 0..2 {
            // count_super_block_dimension and its list, then count_block_dimension and its list.
            let count = b.u(8)?;
            for _ in 0..entries(count) {
                b.u(8)?;
            }
        }
        floats(b, 2)?; // unification_threshold, upm_nn_accuracy
        classes(b)?;
    }
    Ok(())
}

pub fn decomposition_performance_map(b: &mut Bits) -> Result<(), Fault> {
    let dpm_count_thresholds = b.u(8)?;
    for _ in 0..entries(dpm_count_thresholds) {
        floats(b, 3)?; // mse_threshold, dpm_nn_accuracy, nn_reduction_ratio
        let dpm_count_classes = b.u(16)?;
        floats(b, dpm_count_classes)?;
    }
    Ok(())
}
