//! The records with the largest scores, for a closer look.

use crate::effect::{Outcome, VariantOutcome};
use crate::genome::Variant;

/// Keeps so many records with the largest scores of all that it is shown.
#[derive(Debug)]
pub(super) struct Strongest {
    most: usize,
    /// Score and record, the largest score first; of equal ones that which came first.
    kept: Vec<(f32, Variant)>,
}

impl Strongest {
    pub(super) fn new(most: usize) -> Self {
        Self { most, kept: Vec::new() }
    }

    /// Looks at a record that has a score.
    pub(super) fn take(&mut self, variant: &Variant, outcome: &VariantOutcome<'_>) {
        let genes = outcome.alleles.iter().flat_map(|allele| match &allele.outcome {
            Outcome::Scored(genes) => genes.as_slice(),
            Outcome::Skipped(_) => &[],
        });
        let scores = genes.flat_map(|gene| &gene.scores).map(|scores| scores.strongest().abs());
        let Some(score) = scores.reduce(f32::max) else { return };
        let place = self.kept.partition_point(|(kept, _)| *kept >= score);
        if place < self.most {
            self.kept.truncate(self.most - 1);
            self.kept.insert(place, (score, variant.clone()));
        }
    }

    /// The records in the order in which they came.
    pub(super) fn into_variants(self) -> Vec<Variant> {
        let mut variants: Vec<Variant> =
            self.kept.into_iter().map(|(_, variant)| variant).collect();
        variants.sort_by_key(|variant| variant.line);
        variants
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{AlleleOutcome, GeneScore, Scores, Skip, Skipped, UsageScores};
    use crate::genome::Strand;

    fn outcome(score: Option<f32>) -> VariantOutcome<'static> {
        let outcome = match score {
            Some(loss) => {
                let scores = UsageScores { gain: 0.0, gain_position: 0, loss, loss_position: 0 };
                let scores = vec![Scores::Usage(scores)];
                Outcome::Scored(vec![GeneScore { gene: None, strand: Strand::Plus, scores }])
            }
            None => {
                let reason = Skip::Star;
                Outcome::Skipped(Skipped { reason, detail: String::new(), dots: vec![] })
            }
        };
        VariantOutcome {
            alleles: vec![AlleleOutcome { allele: "A".into(), outcome, warnings: vec![] }],
        }
    }

    #[test]
    fn the_largest_scores_stay_in_the_order_of_the_input() {
        let lines = |most, scores: &[Option<f32>]| {
            let mut strongest = Strongest::new(most);
            for (line, score) in (1..).zip(scores) {
                let (chrom, reference) = ("1".to_owned(), "C".to_owned());
                let alternates = vec!["A".to_owned()];
                let variant = Variant { line, chrom, contig: None, pos: 1, reference, alternates };
                strongest.take(&variant, &outcome(*score));
            }
            strongest.into_variants().into_iter().map(|v| v.line).collect::<Vec<_>>()
        };
        let scores = [Some(-0.1), None, Some(-0.9), Some(-0.5), Some(-0.5), Some(-0.05)];
        assert_eq!(lines(3, &scores), [3, 4, 5]);
        assert_eq!(lines(2, &scores), [3, 4]);
        assert_eq!(lines(9, &scores), [1, 3, 4, 5, 6]);
        assert!(lines(0, &scores).is_empty());
    }
}
