// SPDX-License-Identifier: Apache-2.0
//! Clause 3.4: the tensors of a unit, in the order of names and of the payload.

use crate::factors::Factor;
use crate::header::{DataUnitHeader, PayloadType};

const NNR_CPT_LS: u64 = 2;
const NNR_CPT_BN: u64 = 4;
const NNR_CPT_BI: u64 = 8;

/// Part of a tensor in its unit, in payload order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    LocalScaling,
    Bias,
    Beta,
    Gamma,
    Mean,
    Var,
    Weight,
    G,
    H,
}

/// A tensor that the payload of a unit carries.
#[derive(Clone)]
pub struct UnitTensor {
    role: Role,
    /// Index into the names of the unit.
    pub name: usize,
    pub shape: Vec<u64>,
}

impl UnitTensor {
    /// Whether `scan_order` holds for the tensor.
    pub fn is_scanned(&self) -> bool {
        self.role >= Role::Weight
    }

    /// Whether the tensor has the unit's first codebook.
    pub fn has_codebook(&self) -> bool {
        matches!(self.role, Role::Weight | Role::G)
    }

    /// Whether the tensor has the unit's second codebook.
    pub fn has_second_codebook(&self) -> bool {
        self.role == Role::H
    }
}

/// The tensors of a unit in the order of names.
pub struct Roles(Vec<UnitTensor>);

impl Roles {
    /// Tensors of a unit whose weight has the given dimensions.
    pub fn of(header: &DataUnitHeader, dimensions: &[u64]) -> Self {
        let mut roles = Self(Vec::new());
        if header.payload_type != PayloadType::Block {
            let shape = match (header.decomposition, Factor::of_names(&header.names)) {
                (Some(decomposition), Some(factor)) => decomposition.shape(factor, dimensions),
                _ => dimensions.to_vec(),
            };
            roles.push(Role::Weight, shape);
            return roles;
        }
        match header.decomposition {
            Some(decomposition) => {
                roles.push(Role::G, decomposition.shape(Factor::G, dimensions));
                roles.push(Role::H, decomposition.shape(Factor::H, dimensions));
            }
            None => roles.push(Role::Weight, dimensions.to_vec()),
        }
        let announced = |bit| header.compressed_parameter_types & bit != 0;
        let rows = rows(dimensions);
        if announced(NNR_CPT_LS) {
            roles.push(Role::LocalScaling, vec![rows]);
        }
        if announced(NNR_CPT_BN) {
            for role in [Role::Beta, Role::Gamma, Role::Mean, Role::Var] {
                roles.push(role, vec![rows]);
            }
        }
        if announced(NNR_CPT_BI) {
            roles.push(Role::Bias, vec![rows]);
        }
        roles
    }

    fn push(&mut self, role: Role, shape: Vec<u64>) {
        let name = self.0.len();
        self.0.push(UnitTensor { role, name, shape });
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn in_payload_order(&self) -> Vec<UnitTensor> {
        let mut tensors = self.0.clone();
        tensors.sort_by_key(|tensor| tensor.role);
        tensors
    }

    /// Elements of the largest tensor.
    pub fn max_elements(&self) -> u64 {
        let sizes = self.0.iter().map(|tensor| elements(&tensor.shape));
        sizes.max().unwrap_or(0)
    }

    /// Elements of all tensors.
    pub fn total_elements(&self) -> u64 {
        let sizes = self.0.iter().map(|tensor| elements(&tensor.shape));
        sizes.fold(0, u64::saturating_add)
    }
}

/// Number of elements, saturated at 2^64 - 1.
pub fn elements(shape: &[u64]) -> u64 {
    if shape.contains(&0) {
        return 0;
    }
    shape
        .iter()
        .fold(1, |product, &n| product.saturating_mul(n))
}

/// First dimension; 1 without dimensions.
pub fn rows(shape: &[u64]) -> u64 {
    shape.first().copied().unwrap_or(1)
}

/// Product of the other dimensions.
pub fn width(shape: &[u64]) -> u64 {
    elements(shape.get(1..).unwrap_or(&[]))
}
