//! The exons of a transcript from the rows that the file has (formats.md 6).

use super::draft::Draft;

/// A gap between exons that is shorter is no intron but a frameshift or a sequencing error.
const SHORTEST_INTRON: u64 = 4;

/// Where the exons came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The `exon` rows.
    Exon,
    /// The union of CDS and UTR rows; whether the `intron` rows, if any, are its gaps.
    CodingAndUtr { introns_agree: bool },
    /// The span of the transcript's row without its `intron` rows.
    SpanWithoutIntrons,
    /// The span as one exon.
    Span,
}

/// The exons by position, and the rule that gave them; `None` without any valid coordinates.
pub(super) fn of(draft: &Draft) -> Option<(Vec<(u64, u64)>, Rule)> {
    if !draft.exons.is_empty() {
        return Some((join(&draft.exons), Rule::Exon));
    }
    if !draft.coding.is_empty() {
        let exons = join(&draft.coding);
        let introns_agree = draft.introns.is_empty() || {
            let mut introns = draft.introns.clone();
            introns.sort_unstable();
            introns.retain(|(start, end)| end - start >= SHORTEST_INTRON);
            introns.iter().copied().eq(exons.windows(2).map(|pair| (pair[0].1, pair[1].0)))
        };
        return Some((exons, Rule::CodingAndUtr { introns_agree }));
    }
    let (start, end) = draft.span?;
    if draft.introns.is_empty() {
        return Some((vec![(start, end)], Rule::Span));
    }
    let mut introns = draft.introns.clone();
    introns.sort_unstable();
    let mut exons = Vec::new();
    let mut from = start;
    for (intron_start, intron_end) in introns {
        if from < intron_start.min(end) {
            exons.push((from, intron_start.min(end)));
        }
        from = from.max(intron_end);
    }
    if from < end {
        exons.push((from, end));
    }
    (!exons.is_empty()).then(|| (join(&exons), Rule::SpanWithoutIntrons))
}

/// Stretches by position, joined where they overlap or where no intron fits between them.
pub(in crate::genome) fn join(stretches: &[(u64, u64)]) -> Vec<(u64, u64)> {
    join_closer_than(SHORTEST_INTRON, stretches)
}

/// Stretches by position, joined only where they overlap.
pub(in crate::genome) fn without_overlaps(stretches: &[(u64, u64)]) -> Vec<(u64, u64)> {
    join_closer_than(0, stretches)
}

fn join_closer_than(gap: u64, stretches: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut sorted = stretches.to_vec();
    sorted.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
    for (start, end) in sorted {
        match joined.last_mut() {
            Some(last) if start < last.1 + gap => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(
        span: Option<(u64, u64)>,
        exons: &[(u64, u64)],
        coding: &[(u64, u64)],
        introns: &[(u64, u64)],
    ) -> Draft {
        let [exons, coding, introns] = [exons, coding, introns].map(<[_]>::to_vec);
        Draft { span, exons, coding, introns, ..Draft::default() }
    }

    #[test]
    fn the_first_kind_of_rows_that_is_there_gives_the_exons() {
        let span = Some((0, 100));
        let (exons, coding, introns) = ([(50, 100), (0, 20)], [(10, 20), (50, 60)], [(20, 50)]);
        let all = of(&draft(span, &exons, &coding, &introns));
        assert_eq!(all, Some((vec![(0, 20), (50, 100)], Rule::Exon)));
        let agreeing = Rule::CodingAndUtr { introns_agree: true };
        let parts = of(&draft(span, &[], &coding, &introns));
        assert_eq!(parts, Some((vec![(10, 20), (50, 60)], agreeing)));
        let other = of(&draft(span, &[], &coding, &[(20, 45)]));
        assert_eq!(other.map(|(_, rule)| rule), Some(Rule::CodingAndUtr { introns_agree: false }));
        let gaps = of(&draft(span, &[], &[], &introns));
        assert_eq!(gaps, Some((vec![(0, 20), (50, 100)], Rule::SpanWithoutIntrons)));
        assert_eq!(of(&draft(span, &[], &[], &[])), Some((vec![(0, 100)], Rule::Span)));
        assert_eq!(of(&draft(None, &[], &[], &[])), None);
    }

    #[test]
    fn parts_that_touch_or_lie_closer_than_an_intron_are_one_exon() {
        // CDS 10-20 and its UTRs 0-10 and 23-30; the gap of 3 is no intron, that of 4 is one.
        assert_eq!(join(&[(10, 20), (23, 30), (0, 10), (34, 40)]), [(0, 30), (34, 40)]);
        assert_eq!(join(&[(0, 50), (10, 20)]), [(0, 50)]);
        assert_eq!(without_overlaps(&[(9, 12), (0, 5), (4, 9)]), [(0, 9), (9, 12)]);
    }
}
