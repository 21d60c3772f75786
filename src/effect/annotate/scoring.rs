//! What gives variants their scores: splice scoring, or track effects.

use super::{Consumed, read_chunk};
use crate::effect::score::Scorer;
use crate::effect::text::{Print, Text};
use crate::effect::track::{Null, TrackScorer, TrackText};
use crate::effect::{VariantOutcome, Window};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::genome::genes::Genes;
use crate::genome::variants::VariantReader;
use crate::genome::{Reference, Variant};
use crate::job::{Progress, signal};

/// What gives variants their scores.
pub trait Scoring<'a> {
    /// What becomes of each variant, in the order given.
    ///
    /// # Errors
    /// A failure to read the reference, a signal, a value of the network that is no finite number,
    /// or REF that differs from the reference where that is to end the run.
    fn score(
        &self,
        reference: &mut Reference,
        variants: &[Variant],
    ) -> Result<Vec<VariantOutcome<'a>>>;

    /// The values that the scores of one variant are taken from, per ALT and gene that is scored.
    ///
    /// # Errors
    /// As [`Scoring::score`].
    fn windows(&self, reference: &mut Reference, variant: &Variant) -> Result<Vec<Window<'a>>>;

    /// The genes that variants are looked for in, where there is an annotation.
    fn genes(&self) -> Option<&'a Genes>;

    /// What runs the network.
    fn engine(&self) -> &dyn Engine;

    /// How scores are written.
    fn print(&self) -> Box<dyn Print>;

    /// What of a window is looked at, for the second line of its picture.
    fn describe_window(&self) -> String;
}

impl<'a> Scoring<'a> for Scorer<'a> {
    fn score(
        &self,
        reference: &mut Reference,
        variants: &[Variant],
    ) -> Result<Vec<VariantOutcome<'a>>> {
        Scorer::score(self, reference, variants)
    }

    fn windows(&self, reference: &mut Reference, variant: &Variant) -> Result<Vec<Window<'a>>> {
        Scorer::windows(self, reference, variant)
    }

    fn genes(&self) -> Option<&'a Genes> {
        Scorer::genes(self)
    }

    fn engine(&self) -> &dyn Engine {
        Scorer::engine(self)
    }

    fn print(&self) -> Box<dyn Print> {
        Box::new(Text::new(self.reading(), self.settings()))
    }

    fn describe_window(&self) -> String {
        format!("{} bases on either side", self.settings().distance)
    }
}

impl<'a> Scoring<'a> for TrackScorer<'_> {
    fn score(
        &self,
        reference: &mut Reference,
        variants: &[Variant],
    ) -> Result<Vec<VariantOutcome<'a>>> {
        TrackScorer::score(self, reference, variants)
    }

    fn windows(&self, reference: &mut Reference, variant: &Variant) -> Result<Vec<Window<'a>>> {
        TrackScorer::windows(self, reference, variant)
    }

    fn genes(&self) -> Option<&'a Genes> {
        None
    }

    fn engine(&self) -> &dyn Engine {
        TrackScorer::engine(self)
    }

    fn print(&self) -> Box<dyn Print> {
        Box::new(TrackText::new(self))
    }

    fn describe_window(&self) -> String {
        match self.reading().is_windowed() {
            true => "expected counts in the window of the model".into(),
            false => format!("{} bases on either side", self.settings().distance),
        }
    }
}

/// Scores shuffles of every variant of a reader, which is read once for that: the pool that p-values
/// are taken from ([`TrackScorer::with_null`]).
///
/// # Errors
/// An input that can be read only once (usage); any failure of [`TrackScorer::add_null`] or of
/// reading.
pub fn null(
    reader: &VariantReader,
    reference: &mut Reference,
    scorer: &TrackScorer<'_>,
    (count, seed): (usize, u64),
    progress: &Progress,
) -> Result<Null> {
    if count == 0 {
        return Err(Error::usage("no p-value comes from no shuffle").expected("at least 1"));
    }
    let Some(mut again) = reader.again()? else {
        return Err(Error::usage("variants are read twice for p-values")
            .at(reader.path())
            .remedy("give them as a file, or leave out --null"));
    };
    let mut null = scorer.new_null();
    let mut bytes = Consumed::default();
    if let (_, Some(size)) = again.consumed() {
        progress.start_counting(size, "bytes");
    }
    loop {
        let records = read_chunk(&mut again)?;
        if records.is_empty() {
            break;
        }
        signal::check()?;
        let variants: Vec<Variant> = records.into_iter().map(|record| record.variant).collect();
        scorer
            .add_null(reference, &variants, (count, seed), &mut null)
            .map_err(|error| error.of_line_in(reader.path()))?;
        progress.advance(bytes.since(&again));
    }
    progress.finish();
    Ok(null)
}
