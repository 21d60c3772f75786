//! Saturation mutagenesis of a window: what every base in the place of every other does to a count
//! or a profile (track-effects.md A3, B7).

mod function;
mod place;
mod table;

pub use function::{Class, Function};

use super::letters::turned;
use super::reading::{Raw, Task, TrackReading};
use super::settings::{Combine, StrandAverage};
use crate::effect::mutate::{
    BASES, Beside, CHUNK, Effects, Ending, Report, check, mean_magnitude, part, settings, share,
};
use crate::engine::{Edit, EditedWindow, Engine, Job, Stretch, Values, WindowEdit};
use crate::error::{Error, Result};
use crate::genome::sequence::reverse_complement;
use crate::genome::{Interval, Reference, Strand};
use crate::job::journal::Settings;
use crate::job::shard::Shard;
use crate::job::{Lock, Progress, signal};
use crate::network::Span;
use crate::predict::WindowAt;
use crate::track::Style;
use place::{Place, places};
use std::path::PathBuf;
use table::Table;

/// What is mutated and measured, and what is written.
#[derive(Debug, Clone)]
pub struct MutateRequest {
    /// The bases.
    pub region: Interval,
    /// What is measured.
    pub function: Function,
    /// Where the windows of a model lie that has one: around the middle of the region, or on the
    /// grid, each base in the window whose outputs it belongs to; by default the first where the
    /// region fits into a window.
    pub at: Option<WindowAt>,
    /// The strand that models without a window read.
    pub strand: Strand,
    /// What is averaged over strands.
    pub strands: StrandAverage,
    /// How members are combined.
    pub combine: Combine,
    /// Whether the mean of the four bases is subtracted.
    pub center: bool,
    /// Whether the base that is there is written alone.
    pub project: bool,
    /// A table with a row per position, base and task: `.tsv`, `.tsv.gz`, or `-`.
    pub table: PathBuf,
    /// A track of how much each base matters, of the first task.
    pub importance: Option<PathBuf>,
    /// A picture of letters as tall as they matter, of the first task.
    pub plot: Option<PathBuf>,
    /// How the numbers of the track are written.
    pub style: Style,
    /// What is drawn, for the second line of the picture.
    pub subtitle: String,
    /// Do this part of the region alone, and write a manifest beside the table.
    pub shard: Option<Shard>,
    /// What decides the content of the outputs, such as the hash of the model.
    pub identity: Settings,
}

impl MutateRequest {
    /// What decides the bytes of the outputs.
    fn settings(
        &self,
        reading: &TrackReading,
        reference: &Reference,
        engine: &dyn Engine,
    ) -> Result<Settings> {
        let decimals = self.style.rounding.decimals();
        let mut settings =
            settings(&self.identity, reference, engine, (self.region, decimals), self.shard)?;
        let tracks = reading.list().iter().flat_map(|task| &task.tracks);
        for (name, value) in [
            ("tracks", tracks.map(String::as_str).collect::<Vec<_>>().join(", ")),
            ("measure", self.function.to_string()),
            ("window at", self.at.map_or("by length", WindowAt::name).into()),
            ("strand", self.strand.symbol().into()),
            ("rc average", self.strands.name().into()),
            ("ensemble", self.combine.name().into()),
            ("center", self.center.to_string()),
            ("project", self.project.to_string()),
        ] {
            settings.insert(name.into(), value);
        }
        Ok(settings)
    }
}

/// Differences at one base, by A, C, G, T; none where the base is not known.
type Differences = [Option<f64>; 4];

/// Puts every base in the place of every base of the region, each alone, and writes how much the
/// measure becomes larger. What is written appears when all is complete.
///
/// A difference over several members is the mean of theirs, or that of their mean
/// ([`Combine::Predictions`]). The base that is there has the difference 0.
///
/// # Errors
/// A measure that the model does not have, a region that does not fit into its window, or a position
/// that is not among its outputs (usage); any failure to read, to compute or to write.
pub fn mutate(
    reference: &mut Reference,
    reading: &TrackReading,
    engine: &dyn Engine,
    request: &MutateRequest,
    progress: &Progress,
) -> Result<Report> {
    let region = request.region;
    check(region, &request.table, request.plot.as_deref(), request.shard)?;
    let contigs = reference.contigs().clone();
    let contig = contigs.name(region.contig);
    let places = places(reading, engine.reach(), request, &contigs)?;
    let settings =
        request.shard.map(|_| request.settings(reading, reference, engine)).transpose()?;
    let shard = request.shard.zip(settings);
    let shard = shard.map(|(shard, settings)| (shard, share(region, shard, &contigs), settings));
    let bases = shard.as_ref().map_or(region, |(_, share, _)| part(region, share));
    let _lock = Lock::take(&request.table)?;
    let mut table = Table::create(request)?;
    let (importance, plot) = (request.importance.as_ref(), request.plot.as_ref());
    let mut beside = Beside::open(importance, plot, &contigs, &request.style)?;
    let mut report = Report { bases: bases.len(), ..Report::default() };
    let tried = Tried { reading, engine, request, contig: contigs.length(region.contig) };
    progress.start(bases.len());
    for place in places.into_iter().filter_map(|place| place.within(bases)) {
        let letters = place.letters(reference)?;
        let step = usize::try_from(CHUNK).expect("a small number");
        for start in (place.part.start..place.part.end).step_by(step) {
            signal::check()?;
            let end = place.part.end.min(start + CHUNK);
            let own = &letters[place.index(start)..place.index(end)];
            let tasks = tried.differences(&place, &letters, (start, own.len()))?;
            report.unknown += own.iter().filter(|base| !BASES.contains(base)).count() as u64;
            let known = own.iter().filter(|base| BASES.contains(base)).count() as u64;
            report.alleles += 3 * known;
            report.scored += 3 * known;
            for (index, &base) in own.iter().enumerate() {
                let position = start + index as u64 + 1;
                for (task, differences) in reading.list().iter().zip(&tasks) {
                    let at = (contig, position);
                    table.write(at, base, &task.name, &differences[index], request)?;
                }
            }
            let first = || tasks[0].iter().zip(own);
            let effects: Vec<Effects> = first().map(|(d, &base)| of(d, base)).collect();
            let matters = match request.center {
                false => effects.iter().map(mean_magnitude).collect(),
                true => first().map(|(d, &base)| observed(d, base)).collect(),
            };
            beside.add((region.contig, start), own, effects, matters)?;
            progress.advance(own.len() as u64);
        }
    }
    progress.finish();
    let subtitle = &request.subtitle;
    let ending = Ending { region, contigs: &contigs, subtitle, deletions: false, shard };
    beside.finish(table.finish()?, ending, &mut report)?;
    Ok(report)
}

/// What computes differences, and of what.
struct Tried<'a> {
    reading: &'a TrackReading,
    engine: &'a dyn Engine,
    request: &'a MutateRequest,
    /// Length of the contig.
    contig: u64,
}

/// Values before a change and after each, by the strands that are read.
struct Given {
    before: Vec<Values>,
    after: Vec<Vec<Values>>,
}

impl Tried<'_> {
    /// Differences of every task at so many bases of a place: `[task][base]`.
    fn differences(
        &self,
        place: &Place,
        letters: &[u8],
        (start, count): (u64, usize),
    ) -> Result<Vec<Vec<Differences>>> {
        let at = place.index(start);
        let known = |place: &usize| BASES.contains(&letters[*place]);
        let others = |place: usize| {
            let others = BASES.into_iter().filter(move |base| *base != letters[place]);
            others.map(move |base| (place, base))
        };
        let changes: Vec<(usize, u8)> = (at..at + count).filter(known).flat_map(others).collect();
        let given = match (self.reading.window(), &self.request.function) {
            _ if !place.reaches || changes.is_empty() => None,
            (Some(frame), _) => Some(self.in_window(letters, &changes, frame.output)?),
            (None, _) => Some(self.at_position(place, letters, &changes)?),
        };
        let of_task = |task: &Task| {
            let mut all = vec![[None; 4]; count];
            for (differences, base) in all.iter_mut().zip(&letters[at..]) {
                if let Some(own) = BASES.iter().position(|known| known == base) {
                    differences[own] = Some(0.0);
                }
            }
            let measured = given.as_ref().map(|given| self.measure(task, given, place));
            for (number, &(place, base)) in changes.iter().enumerate() {
                let column = BASES.iter().position(|known| *known == base);
                let column = column.expect("one of the four bases");
                // what no change can reach does not change
                let difference = measured.as_ref().map_or(Some(0.0), |measured| measured[number]);
                all[place - at][column] = difference;
            }
            if self.request.center {
                all.iter_mut().for_each(center);
            }
            all
        };
        Ok(self.reading.list().iter().map(of_task).collect())
    }

    /// How much the measure becomes larger by each change: of members the mean of theirs.
    fn measure(&self, task: &Task, given: &Given, place: &Place) -> Vec<Option<f64>> {
        let Self { reading, request, .. } = self;
        let at = match (&request.function, reading.window()) {
            (Function::Class(class), window) => {
                let row = task.tracks.iter().position(|track| *track == class.track);
                let first = window.map(|frame| place::outputs(frame, place).start);
                let first = first.unwrap_or(class.position.cast_signed() - 1);
                let index = usize::try_from(class.position.cast_signed() - 1 - first);
                (row.unwrap_or(0), index.expect("checked when places were made"))
            }
            _ => (0, 0),
        };
        let before = self.raws(task, &given.before);
        let one = |after: &Vec<Values>| {
            let after = self.raws(task, after);
            let own = before.iter().zip(after).map(|(before, after)| {
                request.function.difference(before, after, request.strands, at)
            });
            let own: Option<Vec<f64>> = own.collect();
            own.map(|own| own.iter().sum::<f64>() / own.len() as f64)
        };
        given.after.iter().map(one).collect()
    }

    /// What each member gives for a task by strand; of all members together where predictions are
    /// averaged.
    fn raws(&self, task: &Task, values: &[Values]) -> Vec<Vec<Raw>> {
        let turned = self.reading.window().is_none() && self.request.strand == Strand::Minus;
        let member = |member: usize| -> Vec<Raw> {
            let strand = |(index, values): (usize, &Values)| match index == 1 || turned {
                true => task.reverse(member, values),
                false => task.forward(member, values),
            };
            values.iter().enumerate().map(strand).collect()
        };
        let members = (0..self.reading.members()).map(member);
        match self.request.combine {
            Combine::Scores => members.collect(),
            Combine::Predictions => vec![members.flatten().collect()],
        }
    }

    /// Runs a window, and each change of it.
    fn in_window(&self, letters: &[u8], changes: &[(usize, u8)], outputs: usize) -> Result<Given> {
        let edits = |letters: &[u8], edit: &dyn Fn(usize, u8) -> WindowEdit| EditedWindow {
            job: Job::new(0, outputs, letters.to_vec()),
            edits: changes.iter().map(|&(place, base)| edit(place, base)).collect(),
        };
        let mut windows =
            vec![edits(letters, &|place, base| WindowEdit::substitution(letters, place, &[base]))];
        if self.request.strands != StrandAverage::None {
            let mut turned = letters.to_vec();
            reverse_complement(&mut turned);
            windows.push(edits(&turned, &|place, base| {
                let mut base = [base];
                reverse_complement(&mut base);
                WindowEdit::substitution(&turned, letters.len() - 1 - place, &base)
            }));
        }
        let values = self.engine.run_window_edits(&windows, &|_| signal::check())?;
        let mut given = Given { before: Vec::new(), after: vec![Vec::new(); changes.len()] };
        for window in values {
            given.before.push(window.reference);
            let pairs = given.after.iter_mut().zip(window.alternatives);
            pairs.for_each(|(after, values)| after.push(values));
        }
        given.checked()
    }

    /// Runs the position of a class, with each change of the letters that it reads.
    fn at_position(&self, place: &Place, letters: &[u8], changes: &[(usize, u8)]) -> Result<Given> {
        let Function::Class(Class { position, .. }) = self.request.function else {
            unreachable!("only classes are measured without a window")
        };
        let at = position.cast_signed() - 1;
        let edit = |&(index, base): &(usize, u8)| Edit {
            start: place.span.start + index as i64,
            removed: 1,
            inserted: vec![base],
            window: Span::new(at, at + 1),
        };
        let edits = changes.iter().map(edit).collect();
        let stretch = Stretch { start: place.span.start, letters: letters.to_vec(), edits };
        let stretch = match self.request.strand {
            Strand::Plus => stretch,
            Strand::Minus => turned(stretch, self.contig.cast_signed()),
        };
        let values = self.engine.run_edits(&[stretch], &|_| signal::check())?.remove(0);
        let before = values.first().map(|edit| edit.reference.clone()).into_iter().collect();
        let after = values.into_iter().map(|edit| vec![edit.alternative]).collect();
        Given { before, after }.checked()
    }
}

impl Given {
    /// A value that is no finite number is an error of the model, never a printed value.
    fn checked(self) -> Result<Self> {
        let all = self.before.iter().chain(self.after.iter().flatten());
        let numbers = all.flat_map(|values| {
            let tracks = values.tracks.iter().flatten().map(|&x| f64::from(x));
            tracks.chain(values.scalars.iter().copied())
        });
        match numbers.into_iter().find(|number| !number.is_finite()) {
            None => Ok(self),
            Some(number) => Err(Error::new("the network has no finite value in the window")
                .found(number)
                .remedy("check where the model comes from, or choose other members")),
        }
    }
}

/// Takes the mean over the four bases off.
fn center(differences: &mut Differences) {
    let known: Option<Vec<f64>> = differences.iter().copied().collect();
    if let Some(known) = known {
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        differences.iter_mut().flatten().for_each(|difference| *difference -= mean);
    }
}

/// The effects of substitutions; the base itself has none.
fn of(differences: &Differences, base: u8) -> Effects {
    let mut effects: Effects = [None; 5];
    for ((effect, difference), own) in effects.iter_mut().zip(differences).zip(BASES) {
        *effect = difference.filter(|_| own != base).map(|difference| difference as f32);
    }
    effects
}

/// The number of the base that is there.
fn observed(differences: &Differences, base: u8) -> Option<f32> {
    let own = BASES.iter().position(|known| *known == base)?;
    differences[own].map(|difference| difference as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centred_differences_sum_to_nothing_and_the_observed_base_has_one_too() {
        let mut differences = [Some(0.0), Some(1.0), Some(-3.0), Some(6.0)];
        center(&mut differences);
        assert_eq!(differences, [Some(-1.0), Some(0.0), Some(-4.0), Some(5.0)]);
        assert_eq!(observed(&differences, b'A'), Some(-1.0));
        assert_eq!(observed(&differences, b'N'), None);
        assert_eq!(of(&differences, b'C')[..4], [Some(-1.0), None, Some(-4.0), Some(5.0)]);
        let mut unknown = [None; 4];
        center(&mut unknown);
        assert_eq!(unknown, [None; 4]);
    }
}
