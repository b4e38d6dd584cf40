//! Clauses 2 to 4: units, parameter sets, data units and values.

use crate::arithmetic::Arithmetic;
use crate::bits::Bits;
use crate::fault::{Class, Fault};
use crate::tensor::{levels, Choices};

/// A decoded tensor: the bytes of its values, little-endian.
pub struct Tensor {
    pub name: String,
    pub integer: bool,
    pub shape: Vec<u64>,
    pub bytes: Vec<u8>,
}

fn bad<T>(bit: u64, text: &'static str) -> Result<T, Fault> {
    Err(Fault::new(Class::Malformed, bit, text))
}

fn lacking<T>(bit: u64, text: &'static str) -> Result<T, Fault> {
    Err(Fault::new(Class::Unsupported, bit, text))
}

#[derive(Default)]
struct State {
    profile: u64,
    parents: bool,
    quantiser: Option<(u32, i64)>,
}

/// Tensors of one stream.
pub fn decode(stream: &[u8]) -> Result<Vec<Tensor>, Fault> {
    let (mut state, mut tensors, mut start) = (State::default(), Vec::new(), 0usize);
    let (mut mps, mut data) = (false, false);
    if stream.is_empty() {
        return bad(0, "2.1");
    }
    while start < stream.len() {
        let base = 8 * start as u64;
        let mut b = Bits::new(&stream[start..], base);
        let long = b.u(1)? as u32;
        let size = b.u(15 + 16 * long)? as usize;
        if size < 3 + 2 * long as usize {
            return bad(base + 1, "2.2");
        }
        let Some(unit) = stream.get(start..start.saturating_add(size)) else {
            return Err(Fault::new(Class::Truncated, base + 1, "2.2"));
        };
        let mut b = Bits::new(unit, base);
        b.u(16 + 16 * long)?;
        let bit = b.offset();
        let kind = b.u(6)?;
        if (kind == 0) != (start == 0) || kind == 1 && (mps || data) {
            return bad(bit, "2.1");
        }
        b.u(1)?;
        let part = b.u(1)? == 1;
        if part {
            b.u(8)?;
        }
        match kind {
            7.. => {}
            6 => return lacking(base, "aggregate unit"),
            _ if part => return lacking(bit, "units in parts"),
            0 => {
                let bit = b.offset();
                state.profile = b.u(8)?;
                if state.profile > 1 {
                    return lacking(bit, "2.3");
                }
                if !b.at_end() {
                    return bad(b.offset(), "2.3");
                }
            }
            1 | 2 => {
                mps |= kind == 1;
                parameters(&mut b, &mut state, kind == 1)?;
            }
            5 => {
                data = true;
                tensors.push(data_unit(&mut b, &state)?);
            }
            _ => {
                let bit = b.offset();
                let (storage, compression) = (b.u(8)?, b.u(8)?);
                if kind == 3 && storage > 6 {
                    return bad(bit, "2.8");
                }
                if compression > 1 {
                    return bad(bit + 8, "2.8");
                }
                if compression == 1 || kind == 3 && storage == 6 {
                    return lacking(bit, "deflate and reference lists");
                }
            }
        }
        start += size;
    }
    Ok(tensors)
}

fn parameters(b: &mut Bits, state: &mut State, model: bool) -> Result<(), Fault> {
    let methods;
    if model {
        b.u(1)?;
        let maps = b.u(4)?;
        methods = b.u(3)?;
        let indexed = b.u(1)?;
        if maps + indexed > 0 {
            return lacking(b.offset(), "maps and indices");
        }
        let bit = b.offset();
        let flags = b.u(7)?;
        if state.profile == 0 && flags != 0 {
            return bad(bit, "2.5");
        }
        if flags & 3 != 0 {
            return bad(bit + 5, "2.5");
        }
        state.parents = flags & 8 != 0;
        if !state.parents && flags & 4 != 0 {
            return bad(bit + 4, "2.5");
        }
        if flags & 0x40 != 0 {
            b.st()?;
        }
        if flags & 0x30 != 0 {
            b.st()?;
        }
        quantiser(b, state, methods)?;
        if flags & 0x20 != 0 {
            b.flt()?;
        }
    } else {
        b.u(1)?;
        if b.u(7)? != 0 || b.u(1)? != 0 {
            return bad(b.offset() - 1, "2.6");
        }
        if b.u(3)? > 0 {
            return lacking(b.offset(), "maps");
        }
        methods = b.u(3)?;
        if b.u(1)? != 0 {
            return bad(b.offset() - 1, "2.6");
        }
        quantiser(b, state, methods)?;
    }
    b.byte_alignment()?;
    if !b.at_end() {
        return bad(b.offset(), "2.2");
    }
    Ok(())
}

fn quantiser(b: &mut Bits, state: &mut State, methods: u64) -> Result<(), Fault> {
    if methods & 3 != 0 {
        state.quantiser = Some((b.u(3)? as u32, b.i(13)?));
    }
    Ok(())
}

fn data_unit(b: &mut Bits, state: &State) -> Result<Tensor, Fault> {
    let bit = b.offset();
    let kind = b.u(5)?;
    if kind > 3 {
        return bad(bit, "3.1");
    }
    let (several, format, inputs) = (b.u(1)?, b.u(1)?, b.u(1)?);
    if kind == 3 || several == 1 {
        return lacking(bit, "block units");
    }
    let name = b.st()?;
    if state.profile == 1 {
        if b.u(1)? == 1 {
            for k in [1, 5, 4] {
                b.ue(k)?;
            }
        }
        if state.parents && b.u(1)? == 1 {
            return lacking(b.offset(), "parents");
        }
    }
    if kind == 1 && b.u(1)? == 1 {
        return lacking(b.offset(), "codebooks");
    }
    let dq = kind != 2 && b.u(1)? == 1;
    if format == 1 {
        let bit = b.offset();
        if b.u(7)? > 9 {
            return bad(bit, "3.2");
        }
    }
    if inputs == 0 {
        return lacking(b.offset(), "shapes from outside");
    }
    let (dimensions, unary_length) = (b.u(1)?, b.u(1)?);
    if b.u(4)? & 1 == 1 || dimensions == 0 {
        return lacking(b.offset(), "factors and shapes from outside");
    }
    let bit = b.offset();
    let count = b.ue(1)?;
    let limit = |bit| Err(Fault::new(Class::Limit, bit, "7.3"));
    if count > 32 {
        return limit(bit);
    }
    let first = b.offset();
    let mut shape = Vec::new();
    for _ in 0..count {
        shape.push(u64::from(b.ue(7)?));
    }
    let unary = if unary_length == 1 {
        b.u(8)? as usize + 1
    } else {
        10
    };
    let mut scan = 0;
    if count > 1 {
        if state.profile == 1 {
            b.ue(1)?;
        }
        let bit = b.offset();
        scan = b.u(4)? as u32;
        if scan > 4 {
            return bad(bit, "3.2");
        }
        if scan > 0 {
            let bit = b.offset();
            let points = shape[0].div_ceil(4 << scan).saturating_sub(1);
            if points > 1 << 16 {
                return limit(bit);
            }
            for j in 0..points {
                b.u(8 + 3 * u32::from(dq))?;
                if j == 0 {
                    b.ue(11)?;
                } else {
                    b.ie(7)?;
                }
            }
        }
    }
    b.byte_alignment()?;
    let size = |s: &[u64]| s.iter().try_fold(1u64, |p, &d| p.checked_mul(d));
    let empty = shape.contains(&0);
    let total = if empty {
        0
    } else {
        size(&shape).unwrap_or(u64::MAX)
    };
    let rows = shape.first().copied().unwrap_or(1);
    let width = size(shape.get(1..).unwrap_or(&[])).unwrap_or(u64::MAX);
    if total > 1 << 24 || rows > 1 << 24 || width > 1 << 24 {
        return limit(first);
    }
    let payload = b.offset();
    let rest = b.rest();
    if kind == 2 {
        if rest.len() as u64 != 4 * total {
            return bad(payload, "3.5");
        }
        return Ok(Tensor {
            name,
            integer: false,
            shape,
            bytes: rest.to_vec(),
        });
    }
    if kind == 1 && state.quantiser.is_none() {
        return bad(payload, "4.1");
    }
    let mut a = Arithmetic::new(Bits::new(rest, payload))?;
    let mut step = 1.0;
    if let (1, Some((density, parameter))) = (kind, state.quantiser) {
        let n = 6 + density;
        let raw = a.bypass(n)? as i64;
        let qp = parameter
            + if raw >> (n - 1) == 1 {
                raw - (1 << n)
            } else {
                raw
            };
        let k = 1i64 << density;
        let exponent = ((qp >> density) - i64::from(density)) as i32;
        step = ((k + (qp & (k - 1))) as f64 * 2f64.powi(exponent.clamp(-300, 300))) as f32;
    }
    let (rows, width, dq) = (rows as usize, width as usize, dq && kind == 1);
    let choices = Choices {
        rows,
        width,
        dq_contexts: dq,
        dq,
        unary,
        scan,
        profile: state.profile,
    };
    let levels = levels(&mut a, &choices)?;
    a.finish()?;
    let bytes = levels
        .iter()
        .flat_map(|&q| {
            if kind == 0 {
                q.to_le_bytes()
            } else {
                (q as f32 * step).to_le_bytes()
            }
        })
        .collect();
    Ok(Tensor {
        name,
        integer: kind == 0,
        shape,
        bytes,
    })
}
