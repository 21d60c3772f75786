//! What a file of values holds: read once from end to end, never taken from what it says of itself.

use super::signal::{SignalFile, Stretch};
use crate::error::Result;
use crate::genome::Contigs;
use serde::Serialize;

/// What a file of values holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistics {
    /// Of all contigs together.
    pub total: Values,
    /// Of each contig, in the order of the file.
    pub contigs: Vec<OfContig>,
}

/// What a contig holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfContig {
    /// Its name in the file.
    pub name: String,
    /// Its length in bases; in bedGraph the end of its last line.
    pub length: u64,
    /// Its values.
    #[serde(flatten)]
    pub values: Values,
}

/// Numbers about values; those that need one are absent without any.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Values {
    /// Stretches of one value, as the file has them.
    pub stretches: u64,
    /// Bases with a value.
    pub covered: u64,
    /// Smallest value.
    pub min: Option<f32>,
    /// Largest value.
    pub max: Option<f32>,
    /// Sum over all bases with a value, in f64.
    pub sum: f64,
    /// That sum divided by their number.
    pub mean: Option<f64>,
}

impl Statistics {
    /// Reads the whole file.
    ///
    /// # Errors
    /// A read failure or a damaged file.
    pub fn of(file: &mut SignalFile) -> Result<Self> {
        let contigs: Contigs = file.contigs().clone();
        let mut all = Self { total: Values::default(), contigs: Vec::with_capacity(contigs.len()) };
        for (contig, name, length) in contigs.iter() {
            let mut values = Values::default();
            file.stretches(contig, 0..length, &mut |stretch| {
                values.add(stretch);
                all.total.add(stretch);
                Ok(())
            })?;
            values.divide();
            all.contigs.push(OfContig { name: name.into(), length, values });
        }
        all.total.divide();
        Ok(all)
    }
}

impl Values {
    fn add(&mut self, Stretch { start, end, value }: Stretch) {
        self.stretches += 1;
        self.covered += end - start;
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
        self.sum += f64::from(value) * (end - start) as f64;
    }

    fn divide(&mut self) {
        self.mean = (self.covered > 0).then(|| self.sum / self.covered as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_small_file_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bedGraph");
        std::fs::write(&path, "c\t0\t4\t0.5\nc\t10\t12\t-1\nd\t3\t5\tnan\n").unwrap();
        let found = Statistics::of(&mut SignalFile::open(&path).unwrap()).unwrap();
        let values = Values {
            stretches: 2,
            covered: 6,
            min: Some(-1.0),
            max: Some(0.5),
            sum: 0.0,
            mean: Some(0.0),
        };
        assert_eq!(found.total, values);
        assert_eq!(found.contigs[0], OfContig { name: "c".into(), length: 12, values });
        assert_eq!(found.contigs[1].values, Values::default());
    }
}
