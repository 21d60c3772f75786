//! Splice sites judged: how well they stand out among other places.

use super::{Predicted, SHUFFLE, index, shuffle};
use crate::genome::Strand;
use crate::train::data::{Labels, Mask};
use crate::train::metrics::Ranking;
use crate::train::random::Random;

/// Index of the predicted row of a kind of site on a strand.
fn row_of(kind: usize, strand: Strand) -> usize {
    kind + if strand == Strand::Plus { 0 } else { 2 }
}

/// Sites of a kind (0 acceptors, 1 donors) on both strands, in genes of that strand or everywhere.
pub(super) fn ranking(
    labels: &Labels,
    predicted: &[Predicted],
    kind: usize,
    genes: bool,
    mask: &Mask,
) -> Ranking {
    Ranking::of(scored(labels, predicted, kind, genes, mask))
}

/// Score of each place that is not masked, and whether a site is there.
pub(super) fn scored(
    labels: &Labels,
    predicted: &[Predicted],
    kind: usize,
    genes: bool,
    mask: &Mask,
) -> Vec<(f32, bool)> {
    let sites = if kind == 0 { &labels.sites.acceptors } else { &labels.sites.donors };
    let mut all = Vec::new();
    for one in predicted {
        let range = one.range;
        let length = index(range.len());
        for strand in [Strand::Plus, Strand::Minus] {
            let mut truth = vec![false; length];
            let here = sites.iter().filter(|site| {
                site.contig == range.contig
                    && site.strand == strand
                    && (range.start..range.end).contains(&site.position)
            });
            here.for_each(|site| truth[index(site.position - range.start)] = true);
            let mut inside = vec![!genes; length];
            for (place, of) in labels.sites.transcribed.iter().filter(|_| genes) {
                let (from, to) = (place.start.max(range.start), place.end.min(range.end));
                if place.contig == range.contig && *of == strand && from < to {
                    inside[index(from - range.start)..index(to - range.start)].fill(true);
                }
            }
            for stretch in mask.touching(range) {
                let (from, to) = (stretch.start.max(range.start), stretch.end.min(range.end));
                inside[index(from - range.start)..index(to - range.start)].fill(false);
            }
            let row = &one.tracks[row_of(kind, strand)];
            let places = row.iter().zip(truth).zip(inside);
            all.extend(places.filter(|(_, inside)| *inside).map(|((&x, is), _)| (x, is)));
        }
    }
    all
}

pub(super) fn judge_splice(
    labels: &Labels,
    predicted: &[Predicted],
    mask: &Mask,
    seed: u64,
    add: &mut impl FnMut(&str, &str, f64),
) {
    for (kind, name) in [(1, "donor"), (0, "acceptor")] {
        for (genes, place) in [(true, "in genes"), (false, "everywhere")] {
            let place = format!("{name}, {place}");
            let scored = scored(labels, predicted, kind, genes, mask);
            let mut shuffled: Vec<f32> = scored.iter().map(|(score, _)| *score).collect();
            shuffle(&mut shuffled, &mut Random::of(&[seed, SHUFFLE, 2]));
            let truths = scored.iter().map(|(_, is)| *is);
            let chance = Ranking::of(shuffled.into_iter().zip(truths).collect());
            let ranking = Ranking::of(scored);
            add("places", &place, ranking.places as f64);
            add("sites", &place, ranking.truths as f64);
            add("top_k", &place, ranking.top_k);
            add("top_k_standard_error", &place, ranking.top_k_error());
            add("auprc", &place, ranking.average_precision);
            add("shuffled_top_k", &place, chance.top_k);
            add("shuffled_auprc", &place, chance.average_precision);
        }
    }
}

/// Recall and precision at falling scores, thinned to what a picture can show.
pub(super) fn precision_recall(mut scored: Vec<(f32, bool)>) -> Vec<(f64, f64)> {
    const POINTS: f64 = 400.0;
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let truths = scored.iter().filter(|(_, is)| *is).count().max(1) as f64;
    let (mut seen, mut found, mut shown) = (0.0, 0.0, -1.0);
    let mut points = Vec::new();
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        seen += tied.len() as f64;
        found += tied.iter().filter(|(_, is)| *is).count() as f64;
        let step = (found / truths * POINTS).floor();
        if step > shown {
            points.push((found / truths, found / seen));
            shown = step;
        }
    }
    points
}
