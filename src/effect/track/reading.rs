//! What of a model is computed for track effects, and what its outputs mean.

use super::measure::Prediction;
use super::settings::StrandAverage;
use crate::engine::{Values, Wanted};
use crate::error::{Error, Result};
use crate::model::{Model, Profile, Scalar, Source, Track, TrackStrand};
use crate::network::Reach;

/// The tasks of a model: its profiles, each with the tracks that share a count, and its other
/// tracks one by one. Says what an engine must be built for.
#[derive(Debug, Clone)]
pub struct TrackReading {
    wanted: Wanted,
    tasks: Vec<Task>,
    members: usize,
    window: Option<Frame>,
    reach: Reach,
}

/// The window of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Bases that go in.
    pub input: usize,
    /// Positions that come out.
    pub output: usize,
    /// Bases before the outputs.
    pub before: usize,
    /// The base that POS lies on.
    pub anchor: usize,
}

/// One output task.
#[derive(Debug, Clone)]
pub(super) struct Task {
    /// Its name: that of its track, or of its tracks joined by `+`.
    pub name: String,
    /// Names of its tracks.
    pub tracks: Vec<String>,
    /// Per member, where its rows and its log count are among what the engine gives.
    members: Vec<(Vec<usize>, Option<usize>)>,
    /// For each track, the one that stands for the opposite strand.
    turned: Vec<usize>,
}

/// What a member gives for a task on one strand, or an average of such.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Raw {
    /// Logits where there is a log count, else values.
    pub rows: Vec<Vec<f64>>,
    /// Logarithm of the count that is spread over the rows.
    pub log_count: Option<f64>,
}

impl TrackReading {
    /// For some tracks of a model.
    ///
    /// # Errors
    /// A profile that a member does not give completely; averages over strands where the outputs do
    /// not lie in the middle of the window (usage).
    pub fn new(model: &Model, tracks: &[Track], strands: StrandAverage) -> Result<Self> {
        let flanks = model.flanks();
        let window = model.window.map(|window| Frame {
            input: window.input,
            output: window.output,
            before: usize::try_from(flanks.left).unwrap_or(usize::MAX),
            anchor: window.anchor,
        });
        if window.is_some() && strands != StrandAverage::None && flanks.left != flanks.right {
            return Err(Error::usage("the outputs do not lie in the middle of the window")
                .found(format!("{} bases before them, {} behind", flanks.left, flanks.right))
                .remedy("read one strand: --rc-average none"));
        }
        let mut reading = Self {
            wanted: Wanted::default(),
            tasks: Vec::new(),
            members: 0,
            window,
            reach: model.reach(),
        };
        for track in tracks {
            let holds = |profile: &&Profile| profile.tracks.contains(&track.name);
            match model.profiles.iter().find(holds) {
                Some(profile) if reading.tasks.iter().any(|t| t.tracks == profile.tracks) => {}
                Some(profile) => reading.add_profile(model, profile, &track.sources)?,
                None if window.is_some() && strands != StrandAverage::None => {
                    track.refuse_strand_average()?;
                    reading.add_track(track);
                }
                None => reading.add_track(track),
            }
        }
        let members = reading.tasks.first().map_or(0, |task| task.members.len());
        if members == 0 || reading.tasks.iter().any(|task| task.members.len() != members) {
            return Err(Error::usage("the tracks come from different numbers of members")
                .remedy("choose tracks with --track"));
        }
        reading.members = members;
        Ok(reading)
    }

    fn add_track(&mut self, track: &Track) {
        let mut members = Vec::new();
        for &source in &track.sources {
            members.push((vec![self.wanted.tracks.len()], None));
            self.wanted.tracks.push(Track { sources: vec![source], ..track.clone() });
        }
        let tracks = vec![track.name.clone()];
        self.tasks.push(Task { name: track.name.clone(), tracks, members, turned: vec![0] });
    }

    fn add_profile(&mut self, model: &Model, profile: &Profile, sources: &[Source]) -> Result<()> {
        let missing = || Error::new(format!("profile {:?} is not complete", profile.tracks));
        let find = |name: &String| model.tracks.iter().find(|track| track.name == *name);
        let parts: Option<Vec<&Track>> = profile.tracks.iter().map(find).collect();
        let parts = parts.ok_or_else(missing)?;
        let log_count = model.scalars.iter().find(|scalar| scalar.name == profile.log_count);
        let log_count = log_count.ok_or_else(missing)?;
        let mut members = Vec::with_capacity(sources.len());
        for member in sources.iter().map(|source| source.member) {
            let of = |sources: &[Source]| {
                let source = sources.iter().copied().find(|source| source.member == member);
                source.map(|source| vec![source]).ok_or_else(missing)
            };
            let mut rows = Vec::with_capacity(parts.len());
            for part in &parts {
                rows.push(self.wanted.tracks.len());
                self.wanted.tracks.push(Track { sources: of(&part.sources)?, ..(*part).clone() });
            }
            members.push((rows, Some(self.wanted.scalars.len())));
            let sources = of(&log_count.sources)?;
            self.wanted.scalars.push(Scalar { sources, ..log_count.clone() });
        }
        let opposite = |strand: TrackStrand| match strand {
            TrackStrand::Read => TrackStrand::Opposite,
            TrackStrand::Opposite => TrackStrand::Read,
            TrackStrand::None => TrackStrand::None,
        };
        let turned = parts.iter().enumerate().map(|(index, part)| match part.strand {
            TrackStrand::None => index,
            strand => parts.iter().position(|o| o.strand == opposite(strand)).unwrap_or(index),
        });
        let (name, tracks) = (profile.tracks.join("+"), profile.tracks.clone());
        self.tasks.push(Task { name, tracks, members, turned: turned.collect() });
        Ok(())
    }

    /// What an engine must be built for.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Names of the tasks, in the order of the scores.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        self.tasks.iter().map(|task| task.name.as_str())
    }

    /// How many members are combined.
    pub fn members(&self) -> usize {
        self.members
    }

    /// Whether the model is run in a window.
    pub fn is_windowed(&self) -> bool {
        self.window.is_some()
    }

    /// The window of the model, if it has one.
    pub(super) fn window(&self) -> Option<Frame> {
        self.window
    }

    /// How far the network looks.
    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    pub(super) fn list(&self) -> &[Task] {
        &self.tasks
    }
}

impl Task {
    /// What a member gives on the strand as it is.
    pub fn forward(&self, member: usize, values: &Values) -> Raw {
        let (rows, scalar) = &self.members[member];
        let row = |&raw: &usize| values.tracks[raw].iter().map(|&x| f64::from(x)).collect();
        let log_count = scalar.map(|scalar| values.scalars[scalar]);
        Raw { rows: rows.iter().map(row).collect(), log_count }
    }

    /// What it gives on the reverse complement, turned to positions and strands as they are.
    pub fn reverse(&self, member: usize, values: &Values) -> Raw {
        let Raw { rows, log_count } = self.forward(member, values);
        let turned = |&from: &usize| rows[from].iter().rev().copied().collect();
        Raw { rows: self.turned.iter().map(turned).collect(), log_count }
    }
}

impl Raw {
    /// Rows are averaged as they are, log counts as counts.
    pub fn mean(all: &[Self]) -> Self {
        let share = 1.0 / all.len() as f64;
        let mut rows = all[0].rows.clone();
        for other in &all[1..] {
            let pairs = rows.iter_mut().flatten().zip(other.rows.iter().flatten());
            pairs.for_each(|(x, y)| *x += y);
        }
        if all.len() > 1 {
            rows.iter_mut().flatten().for_each(|x| *x *= share);
        }
        let logs: Option<Vec<f64>> = all.iter().map(|raw| raw.log_count).collect();
        Self { rows, log_count: logs.map(|logs| log_mean_exp(&logs)) }
    }

    /// What it predicts.
    pub fn predict(self) -> Prediction {
        match self.log_count {
            Some(log_count) => Prediction::of_profile(self.rows, log_count),
            None => Prediction::of_values(self.rows),
        }
    }
}

/// `ln` of the mean of `exp`.
fn log_mean_exp(logs: &[f64]) -> f64 {
    if let [only] = logs {
        return *only;
    }
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - largest).exp()).sum();
    largest + (sum / logs.len() as f64).ln()
}

/// One prediction from the strands that were read, and from members where these are averaged first.
pub(super) fn combine(raws: Vec<Raw>, strands: StrandAverage) -> Prediction {
    match strands {
        StrandAverage::Tracks if raws.len() > 1 => {
            let share = 1.0 / raws.len() as f64;
            let all: Vec<Prediction> = raws.into_iter().map(Raw::predict).collect();
            let mut values = all[0].values.clone();
            for other in &all[1..] {
                let pairs = values.iter_mut().flatten().zip(other.values.iter().flatten());
                pairs.for_each(|(x, y)| *x += y);
            }
            values.iter_mut().flatten().for_each(|x| *x *= share);
            Prediction::of_values(values)
        }
        _ => Raw::mean(&raws).predict(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_averaged_as_counts_and_logits_as_logits() {
        let raw = |rows: [f64; 2], count: f64| Raw {
            rows: vec![rows.to_vec()],
            log_count: Some(count.ln()),
        };
        let both = [raw([0.0, 2.0], 3.0), raw([4.0, 0.0], 5.0)];
        let mean = Raw::mean(&both);
        assert_eq!(mean.rows, [[2.0, 1.0]]);
        assert!((mean.log_count.unwrap() - 4f64.ln()).abs() < 1e-12);
        assert_eq!(Raw::mean(&both[..1]), both[0], "one stays as it is");
        let tracks = combine(both.to_vec(), StrandAverage::Tracks);
        assert!((tracks.count - 4.0).abs() < 1e-12);
        let first = 3.0 / (1.0 + 2f64.exp());
        let second = 5.0 * 4f64.exp() / (4f64.exp() + 1.0);
        assert!((tracks.values[0][0] - (first + second) / 2.0).abs() < 1e-12);
        // far beyond what exp can hold
        let far = Raw::mean(&[raw([0.0, 0.0], f64::MAX), raw([0.0, 0.0], f64::MAX)]);
        assert!((far.log_count.unwrap() - f64::MAX.ln()).abs() < 1e-9);
    }
}
