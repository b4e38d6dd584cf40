// SPDX-License-Identifier: Apache-2.0
//! Clause 2.4: units in parts.

use crate::container::Container;
use crate::fault::{Class, Fault, Stage};
use crate::framing::{Frame, NNR_AGG, NNR_STR};

struct Open<'a, H> {
    unit_type: u8,
    next_counter: u8,
    header_bytes: &'a [u8],
    header: H,
    payload: Container<'a>,
}

/// The unit whose parts are arriving, with a parsed header of type `H`.
pub struct Parts<'a, H> {
    open: Option<Open<'a, H>>,
}

impl<H> Default for Parts<'_, H> {
    fn default() -> Self {
        Self { open: None }
    }
}

impl<'a, H> Parts<'a, H> {
    /// Type of the open parts.
    pub fn unit_type(&self) -> Option<u8> {
        self.open.as_ref().map(|open| open.unit_type)
    }

    /// Steps 4 and 5 of 7.4. Returns false for a unit that is skipped.
    pub fn admit(&self, frame: &Frame) -> Result<bool, Fault> {
        if self.unit_type().is_some_and(|t| t != frame.unit_type) {
            return Err(Fault::framing(frame.part_bit(), "2.4 unit between parts"));
        }
        match (frame.unit_type, frame.counter) {
            (NNR_AGG, _) => Err(Fault::new(
                Class::Unsupported,
                Stage::Framing,
                frame.first_bit,
                "2.10 aggregate unit",
            )),
            (NNR_STR, Some(counter)) if counter.value > 0 => {
                Err(Fault::framing(counter.bit, "2.4 start unit in parts"))
            }
            (unit_type, _) => Ok(unit_type < NNR_AGG),
        }
    }

    /// Step 8 of 7.4. Returns header and payload once the unit is complete; the header is that of
    /// the first part.
    pub fn collect(
        &mut self,
        frame: &Frame<'a>,
        header: H,
        header_bytes: usize,
    ) -> Result<Option<(H, Container<'a>)>, Fault> {
        let (header_bytes, payload) = frame.body.split_at(header_bytes.min(frame.body.len()));
        let payload_bit = frame.body_bit + 8 * header_bytes.len() as u64;
        let counter = frame.counter.map(|counter| counter.value);
        let open = match self.open.take() {
            None => Open {
                unit_type: frame.unit_type,
                next_counter: 0,
                header_bytes,
                header,
                payload: Container::new(payload, payload_bit),
            },
            Some(mut open) => {
                if counter != Some(open.next_counter) {
                    return Err(Fault::framing(frame.part_bit(), "2.4 partial_data_counter"));
                }
                if header_bytes != open.header_bytes {
                    return Err(Fault::framing(frame.part_bit(), "2.4 header of a part"));
                }
                open.payload.append(payload, payload_bit);
                open
            }
        };
        match counter.and_then(|counter| counter.checked_sub(1)) {
            None => Ok(Some((open.header, open.payload))),
            Some(next_counter) => {
                self.open = Some(Open {
                    next_counter,
                    ..open
                });
                Ok(None)
            }
        }
    }

    /// The end of the stream, at its bit `end`.
    pub fn finish(&self, end: u64) -> Result<(), Fault> {
        match self.open {
            None => Ok(()),
            Some(_) => Err(Fault::new(
                Class::Truncated,
                Stage::Framing,
                end,
                "2.4 stream ends between parts",
            )),
        }
    }
}
