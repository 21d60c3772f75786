//! Whether records come in the order that an index needs.

use crate::error::{Error, Result};
use crate::genome::Variant;
use std::collections::HashMap;

/// The last record of each contig so far.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Name, POS and line of the record before.
    last: Option<(String, u64, u64)>,
    /// Contigs that are done: POS and line of their last record.
    done: HashMap<String, (u64, u64)>,
}

impl Order {
    /// Takes the next record.
    ///
    /// # Errors
    /// It lies before the one before it, or on a contig that came earlier; names both.
    pub(super) fn take(&mut self, variant: &Variant) -> Result<()> {
        let (pos, line) = (variant.pos, variant.line);
        match &mut self.last {
            Some((chrom, last_pos, last_line)) if *chrom == variant.chrom => {
                if pos < *last_pos {
                    return Err(unsorted(variant, (chrom, *last_pos, *last_line)));
                }
                (*last_pos, *last_line) = (pos, line);
            }
            last => {
                if let Some((pos, line)) = self.done.get(&variant.chrom) {
                    return Err(unsorted(variant, (&variant.chrom, *pos, *line)));
                }
                let before = last.replace((variant.chrom.clone(), pos, line));
                self.done.extend(before.map(|(chrom, pos, line)| (chrom, (pos, line))));
            }
        }
        Ok(())
    }
}

fn unsorted(variant: &Variant, before: (&str, u64, u64)) -> Error {
    let Variant { chrom, pos, line, .. } = variant;
    let (other, other_pos, other_line) = before;
    Error::new("an index needs records that are sorted by contig and position")
        .found(format!("{chrom}:{pos} (line {line}) after {other}:{other_pos} (line {other_line})"))
        .remedy("sort the input (`bcftools sort`), or leave out --write-index")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(places: &[(&str, u64)]) -> Result<()> {
        let mut order = Order::default();
        (1..).zip(places).try_for_each(|(line, &(chrom, pos))| {
            let (chrom, reference, alternates) = (chrom.into(), "A".into(), Vec::new());
            order.take(&Variant { line, chrom, contig: None, pos, reference, alternates })
        })
    }

    #[test]
    fn records_are_sorted_within_contigs_that_come_once() {
        take(&[("2", 5), ("2", 5), ("2", 9), ("1", 1), ("3", 1)]).unwrap();
        let error = take(&[("1", 9), ("1", 5)]).unwrap_err().to_string();
        assert!(error.contains("found 1:5 (line 2) after 1:9 (line 1)"), "{error}");
        let error = take(&[("1", 9), ("2", 5), ("1", 10)]).unwrap_err().to_string();
        assert!(error.contains("found 1:10 (line 3) after 1:9 (line 1)"), "{error}");
    }
}
