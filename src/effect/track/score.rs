//! Effects of variants on tracks.

use super::background::{Background, Null, Tested};
use super::column::{Column, Values};
use super::letters::{Around, Change, Shape, Work};
use super::measure::{Options, Prediction, measure};
use super::pairs::Pairs;
use super::reading::{Raw, Task, TrackReading, combine};
use super::settings::{Combine, StrandAverage, TrackSettings, WindowRule};
use super::shuffle::{Random, shuffle};
use crate::effect::outcome::{
    AlleleOutcome, GeneScore, Outcome, Scores, VariantOutcome, Window, WindowTrack,
};
use crate::effect::reason::Warning;
use crate::effect::rules::{self, Site};
use crate::effect::score::{at_line, bases, refuse_mismatch};
use crate::effect::settings::Settings;
use crate::effect::{Rules, signed};
use crate::engine::{self, Engine};
use crate::error::{Error, Result};
use crate::genome::{Interval, Reference, Region, Strand, Variant};
use crate::job::signal;
use std::collections::HashSet;

/// Values that are held before scores are made of them: 64 MiB.
const MOST_VALUES: usize = 16 << 20;
/// Most numbers of the scores of shuffled sequences: 2 GiB.
const MOST_NULL: usize = 256 << 20;

/// The effect of one allele on one task.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackEffect {
    /// Name of the task.
    pub task: String,
    /// Its numbers.
    pub values: Values,
    /// p-values in the order of [`Null::tested`]; empty without shuffled sequences.
    pub p: Vec<Option<f64>>,
}

/// Scores variants of one reference by what they do to the tracks of one model.
///
/// A score is a function of the variant, the model, the settings and what it is compared with: in
/// which order variants come, and with which others, changes nothing.
pub struct TrackScorer<'a> {
    reading: &'a TrackReading,
    engine: &'a dyn Engine,
    settings: TrackSettings,
    shape: Shape,
    /// `[task][member]`, or none.
    background: Vec<Vec<Background>>,
    /// Sorted, apart from each other.
    features: Option<Vec<Interval>>,
    null: Option<Null>,
}

/// One ALT that is scored.
struct Case {
    variant: usize,
    allele: usize,
    change: Change,
}

/// The cases of one variant, and what is computed for them.
struct Place {
    cases: Vec<Case>,
    contig: crate::genome::ContigId,
    start: i64,
    length: i64,
    around: Around,
    /// How many of the letters of its window are no bases, and all.
    unknown: (usize, usize),
}

/// What a network gives before and after an edit, on the strands that are read.
struct Given<'v> {
    before: &'v engine::Values,
    after: &'v engine::Values,
    /// The same of the reverse complement.
    reverse: Option<(&'v engine::Values, &'v engine::Values)>,
}

impl<'a> TrackScorer<'a> {
    /// With an engine that was built for [`TrackReading::wanted`].
    ///
    /// # Errors
    /// A usage error: settings that do not fit ([`TrackSettings::check`]).
    pub fn new(
        reading: &'a TrackReading,
        engine: &'a dyn Engine,
        settings: TrackSettings,
    ) -> Result<Self> {
        settings.check()?;
        let shape = match reading.window() {
            Some(frame) => {
                let left = usize::from(settings.window == WindowRule::Basenji);
                let anchor = frame.anchor.saturating_sub(left);
                Shape::Window { frame, anchor, indel: settings.indel }
            }
            None => {
                let own = reading.reach();
                let reach = own.hull(engine.reach());
                Shape::Rows { distance: settings.distance, reach, strand: settings.strand }
            }
        };
        let (background, features, null) = (Vec::new(), None, None);
        Ok(Self { reading, engine, settings, shape, background, features, null })
    }

    /// Compares counts with those of a file.
    pub fn with_counts(mut self, counts: &Background) -> Self {
        let members = self.pools();
        self.background = vec![vec![counts.clone(); members]; self.reading.list().len()];
        self
    }

    /// Restricts `log_sed` to some regions.
    pub fn with_features(mut self, regions: &[Region]) -> Self {
        let mut features: Vec<Interval> = regions.iter().map(|region| region.interval).collect();
        features.sort_unstable_by_key(|f| (f.contig, f.start, f.end));
        let mut apart: Vec<Interval> = Vec::with_capacity(features.len());
        for feature in features {
            match apart.last_mut() {
                Some(last) if last.contig == feature.contig && feature.start <= last.end => {
                    last.end = last.end.max(feature.end);
                }
                _ => apart.push(feature),
            }
        }
        self.features = Some(apart);
        self
    }

    /// Compares counts with those of windows around the summits of peaks; peaks that are there twice
    /// count once, and windows that leave their contig do not (track-effects.md A1). Returns how
    /// many of each were left out.
    ///
    /// # Errors
    /// A model without a window (usage), a failure to read the reference, no window that is left.
    pub fn with_peaks(
        mut self,
        reference: &mut Reference,
        peaks: &[Region],
    ) -> Result<(Self, [usize; 2])> {
        let Some(frame) = self.reading.window() else {
            return Err(Error::usage("peaks are compared by windows, and the model has none")
                .remedy("give counts with --background-counts"));
        };
        let mut seen = HashSet::new();
        let mut windows = Vec::new();
        let mut left_out = [0; 2];
        for peak in peaks {
            let Interval { contig, start, end } = peak.interval;
            let summit = peak.summit.unwrap_or(start + (end - start) / 2);
            if !seen.insert((contig, start, end, summit)) {
                left_out[0] += 1;
                continue;
            }
            let first = summit.cast_signed() - signed(frame.anchor);
            let last = first + signed(frame.input);
            if first < 0 || last > reference.contigs().length(contig).cast_signed() {
                left_out[1] += 1;
                continue;
            }
            windows.push((contig, first, last));
        }
        let mut counts: Vec<Vec<Vec<f64>>> =
            vec![vec![Vec::new(); self.pools()]; self.reading.list().len()];
        for chunk in windows.chunks(self.at_once(2)) {
            signal::check()?;
            let mut places = Vec::with_capacity(chunk.len());
            for &(contig, first, last) in chunk {
                let letters = reference.fetch(contig, first, last)?;
                let around = Around { letters, at: frame.anchor };
                let shape =
                    Shape::Window { frame, anchor: frame.anchor, indel: self.settings.indel };
                places.push(shape.work(&around, &[], 0, 0, self.both_strands()));
            }
            for (before, _) in self.compute(places)? {
                for (task, counts) in self.reading.list().iter().zip(&mut counts) {
                    let given = Given {
                        before: &before[0],
                        after: &before[0],
                        reverse: before.get(1).map(|reverse| (reverse, reverse)),
                    };
                    let all = self.predictions(task, &given);
                    for (counts, [prediction, _]) in counts.iter_mut().zip(all) {
                        counts.push(prediction.count);
                    }
                }
            }
        }
        let of_member = |counts: Vec<f64>| Background::new(counts);
        let of_task =
            |members: Vec<Vec<f64>>| members.into_iter().map(of_member).collect::<Result<_>>();
        self.background = counts.into_iter().map(of_task).collect::<Result<_>>()?;
        Ok((self, left_out))
    }

    /// Compares scores with a pool of those of shuffled sequences.
    pub fn with_null(mut self, mut null: Null) -> Self {
        null.finish();
        self.null = Some(null);
        self
    }

    /// The settings.
    pub fn settings(&self) -> &TrackSettings {
        &self.settings
    }

    /// What is read of the model.
    pub fn reading(&self) -> &TrackReading {
        self.reading
    }

    /// What runs the network.
    pub fn engine(&self) -> &dyn Engine {
        self.engine
    }

    /// The pool that scores are compared with, if there is one.
    pub fn null(&self) -> Option<&Null> {
        self.null.as_ref()
    }

    /// The columns that the scores have, in the order in which they are written.
    pub fn columns(&self) -> Vec<Column> {
        let own = |column: &Column| match column {
            Column::LogfcSd => {
                self.reading.members() > 1 && self.settings.combine == Combine::Scores
            }
            Column::JeffreysHalfNats => self.settings.basenji,
            column => !column.needs_background() || !self.background.is_empty(),
        };
        Column::ALL.into_iter().filter(own).collect()
    }

    /// Members that are scored apart.
    fn pools(&self) -> usize {
        match self.settings.combine {
            Combine::Scores => self.reading.members(),
            Combine::Predictions => 1,
        }
    }

    fn both_strands(&self) -> bool {
        self.reading.is_windowed() && self.settings.strands != StrandAverage::None
    }

    /// Variants whose values fit [`MOST_VALUES`].
    fn at_once(&self, sequences: usize) -> usize {
        let numbers = self.shape.outputs() * self.reading.wanted().tracks.len().max(1);
        (MOST_VALUES / (2 * numbers * sequences).max(1)).max(1)
    }

    /// What becomes of each variant, in the order given.
    ///
    /// # Errors
    /// A failure to read the reference, a signal, a value of the network that is no finite number,
    /// or REF that differs from the reference under `--ref-mismatch error`.
    pub fn score<'g>(
        &self,
        reference: &mut Reference,
        variants: &[Variant],
    ) -> Result<Vec<VariantOutcome<'g>>> {
        let mut outcomes = Vec::with_capacity(variants.len());
        let mut places = Vec::new();
        for (index, variant) in variants.iter().enumerate() {
            let (alleles, place) = self.prepare(reference, variant, index)?;
            outcomes.push(VariantOutcome { alleles });
            places.extend(place);
        }
        self.run(&places, |place, number, given| {
            let case = &place.cases[number];
            check_finite(&given, &variants[case.variant])?;
            let effects = self.effects(place, case, &given);
            let allele = &mut outcomes[case.variant].alleles[case.allele];
            if 2 * place.unknown.0 > place.unknown.1 {
                allele.warnings.push(Warning::ManyN);
                allele.warnings.sort_unstable();
            }
            let strand = self.settings.strand;
            let scores = effects.into_iter().map(|effect| GeneScore {
                gene: None,
                strand,
                scores: vec![Scores::Effect(Box::new(effect))],
            });
            allele.outcome = Outcome::Scored(scores.collect());
            Ok(())
        })?;
        Ok(outcomes)
    }

    /// Adds the scores of `count` shuffles of every allele that has a score to a pool
    /// ([`TrackScorer::new_null`]): all but the alleles is shuffled, each in its own way.
    ///
    /// # Errors
    /// As [`TrackScorer::score`]; more scores than memory should hold.
    pub fn add_null(
        &self,
        reference: &mut Reference,
        variants: &[Variant],
        (count, seed): (usize, u64),
        null: &mut Null,
    ) -> Result<()> {
        for (index, variant) in variants.iter().enumerate() {
            let (_, place) = self.prepare(reference, variant, index)?;
            let Some(place) = place else { continue };
            let name = reference.contigs().name(place.contig).to_owned();
            let mut shuffled = Vec::new();
            for case in &place.cases {
                let reads = self.shape.reads(place.start, std::slice::from_ref(&case.change));
                let first = place.start - signed(place.around.at);
                let [from, to] = [reads.start, reads.end]
                    .map(|x| usize::try_from(x - first).expect("letters around the variant"));
                let at = place.around.at - from;
                let own = place.around.letters[at + from..][..case.change.removed].to_vec();
                for replicate in 0..count {
                    let mut letters = place.around.letters[from..to].to_vec();
                    let alt = &variant.alternates[case.allele];
                    let mut random = Random::of_allele(seed, &name, variant, alt, replicate);
                    shuffle(&mut letters, &mut random);
                    letters[at..at + own.len()].copy_from_slice(&own);
                    let change = case.change.clone();
                    shuffled.push(Place {
                        cases: vec![Case { variant: index, allele: case.allele, change }],
                        around: Around { letters, at },
                        unknown: (0, 0),
                        ..place
                    });
                }
            }
            if null.size().saturating_mul(null.tested().len()) > MOST_NULL {
                return Err(Error::usage("so many shuffles do not fit memory")
                    .found(format!("more than {} scores", null.size()))
                    .remedy("ask for fewer with --null"));
            }
            self.run(&shuffled, |place, number, given| {
                check_finite(&given, variant)?;
                let case = &place.cases[number];
                for (index, task) in self.reading.list().iter().enumerate() {
                    let members = self.members(place, case, &given, index, task);
                    for (member, (values, _)) in members.iter().enumerate() {
                        null.add(index, member, values);
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// An empty pool for what this scores.
    pub fn new_null(&self) -> Null {
        let tested = Tested::all(!self.background.is_empty());
        Null::new(tested, self.reading.list().len(), self.pools())
    }

    /// The tracks of a variant before and after it, per ALT that is scored; over members the mean.
    ///
    /// # Errors
    /// As [`TrackScorer::score`].
    pub fn windows<'g>(
        &self,
        reference: &mut Reference,
        variant: &Variant,
    ) -> Result<Vec<Window<'g>>> {
        let (_, place) = self.prepare(reference, variant, 0)?;
        let mut windows = Vec::new();
        self.run(place.as_slice(), |place, number, given| {
            let case = &place.cases[number];
            let pairs = self.pairs(&case.change);
            let mut tracks = Vec::new();
            for task in self.reading.list() {
                let means = mean_values(&self.predictions(task, &given));
                let [before, after] = means;
                for ((name, before), after) in task.tracks.iter().zip(before).zip(after) {
                    let mut aligned = vec![0.0; before.len()];
                    pairs.positions().for_each(|(r, a)| aligned[r] = after[a] as f32);
                    let reference: Vec<f32> = before.iter().map(|&x| x as f32).collect();
                    let differences = aligned.iter().zip(&reference).map(|(a, r)| a - r);
                    let difference = differences.collect();
                    let name = name.clone();
                    tracks.push(WindowTrack { name, reference, alternative: aligned, difference });
                }
            }
            windows.push(Window {
                allele: case.allele,
                gene: None,
                strand: self.settings.strand,
                contig: place.contig,
                start: self.shape.first_output(place.start),
                tracks,
            });
            Ok(())
        })?;
        Ok(windows)
    }

    /// Judges every allele of a variant; what is computed for those that are scored.
    fn prepare<'g>(
        &self,
        reference: &mut Reference,
        variant: &Variant,
        index: usize,
    ) -> Result<(Vec<AlleleOutcome<'g>>, Option<Place>)> {
        let length = variant.contig.map(|contig| reference.contigs().length(contig));
        let found = bases(reference, variant, length)?;
        let settings = Settings {
            // REF must fit in the outputs on either side of POS together
            distance: self.shape.outputs() / 2,
            rules: Rules::Atrous,
            ref_mismatch: self.settings.ref_mismatch,
            max_alt: self.settings.max_alt,
            ..Settings::default()
        };
        let site = Site {
            variant,
            length,
            annotated: true,
            targets: &[None],
            bases: &found,
            flank: self.reading.reach(),
            settings: &settings,
        };
        let missing = [".".to_string()];
        let alternates: &[String] =
            if variant.alternates.is_empty() { &missing } else { &variant.alternates };
        let believed = rules::difference(&site).is_some();
        let mut alleles = Vec::with_capacity(alternates.len());
        let mut cases = Vec::new();
        for (allele, alt) in alternates.iter().enumerate() {
            let mut warnings = Vec::new();
            let outcome = match rules::judge_for_tracks(&site, alt, allele) {
                Some(skipped) => {
                    refuse_mismatch(&settings, variant, &skipped)?;
                    Outcome::Skipped(skipped)
                }
                None => {
                    let inserted = alt.to_ascii_uppercase().into_bytes();
                    if inserted.contains(&b'N') {
                        warnings.push(Warning::NInAlt);
                    }
                    let change = Change { removed: variant.reference.len(), inserted };
                    cases.push(Case { variant: index, allele, change });
                    Outcome::Scored(Vec::new())
                }
            };
            alleles.push(AlleleOutcome { allele: alt.clone(), outcome, warnings });
        }
        let place = variant.contig.zip(variant.start()).filter(|_| !cases.is_empty());
        let Some((contig, start)) = place else { return Ok((alleles, None)) };
        let (start, length) = (start.cast_signed(), length.unwrap_or(0).cast_signed());
        let changes: Vec<Change> = cases.iter().map(|case| case.change.clone()).collect();
        let reads = self.shape.reads(start, &changes);
        let mut letters = reference.fetch(contig, reads.start, reads.end)?;
        let at = usize::try_from(start - reads.start).expect("POS is read");
        if believed {
            let written = variant.reference.as_bytes();
            letters[at..at + written.len()].copy_from_slice(written);
        }
        let span = self.shape.span(start);
        let beyond = (-span.start).max(0) + (span.end - length).max(0);
        for case in &cases {
            let warnings = &mut alleles[case.allele].warnings;
            if beyond > 0 {
                let beyond = usize::try_from(beyond).expect("not more than a window");
                warnings.push(Warning::ContigEdge(beyond));
            }
            if believed {
                warnings.push(Warning::RefMismatch);
            }
            warnings.sort_unstable();
        }
        let known = |letter: &&u8| matches!(letter.to_ascii_uppercase(), b'A' | b'C' | b'G' | b'T');
        let unknown = (letters.len() - letters.iter().filter(known).count(), letters.len());
        let around = Around { letters, at };
        Ok((alleles, Some(Place { cases, contig, start, length, around, unknown })))
    }

    /// Computes all places; each case comes back once through `take`, in order.
    fn run(
        &self,
        places: &[Place],
        mut take: impl FnMut(&Place, usize, Given<'_>) -> Result<()>,
    ) -> Result<()> {
        for chunk in places.chunks(self.at_once(4)) {
            let work = chunk.iter().map(|place| {
                let changes: Vec<Change> =
                    place.cases.iter().map(|case| case.change.clone()).collect();
                let Place { around, start, length, .. } = place;
                self.shape.work(around, &changes, *start, *length, self.both_strands())
            });
            let values = self.compute(work.collect())?;
            for (place, (before, after)) in chunk.iter().zip(values) {
                for (number, after) in after.iter().enumerate() {
                    let reverse = before.get(1).zip(after.get(1));
                    // models without a window give a reference for every edit
                    let given = Given { before: &before[0], after: &after[0], reverse };
                    take(place, number, given)?;
                }
            }
        }
        Ok(())
    }

    /// Runs the engine: per place the reference by strand, and per edit the alternative by strand.
    #[expect(clippy::type_complexity, reason = "two lists by strand")]
    fn compute(
        &self,
        work: Vec<Work>,
    ) -> Result<Vec<(Vec<engine::Values>, Vec<Vec<engine::Values>>)>> {
        let mut windows = Vec::new();
        let mut stretches = Vec::new();
        for work in work {
            match work {
                Work::Windows(forward, reverse) => {
                    windows.push(forward);
                    windows.extend(reverse);
                }
                Work::Stretch(stretch) => stretches.push(stretch),
            }
        }
        if !stretches.is_empty() {
            let values = self.engine.run_edits(&stretches, &|_| signal::check())?;
            return Ok(values
                .into_iter()
                .map(|edits| {
                    let reference = edits.first().map(|edit| edit.reference.clone());
                    let after = edits.into_iter().map(|edit| vec![edit.alternative]);
                    (reference.into_iter().collect(), after.collect())
                })
                .collect());
        }
        let strands = if self.both_strands() { 2 } else { 1 };
        let mut values = self.engine.run_window_edits(&windows, &|_| signal::check())?.into_iter();
        let mut all = Vec::with_capacity(windows.len() / strands);
        for edited in windows.chunks(strands) {
            let by_strand: Vec<_> = values.by_ref().take(strands).collect();
            let before = by_strand.iter().map(|values| values.reference.clone()).collect();
            let after =
                |number: usize| {
                    let pairs = by_strand.iter().zip(edited);
                    // the same letters are the same window, to the last bit
                    let one = |(values, window): (&engine::WindowValues, &engine::EditedWindow)| {
                        match window.edits[number].letters == window.job.letters {
                            true => values.reference.clone(),
                            false => values.alternatives[number].clone(),
                        }
                    };
                    pairs.map(one).collect()
                };
            all.push((before, (0..edited[0].edits.len()).map(after).collect()));
        }
        Ok(all)
    }

    /// What each member, or their average, predicts before and after.
    fn predictions(&self, task: &Task, given: &Given<'_>) -> Vec<[Prediction; 2]> {
        let minus = !self.reading.is_windowed() && self.settings.strand == Strand::Minus;
        let raws = |member: usize| -> [Vec<Raw>; 2] {
            let one = |values: &engine::Values| match minus {
                true => task.reverse(member, values),
                false => task.forward(member, values),
            };
            let mut both = [vec![one(given.before)], vec![one(given.after)]];
            if let Some((before, after)) = given.reverse {
                both[0].push(task.reverse(member, before));
                both[1].push(task.reverse(member, after));
            }
            both
        };
        let strands = self.settings.strands;
        let members = (0..self.reading.members()).map(raws);
        match self.settings.combine {
            Combine::Scores => {
                members.map(|both| both.map(|raws| combine(raws, strands))).collect()
            }
            Combine::Predictions => {
                let mut all = [Vec::new(), Vec::new()];
                for both in members {
                    all.iter_mut().zip(both).for_each(|(all, raws)| all.extend(raws));
                }
                vec![all.map(|raws| combine(raws, strands))]
            }
        }
    }

    fn pairs(&self, change: &Change) -> Pairs {
        let lengths = [self.shape.outputs(), self.shape.outputs_after(change)];
        Pairs::new(lengths, self.shape.moved(change))
    }

    /// The scores of each member for one task, and what it predicts.
    fn members(
        &self,
        place: &Place,
        case: &Case,
        given: &Given<'_>,
        index: usize,
        task: &Task,
    ) -> Vec<(Values, [Prediction; 2])> {
        let pairs = self.pairs(&case.change);
        let first = self.shape.first_output(place.start);
        let features = self.features.as_ref().map(|f| mask(f, place, first, &pairs));
        let options = Options {
            pseudocount: self.settings.pseudocount,
            features: features.as_ref().map(|[before, after]| [&before[..], &after[..]]),
            basenji: self.settings.basenji,
        };
        let start = first - place.start;
        let one = |(member, both): (usize, [Prediction; 2])| {
            let mut values = measure(&both[0], &both[1], &pairs, start, options);
            if let Some(background) = self.background.get(index) {
                background[member].compare(&mut values);
            }
            values.multiply();
            (values, both)
        };
        self.predictions(task, given).into_iter().enumerate().map(one).collect()
    }

    /// The effects of a case on all tasks.
    fn effects(&self, place: &Place, case: &Case, given: &Given<'_>) -> Vec<TrackEffect> {
        let one = |(index, task): (usize, &Task)| {
            let members = self.members(place, case, given, index, task);
            let (all, predictions): (Vec<Values>, Vec<[Prediction; 2]>) =
                members.into_iter().unzip();
            let mut values = Values::mean(&all);
            if all.len() > 1 {
                values.set(Column::LogfcSd, deviation(&all));
                // a mean of positions would be none
                let [before, after] = mean_values(&predictions);
                let (at, difference) = self.pairs(&case.change).largest(&before, &after);
                let from = self.shape.first_output(place.start) - place.start;
                values.set(Column::MaxAbsDiff, Some(difference));
                values.set(Column::MaxAbsPos, Some((from + signed(at)) as f64));
            }
            let p = self.null.as_ref().map(|null| null.p_values(index, &all));
            TrackEffect { task: task.name.clone(), values, p: p.unwrap_or_default() }
        };
        self.reading.list().iter().enumerate().map(one).collect()
    }
}

/// Standard deviation of `logfc` over members, with n − 1.
fn deviation(all: &[Values]) -> Option<f64> {
    let logs: Vec<f64> =
        all.iter().map(|values| values.get(Column::Logfc)).collect::<Option<_>>()?;
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
    Some((squares / (logs.len() as f64 - 1.0)).sqrt())
}

/// The mean of the values of several predictions before and after: `[track][position]`.
fn mean_values(all: &[[Prediction; 2]]) -> [Vec<Vec<f64>>; 2] {
    [0, 1].map(|side| {
        let mut sums = all[0][side].values.clone();
        for other in &all[1..] {
            let pairs = sums.iter_mut().flatten().zip(other[side].values.iter().flatten());
            pairs.for_each(|(sum, x)| *sum += x);
        }
        let count = all.len() as f64;
        sums.iter_mut().flatten().for_each(|sum| *sum /= count);
        sums
    })
}

/// Which positions of the reference and the alternative lie in features; letters that are there in
/// one of them only belong to the base before them.
fn mask(features: &[Interval], place: &Place, first: i64, pairs: &Pairs) -> [Vec<bool>; 2] {
    let inside = |position: i64| {
        let after = features.partition_point(|feature| {
            (feature.contig, feature.start.cast_signed()) <= (place.contig, position)
        });
        after.checked_sub(1).is_some_and(|index| {
            let Interval { contig, end, .. } = features[index];
            contig == place.contig && position < end.cast_signed()
        })
    };
    let before: Vec<bool> = (first..).take(pairs.lengths[0]).map(inside).collect();
    let mut stands: Vec<Option<bool>> = vec![None; pairs.lengths[1]];
    pairs.positions().for_each(|(r, a)| stands[a] = Some(before[r]));
    let mut last = before.first().copied().unwrap_or(false);
    let after = stands.into_iter().map(|own| {
        last = own.unwrap_or(last);
        last
    });
    let after = after.collect();
    [before, after]
}

/// A value that is no finite number is an error of the model, never a printed value.
fn check_finite(given: &Given<'_>, variant: &Variant) -> Result<()> {
    let reverse = given.reverse.into_iter().flat_map(|(before, after)| [before, after]);
    for values in [given.before, given.after].into_iter().chain(reverse) {
        let tracks = values.tracks.iter().flatten().map(|&x| f64::from(x));
        let scalars = values.scalars.iter().copied();
        if let Some(value) = tracks.chain(scalars).find(|value| !value.is_finite()) {
            let place = format!("{}:{}", variant.chrom, variant.pos);
            return Err(at_line(
                variant,
                Error::new(format!("the network has no finite value around {place}"))
                    .found(value)
                    .remedy("check where the model comes from, or choose other members"),
            ));
        }
    }
    Ok(())
}
