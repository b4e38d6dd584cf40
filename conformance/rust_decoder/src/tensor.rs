//! Clauses 5.2 to 5.5: the levels of one tensor without codebook or previous update.

use crate::arithmetic::{Arithmetic, Context};
use crate::fault::Fault;
use crate::tables::NEXT;

/// Coding choices of one tensor.
pub struct Choices {
    pub rows: usize,
    pub width: usize,
    pub dq_contexts: bool,
    pub dq: bool,
    pub unary: usize,
    pub scan: u32,
    pub profile: u64,
}

/// Levels in row-major order.
pub fn levels(a: &mut Arithmetic, t: &Choices) -> Result<Vec<i32>, Fault> {
    let u = t.unary;
    let mut contexts = vec![Context::default(); 53 + 4 * u + 37];
    let mut skip = vec![false; t.rows];
    if t.profile == 1 && t.width > 1 && t.rows > 1 && a.bypass(1)? == 1 {
        for flag in &mut skip {
            *flag = a.regular(&mut contexts[53 + 4 * u + 36])?;
        }
    }
    let significance = if t.dq_contexts { 24 } else { 3 };
    let prefix = 53 + 4 * u;
    for i in (0..significance)
        .chain(48..51)
        .chain(53..53 + 2 * u)
        .chain(prefix..prefix + 31)
    {
        if a.regular(&mut contexts[prefix + 34])? {
            let e = a.bypass(3)? as usize;
            contexts[i].take(e + 1);
        }
    }
    let mut out = vec![0; t.rows * t.width];
    let matrix = t.scan > 0 && t.rows > 1 && t.width > 1;
    let (high, wide) = if matrix {
        (4 << t.scan, 4 << t.scan)
    } else {
        (t.rows.max(1), t.width.max(1))
    };
    let blocks = t.rows.div_ceil(high);
    let (mut n, mut state) = (0i64, 0u8);
    for top in (0..t.rows).step_by(high) {
        if blocks > 1 {
            if top > 0 {
                contexts.iter_mut().for_each(Context::reset);
                n = 0;
            }
            a.narrow()?;
        }
        for left in (0..t.width).step_by(wide) {
            for row in top..t.rows.min(top + high) {
                if skip[row] {
                    if t.dq {
                        for _ in 0..t.width % 4 {
                            state = NEXT[state as usize][0];
                        }
                    }
                    continue;
                }
                for column in left..t.width.min(left + wide) {
                    n = coded(a, &mut contexts, u, n, state)?;
                    let mut level = n;
                    if t.dq {
                        level = 2 * n - n.signum() * i64::from(state & 1);
                        state = NEXT[state as usize][(n & 1) as usize];
                    }
                    out[row * t.width + column] =
                        i32::try_from(level).map_err(|_| a.malformed("level beyond int32"))?;
                }
            }
        }
    }
    Ok(out)
}

fn coded(
    a: &mut Arithmetic,
    contexts: &mut [Context],
    u: usize,
    n: i64,
    state: u8,
) -> Result<i64, Fault> {
    let c = if n == 0 {
        0
    } else if n < 0 {
        1
    } else {
        2
    };
    if !a.regular(&mut contexts[3 * state as usize + c])? {
        return Ok(0);
    }
    let negative = a.regular(&mut contexts[48 + c])?;
    let (mut v, mut j) = (1i64, 0);
    let mut more = true;
    while more && j < u {
        more = a.regular(&mut contexts[53 + 2 * j + usize::from(negative)])?;
        v += i64::from(more);
        j += 1;
    }
    if more {
        let mut k = 0;
        while k < 31 && a.regular(&mut contexts[53 + 4 * u + k as usize])? {
            v += 1 << k;
            k += 1;
        }
        v += a.bypass(k)? as i64;
    }
    Ok(if negative { -v } else { v })
}
