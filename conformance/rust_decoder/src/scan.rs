// SPDX-License-Identifier: Apache-2.0
//! Clause 5.5: scan orders.

/// Matrix of rows by width elements in blocks.
pub struct Scan {
    rows: usize,
    width: usize,
    block_rows: usize,
    block_columns: usize,
}

/// Columns `left..right` of one row, scanned without interruption.
pub struct Segment {
    pub row: usize,
    pub left: usize,
    pub right: usize,
}

impl Scan {
    pub fn new(rows: usize, width: usize, scan_order: u32) -> Self {
        let is_blocked = scan_order > 0 && rows > 1 && width > 1;
        let side = 4usize << scan_order;
        Self {
            rows,
            width,
            block_rows: if is_blocked { side } else { rows.max(1) },
            block_columns: if is_blocked { side } else { width.max(1) },
        }
    }

    /// First row of every block row; none for a tensor without values.
    pub fn block_rows(&self) -> impl Iterator<Item = usize> {
        let rows = if self.width == 0 { 0 } else { self.rows };
        (0..rows).step_by(self.block_rows)
    }

    /// Segments of the block row that starts at row `top`.
    pub fn segments(&self, top: usize) -> impl Iterator<Item = Segment> + '_ {
        let bottom = self.rows.min(top + self.block_rows);
        let lefts = (0..self.width).step_by(self.block_columns);
        lefts.flat_map(move |left| {
            let right = self.width.min(left + self.block_columns);
            (top..bottom).map(move |row| Segment { row, left, right })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cropped_at_the_edges() {
        let scan = Scan::new(9, 10, 1);
        assert_eq!(scan.block_rows().collect::<Vec<_>>(), [0, 8]);
        let last: Vec<_> = scan.segments(8).map(|s| (s.row, s.left, s.right)).collect();
        assert_eq!(last, [(8, 0, 8), (8, 8, 10)]);
    }

    #[test]
    fn one_column_is_scanned_row_major() {
        assert_eq!(Scan::new(20, 1, 1).block_rows().count(), 1);
    }
}
