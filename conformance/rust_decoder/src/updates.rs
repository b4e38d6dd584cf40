// SPDX-License-Identifier: Apache-2.0
//! Clause 5.6: remembered updates, parents and history.

use crate::fault::{Class, Fault, Stage};
use crate::limits;
use crate::nodes::{Node, Parent, ParentId};
use crate::sha2::{sha256, sha512};
use std::collections::HashMap;
use std::rc::Rc;

/// Levels and history of one tensor.
pub struct RememberedTensor {
    pub shape: Vec<u64>,
    levels: Rc<Vec<i32>>,
    history: Vec<bool>,
}

impl RememberedTensor {
    /// Remember the levels of a tensor, whose previous update may be known.
    pub fn new(shape: Vec<u64>, levels: Rc<Vec<i32>>, previous: Option<&Self>) -> Self {
        let history = levels.iter().enumerate().map(|(position, &level)| {
            level != 0 || previous.is_some_and(|tensor| tensor.history(position))
        });
        let history = history.collect();
        Self {
            shape,
            levels,
            history,
        }
    }

    pub fn level(&self, position: usize) -> i32 {
        self.levels.get(position).copied().unwrap_or(0)
    }

    /// Whether the level of this update or of any ancestor was not 0.
    pub fn history(&self, position: usize) -> bool {
        self.history.get(position).copied().unwrap_or(false)
    }
}

/// A decoded unit: its tensors in payload order.
pub type Update = Rc<Vec<RememberedTensor>>;

/// Updates that a decoder remembers over the streams of a sequence (5.6.1).
#[derive(Default)]
pub struct Memory {
    by_node: HashMap<Node, Update>,
    /// Remembered updates by `device_id` and `parameter_id`.
    counts: HashMap<(u64, u64), usize>,
    by_sha256: HashMap<[u8; 32], Update>,
    by_sha512: HashMap<[u8; 64], Update>,
}

impl Memory {
    /// Previous update that the parent of a unit refers to; `own` is the node of the unit.
    pub fn previous_update(
        &self,
        own: Option<&Node>,
        parent: &Parent,
    ) -> Result<Option<Update>, Fault> {
        match &parent.id {
            ParentId::Sha256(digest) => Ok(self.by_sha256.get(digest).cloned()),
            ParentId::Sha512(digest) => Ok(self.by_sha512.get(digest).cloned()),
            &ParentId::Node {
                parent_device_id,
                parameter_id,
                put_node_depth,
                depth_bit,
            } => {
                let Some(put_node_depth) = put_node_depth.checked_sub(1) else {
                    return Ok(None);
                };
                let node = Node {
                    device_id: parent_device_id,
                    parameter_id,
                    put_node_depth,
                };
                let update = self.by_node.get(&node);
                let continues = own.is_some_and(|own| {
                    own.device_id == parent_device_id || parent.temporal_context_modeling_flag
                });
                let is_late = put_node_depth >= 1 && continues;
                let is_known = self.counts.contains_key(&(parent_device_id, parameter_id));
                if update.is_none() && (is_known || is_late) {
                    return Err(Fault::new(
                        Class::Malformed,
                        Stage::Sequence,
                        depth_bit,
                        "5.6.1 missing parent",
                    ));
                }
                Ok(update.cloned())
            }
        }
    }

    /// Remember a unit under its node and the digests of its payload; faults stand at `unit_bit`.
    pub fn remember(
        &mut self,
        node: Option<Node>,
        payload: &[u8],
        tensors: Vec<RememberedTensor>,
        unit_bit: u64,
    ) -> Result<(), Fault> {
        let update = Rc::new(tensors);
        if let Some(node) = node {
            if self.by_node.insert(node, update.clone()).is_none() {
                let parameter = (node.device_id, node.parameter_id);
                let count = self.counts.entry(parameter).or_insert(0);
                *count += 1;
                if *count > limits::REMEMBERED_UPDATES {
                    return Err(Fault::new(
                        Class::Limit,
                        Stage::Sequence,
                        unit_bit,
                        "7.3 remembered updates of one parameter",
                    ));
                }
            }
        }
        self.by_sha256.insert(sha256(payload), update.clone());
        self.by_sha512.insert(sha512(payload), update);
        Ok(())
    }
}
