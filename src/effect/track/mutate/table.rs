//! The table of changes: one row per position, base and task.

use super::{Differences, MutateRequest};
use crate::effect::mutate::{BASES, finished};
use crate::error::Result;
use crate::job::manifest::Finished;
use crate::track::variants::{AlleleTable, VariantFormat};

/// Where a table has a number that is not defined.
const UNDEFINED: &str = "NA";

/// Rows that are being written.
pub(super) struct Table(AlleleTable);

impl Table {
    /// With its header.
    ///
    /// # Errors
    /// A name that is no table's, or a failure to write.
    pub fn create(request: &MutateRequest) -> Result<Self> {
        let bgzip = VariantFormat::of_changes(&request.table)?;
        let columns = ["chrom", "pos", "ref", "alt", "track", "difference"].map(String::from);
        Ok(Self(AlleleTable::create(&request.table, bgzip, &[], &columns, None)?))
    }

    /// The rows of a base and a task; `position` is from 1.
    ///
    /// # Errors
    /// A failure to write.
    pub fn write(
        &mut self,
        (contig, position): (&str, u64),
        base: u8,
        task: &str,
        differences: &Differences,
        request: &MutateRequest,
    ) -> Result<()> {
        let position = position.to_string();
        let letter = |base: u8| char::from(base).to_string();
        let shown = BASES.iter().zip(differences).filter(|(b, _)| !request.project || **b == base);
        for (&alt, difference) in shown {
            let number = match difference {
                Some(number) => (*number as f32 + 0.0).to_string(),
                None => UNDEFINED.to_owned(),
            };
            let row = [contig, &position, &letter(base), &letter(alt), task, &number];
            self.0.write(&row)?;
        }
        Ok(())
    }

    /// The complete table.
    ///
    /// # Errors
    /// A failure to write.
    pub fn finish(self) -> Result<Finished> {
        finished(self.0)
    }
}
