// SPDX-License-Identifier: Apache-2.0
//! Clause 3.2.2: nodes and parents.

use crate::bits::Bits;
use crate::fault::Fault;

/// Identifier of a data unit in a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    pub device_id: u64,
    pub parameter_id: u64,
    pub put_node_depth: u64,
}

/// How a unit names its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParentId {
    /// The parent is the node of one depth less.
    Node {
        parent_device_id: u64,
        parameter_id: u64,
        put_node_depth: u64,
        /// Position of `put_node_depth`.
        depth_bit: u64,
    },
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

/// The parent of a unit.
pub struct Parent {
    pub id: ParentId,
    pub temporal_context_modeling_flag: bool,
}

/// Node and parent of a unit, where present.
#[derive(Default)]
pub struct Lineage {
    pub node: Option<Node>,
    pub parent: Option<Parent>,
}

const ICNN_NDU_ID: u64 = 0;
const ICNN_NDU_PL_SHA256: u64 = 1;
const ICNN_NDU_PL_SHA512: u64 = 2;

impl Lineage {
    /// The elements of profile 1 from `node_id_present_flag` on.
    pub fn parse(b: &mut Bits, parent_signalling_enabled_flag: bool) -> Result<Self, Fault> {
        let mut lineage = Self::default();
        let mut depth_bit = 0;
        if b.flag("node_id_present_flag")? {
            let device_id = b.ue("device_id", 1)?;
            let parameter_id = b.ue("parameter_id", 5)?;
            depth_bit = b.offset();
            lineage.node = Some(Node {
                device_id,
                parameter_id,
                put_node_depth: b.ue("put_node_depth", 4)?,
            });
        }
        if !parent_signalling_enabled_flag || !b.flag("parent_node_id_present_flag")? {
            return Ok(lineage);
        }
        let type_bit = b.offset();
        let parent_node_id_type = b.u("parent_node_id_type", 2)?;
        if parent_node_id_type > ICNN_NDU_PL_SHA512 {
            return Err(Fault::header(
                type_bit,
                "3.2.2 reserved parent_node_id_type",
            ));
        }
        let temporal_context_modeling_flag = b.flag("temporal_context_modeling_flag")?;
        let id = match parent_node_id_type {
            ICNN_NDU_ID => {
                let parent_device_id = b.ue("parent_device_id", 1)?;
                let (parameter_id, put_node_depth) = match lineage.node {
                    Some(node) => (node.parameter_id, node.put_node_depth),
                    None => {
                        let parameter_id = b.ue("parameter_id", 5)?;
                        depth_bit = b.offset();
                        (parameter_id, b.ue("put_node_depth", 4)?)
                    }
                };
                ParentId::Node {
                    parent_device_id,
                    parameter_id,
                    put_node_depth,
                    depth_bit,
                }
            }
            ICNN_NDU_PL_SHA256 => ParentId::Sha256(b.bytes("parent_node_payload_sha256")?),
            _ => ParentId::Sha512(b.bytes("parent_node_payload_sha512")?),
        };
        lineage.parent = Some(Parent {
            id,
            temporal_context_modeling_flag,
        });
        Ok(lineage)
    }
}
