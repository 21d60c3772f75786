//! Scores as text: INFO values and header lines of VCF, columns of tables (splice-scoring.md B2,
//! B4, B7).

use super::outcome::{
    AlleleOutcome, DELTA_NAMES, DeltaScores, GeneScore, Outcome, Scores, UsageScores,
    VariantOutcome, symbol,
};
use super::reading::Reading;
use super::settings::{Mask, Rules, Settings};
use crate::genome::genes::Gene;
use crate::model::Scheme;
use std::fmt::Write;

/// INFO key of the reasons for alleles without scores, one per ALT.
pub const SKIP_KEY: &str = "atrous_SKIP";
/// INFO key of the warnings, one entry per ALT.
pub const WARNING_KEY: &str = "atrous_WARNING";

/// Columns that parsers of the published programs' output look for at the end of a description.
const DELTA_FORMAT: &str = "ALLELE|SYMBOL|DS_AG|DS_AL|DS_DG|DS_DL|DP_AG|DP_AL|DP_DG|DP_DL";
const USAGE_FORMAT: &str = "gene|pos:score_change|pos:score_change|warnings";
/// Ours says which ALT an entry belongs to, behind what others read.
const USAGE_FORMAT_ALLELE: &str = "gene|pos:score_change|pos:score_change|warnings|ALLELE";

/// How outcomes are written.
pub trait Print {
    /// Every INFO key that may be written.
    fn keys(&self) -> Vec<&str>;

    /// What a record gains, as INFO keys and values in the order of [`Print::keys`]. Nothing where
    /// the record stays as it is.
    fn fields(&self, outcome: &VariantOutcome<'_>) -> Vec<(&str, String)>;

    /// Names of the columns that tell the scores of one allele apart.
    fn places(&self) -> Vec<&'static str>;

    /// Names of the columns that [`Print::cells`] fills.
    fn columns(&self) -> Vec<String>;

    /// What tells a score of an allele from the others, by [`Print::places`].
    fn place(&self, score: &GeneScore<'_>) -> Vec<String>;

    /// The scores of an allele in full precision.
    fn cells(&self, score: &GeneScore<'_>) -> Vec<String>;
}

/// Turns outcomes of splice scoring into text, by the rules of the settings.
#[derive(Debug, Clone)]
pub struct Text {
    /// One INFO key per mask.
    keys: Vec<String>,
    masks: Vec<Mask>,
    usage: bool,
    /// Of tracks without a scheme.
    tracks: Vec<String>,
    rules: Rules,
    decimals: usize,
    distance: usize,
    flank: u64,
}

impl Text {
    /// For what a [`super::Scorer`] reads, and its settings.
    pub fn new(reading: &Reading, settings: &Settings) -> Self {
        let masks = settings.masks.clone();
        let key = |(index, mask): (usize, &Mask)| key(reading.key(), &masks, index, *mask);
        Self {
            keys: masks.iter().enumerate().map(key).collect(),
            tracks: match reading.scheme() {
                Some(_) => Vec::new(),
                None => reading.tracks().iter().map(|track| track.name.clone()).collect(),
            },
            usage: matches!(reading.scheme(), Some(Scheme::SpliceUsage { .. })),
            rules: settings.rules,
            decimals: settings.decimals().into(),
            distance: settings.distance,
            flank: reading.reach().left.max(reading.reach().right),
            masks,
        }
    }

    /// The header lines of all keys, and one that names what decides the scores: the models' hashes
    /// and, where there is an annotation, its hash.
    pub fn header(&self, models: &[String], annotation: Option<&str>) -> Vec<String> {
        let (distance, flank) = (self.distance, self.flank);
        let (what, format) = match (self.usage, self.rules) {
            (false, _) => ("Delta scores (DS) and positions (DP) of splice sites", DELTA_FORMAT),
            (true, Rules::Pangolin) => ("Gain and loss of splice sites", USAGE_FORMAT),
            (true, _) => ("Gain and loss of splice sites", USAGE_FORMAT_ALLELE),
        };
        let mut lines: Vec<String> = self
            .keys
            .iter()
            .zip(&self.masks)
            .map(|(key, mask)| {
                info(
                    key,
                    &format!(
                        "{what} by atrous {}: mask {mask}, distance {distance}, flank {flank}. \
                         Format: {format}",
                        env!("CARGO_PKG_VERSION")
                    ),
                )
            })
            .collect();
        if self.rules == Rules::Atrous {
            lines.push(info(SKIP_KEY, "Why an ALT has no score, one reason per ALT; . if it has"));
            lines.push(info(
                WARNING_KEY,
                "What to know of the scores, one entry per ALT joined by &; . if nothing",
            ));
        }
        let masks: Vec<&str> = self.masks.iter().map(|mask| mask.name()).collect();
        lines.push(format!(
            "##atrousScoring=scheme={};rules={};mask={};distance={distance};flank={flank};\
             model={};annotation={}",
            if self.usage { "splice-usage" } else { "splice-delta" },
            self.rules,
            masks.join(","),
            models.join(","),
            annotation.unwrap_or("none"),
        ));
        lines
    }

    /// The entries of one ALT under one mask, one per gene.
    fn entries(&self, allele: &AlleleOutcome<'_>, mask: usize) -> Vec<String> {
        let alt = &allele.allele;
        match &allele.outcome {
            Outcome::Scored(genes) => genes
                .iter()
                .filter_map(|gene| match gene.scores.get(mask)? {
                    Scores::Delta(scores) => Some(self.delta_entry(alt, gene, scores)),
                    Scores::Usage(scores) => Some(self.usage_entry(alt, gene, scores, mask)),
                    // Only tables have room for any number of tracks.
                    Scores::Tracks(_) | Scores::Effect(_) => None,
                })
                .collect(),
            Outcome::Skipped(skipped) => skipped
                .dots
                .iter()
                .map(|gene| format!("{}|{}{}", encode(alt), name(*gene), "|.".repeat(8)))
                .collect(),
        }
    }

    fn delta_entry(&self, alt: &str, gene: &GeneScore<'_>, scores: &DeltaScores) -> String {
        let mut entry = format!("{}|{}", encode(alt), name(gene.gene));
        for score in scores.score {
            entry += "|";
            entry += &self.number(score);
        }
        for position in scores.position {
            write!(entry, "|{position}").expect("a string takes everything");
        }
        entry
    }

    fn usage_entry(
        &self,
        alt: &str,
        gene: &GeneScore<'_>,
        scores: &UsageScores,
        mask: usize,
    ) -> String {
        let bare = gene.gene.is_some_and(|gene| gene.exons.is_empty());
        let warning = match self.masks[mask] != Mask::None && bare {
            true => "NoAnnotatedSitesToMaskForThisGene",
            false => "",
        };
        let mut entry = format!(
            "{}|{}:{}|{}:{}|Warnings:{warning}",
            name(gene.gene),
            scores.gain_position,
            shortened(&self.number(scores.gain)),
            scores.loss_position,
            shortened(&self.number(scores.loss)),
        );
        if self.rules == Rules::Atrous {
            write!(entry, "|{}", encode(alt)).expect("a string takes everything");
        }
        entry
    }

    /// A score with the decimals of the settings, correctly rounded. The published programs print a
    /// minus before what rounds to zero from below; we do not.
    fn number(&self, score: f32) -> String {
        let text = format!("{score:.*}", self.decimals);
        match text.strip_prefix('-') {
            Some(size) if self.rules == Rules::Atrous && !size.contains(|c| c > '0') => {
                size.to_string()
            }
            _ => text,
        }
    }
}

impl Print for Text {
    /// One per mask, then, under our own rules, [`SKIP_KEY`] and [`WARNING_KEY`].
    fn keys(&self) -> Vec<&str> {
        let own = (self.rules == Rules::Atrous).then_some([SKIP_KEY, WARNING_KEY]);
        self.keys.iter().map(String::as_str).chain(own.into_iter().flatten()).collect()
    }

    fn fields(&self, outcome: &VariantOutcome<'_>) -> Vec<(&str, String)> {
        let mut fields = Vec::new();
        for (index, key) in self.keys.iter().enumerate() {
            let entries: Vec<String> =
                outcome.alleles.iter().flat_map(|allele| self.entries(allele, index)).collect();
            if !entries.is_empty() {
                fields.push((key.as_str(), entries.join(",")));
            }
        }
        if self.rules == Rules::Atrous {
            fields.extend(skips_and_warnings(outcome));
        }
        fields
    }

    fn places(&self) -> Vec<&'static str> {
        vec!["gene", "strand"]
    }

    fn place(&self, score: &GeneScore<'_>) -> Vec<String> {
        vec![score.symbol().to_owned(), score.strand.symbol().to_string()]
    }

    /// Scores and positions under each mask.
    fn columns(&self) -> Vec<String> {
        let names: Vec<String> = if !self.tracks.is_empty() {
            let named = |track: &String| [format!("{track}_delta"), format!("{track}_pos")];
            self.tracks.iter().flat_map(named).collect()
        } else if self.usage {
            ["gain", "gain_pos", "loss", "loss_pos"].map(String::from).into()
        } else {
            let named = |prefix: &str| DELTA_NAMES.map(|name| format!("{prefix}_{name}"));
            [named("DS"), named("DP")].concat()
        };
        let of_mask = |mask: &Mask| {
            let suffix = match mask {
                Mask::None => String::new(),
                mask => format!("_{mask}"),
            };
            names.iter().map(move |name| format!("{name}{suffix}")).collect::<Vec<_>>()
        };
        self.masks.iter().flat_map(of_mask).collect()
    }

    fn cells(&self, gene: &GeneScore<'_>) -> Vec<String> {
        let exact = |score: f32| shortened_zero(score).to_string();
        let mut cells = Vec::new();
        for scores in &gene.scores {
            match scores {
                Scores::Delta(scores) => {
                    cells.extend(scores.score.map(exact));
                    cells.extend(scores.position.map(|position| position.to_string()));
                }
                Scores::Usage(scores) => cells.extend([
                    exact(scores.gain),
                    scores.gain_position.to_string(),
                    exact(scores.loss),
                    scores.loss_position.to_string(),
                ]),
                Scores::Tracks(tracks) => cells.extend(
                    tracks.iter().flat_map(|t| [exact(t.difference), t.position.to_string()]),
                ),
                Scores::Effect(_) => {}
            }
        }
        cells
    }
}

/// The reasons and warnings of all ALTs, where there are any.
pub(super) fn skips_and_warnings(outcome: &VariantOutcome<'_>) -> Vec<(&'static str, String)> {
    let skips = outcome.alleles.iter().map(|allele| match &allele.outcome {
        Outcome::Skipped(skipped) => skipped.reason.code().to_string(),
        Outcome::Scored(_) => ".".to_string(),
    });
    let warnings = outcome.alleles.iter().map(|allele| match &allele.warnings[..] {
        [] => ".".to_string(),
        all => all.iter().map(ToString::to_string).collect::<Vec<_>>().join("&"),
    });
    let fields = [per_allele(SKIP_KEY, skips), per_allele(WARNING_KEY, warnings)];
    fields.into_iter().flatten().collect()
}

/// The key of one mask: the unmasked scores, or those of the only mask, keep the plain one.
fn key(base: &str, masks: &[Mask], index: usize, mask: Mask) -> String {
    let masked_before = masks[..index].iter().any(|mask| *mask != Mask::None);
    match mask {
        _ if masks.len() == 1 => base.to_string(),
        Mask::None => base.to_string(),
        _ if masked_before => format!("{base}_MASKED_{}", mask.name().to_ascii_uppercase()),
        _ => format!("{base}_MASKED"),
    }
}

/// A field with one value per ALT, if any of them says something.
fn per_allele(
    key: &'static str,
    values: impl Iterator<Item = String>,
) -> Option<(&'static str, String)> {
    let values: Vec<String> = values.collect();
    values.iter().any(|value| value != ".").then(|| (key, values.join(",")))
}

fn info(key: &str, description: &str) -> String {
    format!("##INFO=<ID={key},Number=.,Type=String,Description=\"{description}\">")
}

fn name(gene: Option<&Gene>) -> String {
    encode(symbol(gene))
}

/// Percent codes for what separates fields and entries (formats.md 5).
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            ' ' | ';' | '=' | ',' | '|' | '%' | '"' => {
                write!(encoded, "%{:02X}", u32::from(letter)).expect("a string takes everything");
            }
            letter if letter.is_control() => {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    write!(encoded, "%{byte:02X}").expect("a string takes everything");
                }
            }
            letter => encoded.push(letter),
        }
    }
    encoded
}

/// A decimal without trailing zeros but for the first: `0.3`, `-0.0` (splice-scoring.md A3).
fn shortened(number: &str) -> &str {
    let Some(point) = number.find('.') else { return number };
    let cut = number.trim_end_matches('0');
    if cut.len() <= point + 1 { &number[..(point + 2).min(number.len())] } else { cut }
}

/// Zero has no sign.
fn shortened_zero(value: f32) -> f32 {
    if value == 0.0 { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::super::mask::testing::gene;
    use super::super::outcome::Skipped;
    use super::super::reason::{Skip, Warning};
    use super::*;
    use crate::genome::Strand;
    use crate::model::testing::tiny_model;

    fn text(scheme: &str, masks: &[Mask], rules: Rules) -> Text {
        let mut model = tiny_model(1);
        model.provenance.family = match scheme {
            "splice-usage" => "pangolin".into(),
            _ => "spliceai".into(),
        };
        let scheme = Scheme::parse(scheme, &model).unwrap();
        let reading = Reading::new(&model, &scheme, None).unwrap();
        let settings = Settings { masks: masks.to_vec(), rules, ..Settings::default() };
        Text::new(&reading, &settings.checked(&scheme, true).unwrap())
    }

    fn scored<'a>(allele: &str, gene: &'a Gene, scores: &[Scores]) -> AlleleOutcome<'a> {
        let score = GeneScore { gene: Some(gene), strand: Strand::Plus, scores: scores.to_vec() };
        let outcome = Outcome::Scored(vec![score]);
        AlleleOutcome { allele: allele.into(), outcome, warnings: vec![] }
    }

    fn skipped<'a>(allele: &str, reason: Skip, dots: Vec<Option<&'a Gene>>) -> AlleleOutcome<'a> {
        let outcome = Outcome::Skipped(Skipped { reason, detail: String::new(), dots });
        AlleleOutcome { allele: allele.into(), outcome, warnings: vec![] }
    }

    #[test]
    fn delta_entries_are_printed_as_the_peer_prints_them() {
        let gene = gene("A|B C", Strand::Plus, &[(0, 9)]);
        let scores =
            DeltaScores { score: [0.125, 0.375, -0.001, 0.625], position: [-2, 110, -190, 0] };
        let outcome = VariantOutcome {
            alleles: vec![
                scored("T", &gene, &[Scores::Delta(scores)]),
                skipped("<DEL>", Skip::Symbolic, vec![]),
                skipped("CC", Skip::PeerRules, vec![Some(&gene)]),
            ],
        };
        let peer = text("splice-delta", &[Mask::None], Rules::SpliceAi);
        assert_eq!(peer.keys(), ["SpliceAI"]);
        // half-even on exact ties, a sign before zero, dots for long REF and ALT (A1)
        assert_eq!(
            peer.fields(&outcome),
            [(
                "SpliceAI",
                "T|A%7CB%20C|0.12|0.38|-0.00|0.62|-2|110|-190|0,CC|A%7CB%20C|.|.|.|.|.|.|.|."
                    .to_string()
            )]
        );
        let ours = text("splice-delta", &[Mask::None], Rules::Atrous);
        let fields = ours.fields(&outcome);
        assert!(fields[0].1.starts_with("T|A%7CB%20C|0.1250|0.3750|-0.0010|0.6250|"), "{fields:?}");
        assert_eq!(fields[1], ("atrous_SKIP", ".,SYMBOLIC,PEER_RULES".to_string()));
        assert_eq!(fields.len(), 2, "no warnings");
        assert_eq!(ours.number(-0.000_01), "0.0000");
    }

    #[test]
    fn usage_entries_have_no_trailing_zeros() {
        let gene = gene("G", Strand::Plus, &[(0, 9)]);
        let scores = UsageScores { gain: 0.3, gain_position: -22, loss: -0.001, loss_position: 3 };
        let mut outcome =
            VariantOutcome { alleles: vec![scored("T", &gene, &[Scores::Usage(scores)])] };
        let peer = text("splice-usage", &[], Rules::Pangolin);
        let fields = peer.fields(&outcome);
        assert_eq!(fields, [("Pangolin", "G|-22:0.3|3:-0.0|Warnings:".to_string())]);
        outcome.alleles[0].warnings = vec![Warning::NInAlt, Warning::ContigEdge(7)];
        let ours = text("splice-usage", &[Mask::None], Rules::Atrous);
        assert_eq!(
            ours.fields(&outcome),
            [
                ("Pangolin", "G|-22:0.3|3:-0.001|Warnings:|T".to_string()),
                ("atrous_WARNING", "N_IN_ALT&CONTIG_EDGE:7".to_string())
            ]
        );
    }

    #[test]
    fn a_record_that_the_peer_leaves_alone_gains_nothing() {
        let outcome = VariantOutcome { alleles: vec![skipped("C", Skip::NoGene, vec![])] };
        assert!(text("splice-delta", &[], Rules::SpliceAi).fields(&outcome).is_empty());
    }

    #[test]
    fn masked_scores_never_take_the_place_of_unmasked_ones() {
        let keys = |masks: &[Mask]| {
            let text = text("splice-delta", masks, Rules::SpliceAi);
            text.keys().into_iter().map(String::from).collect::<Vec<_>>()
        };
        let (none, nearest, all) = (Mask::None, Mask::Nearest, Mask::All);
        assert_eq!(keys(&[nearest]), ["SpliceAI"]);
        assert_eq!(keys(&[none, all]), ["SpliceAI", "SpliceAI_MASKED"]);
        assert_eq!(keys(&[nearest, all]), ["SpliceAI_MASKED", "SpliceAI_MASKED_ALL"]);
        let three = ["SpliceAI", "SpliceAI_MASKED", "SpliceAI_MASKED_ALL"];
        assert_eq!(keys(&[none, nearest, all]), three);
    }

    #[test]
    fn the_header_names_what_decides_the_scores_and_ends_as_parsers_expect() {
        let text = text("splice-delta", &[Mask::None, Mask::Nearest], Rules::Atrous);
        let lines = text.header(&["abc".into()], Some("def"));
        assert!(lines[1].contains("mask nearest, distance 50, flank 4"), "{lines:?}");
        assert!(
            lines[0].ends_with(
                "Format: ALLELE|SYMBOL|DS_AG|DS_AL|DS_DG|DS_DL|DP_AG|DP_AL|DP_DG|DP_DL\">"
            )
        );
        assert!(lines[4].contains(";mask=none,nearest;") && lines[4].ends_with(";annotation=def"));
        assert_eq!(text.keys().len() + 1, lines.len());
        let columns = text.columns();
        assert_eq!((columns.len(), columns[8].as_str()), (16, "DS_AG_nearest"));
    }

    #[test]
    fn decimals_are_shortened_to_one() {
        for (long, short) in
            [("0.30", "0.3"), ("-0.00", "-0.0"), ("0.69", "0.69"), ("1", "1"), ("10.00", "10.0")]
        {
            assert_eq!(shortened(long), short);
        }
    }
}
