//! Saturation mutagenesis of a window: what every base in the place of every other does to a count
//! or a profile (track-effects.md A3, B7).

use super::measure::{jsd_distance, profile_summary};
use super::reading::{Raw, Task, TrackReading, combine};
use super::settings::{Combine, StrandAverage};
use crate::effect::mutate::{BASES, Drawn, Effects, Report, mean_magnitude, runs};
use crate::effect::signed;
use crate::engine::{EditedWindow, Engine, Job, Values, WindowEdit, WindowValues};
use crate::error::{Error, Result};
use crate::genome::sequence::reverse_complement;
use crate::genome::{Interval, Reference};
use crate::job::output::commit_all;
use crate::job::summary::Written;
use crate::job::{OutputFile, Progress, signal};
use crate::track::variants::{AlleleTable, VariantFormat};
use crate::track::{self, Segment, Style};
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

/// Bases that are mutated at a time, so that progress is seen and values do not pile up.
const CHUNK: usize = 256;
/// Where a table has a number that is not defined.
const UNDEFINED: &str = "NA";

/// What of a prediction is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Function {
    /// The logarithm of the count.
    #[default]
    LogCount,
    /// With ℓ the logits less their mean, Σ softmax(ℓ) · ℓ.
    ProfileSummary,
    /// The Jensen–Shannon distance (base 2) of the profile from that of the reference.
    Jsd,
}

impl Function {
    const ALL: [Self; 3] = [Self::LogCount, Self::ProfileSummary, Self::Jsd];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::LogCount => "logcount",
            Self::ProfileSummary => "profile-summary",
            Self::Jsd => "jsd",
        }
    }
}

impl FromStr for Function {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|function| function.name() == text).ok_or_else(|| {
            Error::usage("there is no such measure")
                .found(text)
                .expected(Self::ALL.map(Self::name).join(", "))
        })
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is mutated and measured, and what is written.
#[derive(Debug, Clone)]
pub struct MutateRequest {
    /// The bases; the window of the model lies around their middle.
    pub region: Interval,
    /// What is measured.
    pub function: Function,
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
/// A model without a window, or a region that does not fit into it (usage); any failure to read, to
/// compute or to write.
pub fn mutate(
    reference: &mut Reference,
    reading: &TrackReading,
    engine: &dyn Engine,
    request: &MutateRequest,
    progress: &Progress,
) -> Result<Report> {
    let region = request.region;
    let (first, letters) = window(reference, reading, request)?;
    let at = usize::try_from(region.start.cast_signed() - first).expect("inside the window");
    let bases = usize::try_from(region.len()).expect("inside the window");
    let mut table = Table::create(request)?;
    let contigs = reference.contigs().clone();
    let contig = contigs.name(region.contig);
    let open = |path: &PathBuf| track::open(path, &contigs, &request.style, None);
    let mut importance = request.importance.as_ref().map(open).transpose()?;
    let plot = request.plot.as_ref().map(|path| OutputFile::create(path)).transpose()?;
    let mut report = Report { bases: region.len(), ..Report::default() };
    let mut drawn = Drawn::default();
    progress.start(region.len());
    for start in (0..bases).step_by(CHUNK) {
        signal::check()?;
        let part = start..bases.min(start + CHUNK);
        let own = &letters[at + part.start..at + part.end];
        let tasks = differences(reading, engine, request, &letters, at + part.start, own.len())?;
        report.unknown += own.iter().filter(|base| !BASES.contains(base)).count() as u64;
        let known = own.iter().filter(|base| BASES.contains(base)).count() as u64;
        report.alleles += 3 * known;
        report.scored += 3 * known;
        for (index, &base) in own.iter().enumerate() {
            let position = region.start + (part.start + index) as u64 + 1;
            for (task, differences) in reading.list().iter().zip(&tasks) {
                table.write((contig, position), base, &task.name, &differences[index], request)?;
            }
        }
        let effects: Vec<Effects> =
            tasks[0].iter().zip(own).map(|(d, &base)| of(d, base)).collect();
        let matters: Vec<Option<f32>> = match request.center {
            false => effects.iter().map(mean_magnitude).collect(),
            true => tasks[0].iter().zip(own).map(|(d, &base)| observed(d, base)).collect(),
        };
        if let Some(sink) = &mut importance {
            for (offset, values) in runs(&matters) {
                let start = region.start + (part.start + offset) as u64;
                sink.write(Segment { contig: region.contig, start, values: &values })?;
            }
        }
        if plot.is_some() {
            drawn.add(own.to_vec(), effects, matters);
        }
        progress.advance(own.len() as u64);
    }
    progress.finish();
    let mut files = vec![table.finish(&mut report)?];
    if let (Some(mut sink), Some(path)) = (importance, &request.importance) {
        sink.finish()?;
        report.outputs.push(Written { path: path.clone(), records: sink.records() });
        files.extend(sink.into_files());
    }
    if let (Some(mut file), Some(path)) = (plot, &request.plot) {
        let picture = drawn.picture(region, &request.subtitle, contig, false);
        file.write_all(picture.as_bytes()).map_err(|e| file.error(e))?;
        report.outputs.push(Written { path: path.clone(), records: 1 });
        files.push(file);
    }
    commit_all(files)?;
    Ok(report)
}

/// The window around the middle of the region: where it begins, and its letters in capitals.
fn window(
    reference: &mut Reference,
    reading: &TrackReading,
    request: &MutateRequest,
) -> Result<(i64, Vec<u8>)> {
    let Interval { contig, start, end } = request.region;
    let Some(frame) = reading.window() else {
        return Err(Error::usage("the model has no window whose count or profile could change")
            .remedy("leave out --measure: changes of tracks are scored by position"));
    };
    if request.plot.is_some() && request.region.len() > crate::effect::mutate::MAX_PLOT {
        return Err(Error::usage("the region is too long for a picture of its letters")
            .found(format!("{} bases", request.region.len()))
            .expected(format!("at most {}", crate::effect::mutate::MAX_PLOT))
            .remedy("draw a part of it, or leave out --plot"));
    }
    let middle = start + (end - start) / 2;
    let first = middle.cast_signed() - signed(frame.anchor);
    let last = first + signed(frame.input);
    if start.cast_signed() < first || end.cast_signed() > last {
        return Err(Error::usage("the region does not fit into the window of the model")
            .found(format!("{} bases", end - start))
            .expected(format!("at most {}", frame.input))
            .remedy("mutate it in parts"));
    }
    let letters = reference.fetch(contig, first, last)?;
    Ok((first, letters.to_ascii_uppercase()))
}

/// Differences of every task at some bases of a window from `at` on: `[task][base]`.
fn differences(
    reading: &TrackReading,
    engine: &dyn Engine,
    request: &MutateRequest,
    letters: &[u8],
    at: usize,
    count: usize,
) -> Result<Vec<Vec<Differences>>> {
    let frame = reading.window().expect("checked when the window was cut");
    let known = |place: &usize| BASES.contains(&letters[*place]);
    let others = |place: usize| {
        let others = BASES.into_iter().filter(move |base| *base != letters[place]);
        others.map(move |base| (place, base))
    };
    let changes: Vec<(usize, u8)> = (at..at + count).filter(known).flat_map(others).collect();
    let edits = |letters: &[u8], edit: &dyn Fn(usize, u8) -> WindowEdit| EditedWindow {
        job: Job::new(0, frame.output, letters.to_vec()),
        edits: changes.iter().map(|&(place, base)| edit(place, base)).collect(),
    };
    let mut windows =
        vec![edits(letters, &|place, base| WindowEdit::substitution(letters, place, &[base]))];
    if request.strands != StrandAverage::None {
        let mut turned = letters.to_vec();
        reverse_complement(&mut turned);
        windows.push(edits(&turned, &|place, base| {
            let mut base = [base];
            reverse_complement(&mut base);
            WindowEdit::substitution(&turned, letters.len() - 1 - place, &base)
        }));
    }
    let values = engine.run_window_edits(&windows, &|_| signal::check())?;
    check_finite(&values)?;
    let of_task = |task: &Task| {
        let mut all = vec![[None; 4]; count];
        for (differences, &base) in all.iter_mut().zip(&letters[at..]) {
            if let Some(own) = BASES.iter().position(|known| *known == base) {
                differences[own] = Some(0.0);
            }
        }
        let before = raws(reading, task, request.combine, &values, |v| &v.reference);
        for (number, &(place, base)) in changes.iter().enumerate() {
            let after = raws(reading, task, request.combine, &values, |v| &v.alternatives[number]);
            let own = before.iter().zip(after).map(|(b, a)| request.difference(b, a));
            let own: Option<Vec<f64>> = own.collect();
            let mean = own.map(|own| own.iter().sum::<f64>() / own.len() as f64);
            let column = BASES.iter().position(|known| *known == base);
            all[place - at][column.expect("one of the four bases")] = mean;
        }
        if request.center {
            all.iter_mut().for_each(center);
        }
        all
    };
    Ok(reading.list().iter().map(of_task).collect())
}

/// What each member gives for a task by strand; of all members together where predictions are
/// averaged.
fn raws(
    reading: &TrackReading,
    task: &Task,
    how: Combine,
    values: &[WindowValues],
    pick: impl Fn(&WindowValues) -> &Values,
) -> Vec<Vec<Raw>> {
    let member = |member: usize| {
        let mut raws = vec![task.forward(member, pick(&values[0]))];
        raws.extend(values.get(1).map(|reverse| task.reverse(member, pick(reverse))));
        raws
    };
    let members = (0..reading.members()).map(member);
    match how {
        Combine::Scores => members.collect(),
        Combine::Predictions => vec![members.flatten().collect()],
    }
}

impl MutateRequest {
    /// By how much the measure becomes larger.
    fn difference(&self, before: &[Raw], after: Vec<Raw>) -> Option<f64> {
        match self.function {
            Function::LogCount => {
                let log = |raws: Vec<Raw>| combine(raws, self.strands).log_count;
                Some(log(after)? - log(before.to_vec())?)
            }
            Function::ProfileSummary => {
                let summary = |raws: &[Raw]| profile_summary(&Raw::mean(raws).rows);
                Some(summary(&after) - summary(before))
            }
            Function::Jsd => {
                let shares = |raws: Vec<Raw>| combine(raws, self.strands).shares;
                let (p, q) = (shares(before.to_vec())?.concat(), shares(after)?.concat());
                Some(jsd_distance(&p, &q))
            }
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

/// A value that is no finite number is an error of the model, never a printed value.
fn check_finite(values: &[WindowValues]) -> Result<()> {
    let all = values.iter().flat_map(|w| std::iter::once(&w.reference).chain(&w.alternatives));
    let numbers = all.flat_map(|values| {
        values.tracks.iter().flatten().map(|&x| f64::from(x)).chain(values.scalars.iter().copied())
    });
    match numbers.into_iter().find(|number| !number.is_finite()) {
        None => Ok(()),
        Some(number) => Err(Error::new("the network has no finite value in the window")
            .found(number)
            .remedy("check where the model comes from, or choose other members")),
    }
}

/// One row per position, base and task.
struct Table {
    rows: AlleleTable,
    path: PathBuf,
}

impl Table {
    fn create(request: &MutateRequest) -> Result<Self> {
        let path = request.table.clone();
        let bgzip = VariantFormat::of_changes(&path)?;
        let columns = ["chrom", "pos", "ref", "alt", "track", "difference"].map(String::from);
        Ok(Self { rows: AlleleTable::create(&path, bgzip, &[], &columns, None)?, path })
    }

    fn write(
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
            self.rows.write(&row)?;
        }
        Ok(())
    }

    fn finish(self, report: &mut Report) -> Result<OutputFile> {
        report.outputs.push(Written { path: self.path, records: self.rows.rows() });
        self.rows.finish()
    }
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
