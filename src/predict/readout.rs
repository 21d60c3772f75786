//! From what the networks of a windowed model give to what is written: profiles and log counts
//! become probabilities or expected counts, members and strands are averaged (networks.md 3).

use crate::engine::{Values, Wanted};
use crate::error::{Error, Result};
use crate::model::{Model, Profile, Scalar, Source, Track, TrackStrand};
use std::str::FromStr;

/// What is written of a track that is a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputKind {
    /// Expected counts at each position: probability times count.
    #[default]
    Track,
    /// Probabilities: the softmax over all positions and tracks of the profile.
    Profile,
    /// The logits themselves.
    Logits,
    /// The expected count of the whole window, at each of its positions.
    Counts,
}

impl FromStr for OutputKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "track" => Ok(Self::Track),
            "profile" => Ok(Self::Profile),
            "logits" => Ok(Self::Logits),
            "counts" => Ok(Self::Counts),
            _ => Err(Error::usage("no such kind of output")
                .found(text)
                .expected("track, profile, logits or counts")),
        }
    }
}

impl OutputKind {
    /// The name that the command line has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Profile => "profile",
            Self::Logits => "logits",
            Self::Counts => "counts",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Track | Self::Counts => "expected count",
            Self::Profile => "probability",
            Self::Logits => "logit",
        }
    }
}

/// Whether a window is also read as its reverse complement, and what is averaged then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RcAverage {
    /// One strand is read.
    #[default]
    None,
    /// Logits and log counts of both strands are averaged.
    Logits,
    /// Probabilities and counts of both strands are averaged.
    Probabilities,
}

impl FromStr for RcAverage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Self::None),
            "logits" => Ok(Self::Logits),
            "probabilities" => Ok(Self::Probabilities),
            _ => Err(Error::usage("no such average over the strands")
                .found(text)
                .expected("logits, probabilities or none")),
        }
    }
}

impl RcAverage {
    /// The name that the command line has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
        }
    }
}

/// How the raw outputs of the members become written tracks and scalars.
///
/// Over members, what is written is averaged: expected counts as counts, probabilities as
/// probabilities, logits as logits. A log count is the logarithm of the mean count, so that the
/// positions of a track always sum to its exponential.
#[derive(Debug, Clone)]
pub struct Readout {
    kind: OutputKind,
    rc: RcAverage,
    wanted: Wanted,
    tracks: Vec<Track>,
    scalars: Vec<Scalar>,
    groups: Vec<Group>,
    /// Tracks that belong to no profile: raw and written index.
    plain: Vec<(usize, usize)>,
}

/// One profile, as every member gives it.
#[derive(Debug, Clone)]
struct Group {
    /// Per member, the raw indices of its tracks and of its log count.
    members: Vec<(Vec<usize>, usize)>,
    /// For each of its tracks, the one that stands for the opposite strand.
    turned: Vec<usize>,
    /// Index among the profile's tracks and among the written ones.
    written: Vec<(usize, usize)>,
    /// Index among the written scalars.
    scalar: usize,
}

impl Readout {
    /// For some tracks of a model.
    ///
    /// # Errors
    /// A kind of output that one of the tracks does not have (usage).
    pub fn new(model: &Model, tracks: &[Track], kind: OutputKind, rc: RcAverage) -> Result<Self> {
        let mut readout = Self {
            kind,
            rc,
            wanted: Wanted::default(),
            tracks: tracks.to_vec(),
            scalars: Vec::new(),
            groups: Vec::new(),
            plain: Vec::new(),
        };
        let holds = |profile: &Profile, track: &Track| profile.tracks.contains(&track.name);
        for (index, track) in tracks.iter().enumerate() {
            if model.profiles.iter().any(|profile| holds(profile, track)) {
                readout.tracks[index].unit = kind.unit().into();
                continue;
            }
            if kind != OutputKind::default() {
                return Err(Error::usage(format!("track {:?} is no profile", track.name))
                    .found(format!("output kind {}", kind.name())));
            }
            if rc != RcAverage::None {
                track.refuse_strand_average()?;
            }
            readout.plain.push((readout.wanted.tracks.len(), index));
            readout.wanted.tracks.push(track.clone());
        }
        for profile in &model.profiles {
            let chosen = tracks.iter().position(|track| holds(profile, track));
            if let Some(index) = chosen {
                readout.add(model, profile, &tracks[index].sources)?;
            }
        }
        Ok(readout)
    }

    /// Adds a profile as the members of `sources` give it.
    fn add(&mut self, model: &Model, profile: &Profile, sources: &[Source]) -> Result<()> {
        let track = |name: &String| model.tracks.iter().find(|track| track.name == *name);
        let parts: Vec<&Track> = profile.tracks.iter().filter_map(track).collect();
        let log_count = model.scalars.iter().find(|scalar| scalar.name == profile.log_count);
        let missing = || Error::new(format!("profile {:?} is not complete", profile.tracks));
        let log_count = log_count.ok_or_else(missing)?;
        let mut members = Vec::with_capacity(sources.len());
        for member in sources.iter().map(|source| source.member) {
            let of =
                |sources: &[Source]| sources.iter().copied().find(|source| source.member == member);
            let mut raw = Vec::with_capacity(parts.len());
            for part in &parts {
                let sources = vec![of(&part.sources).ok_or_else(missing)?];
                raw.push(self.wanted.tracks.len());
                self.wanted.tracks.push(Track { sources, ..(*part).clone() });
            }
            let sources = vec![of(&log_count.sources).ok_or_else(missing)?];
            members.push((raw, self.wanted.scalars.len()));
            self.wanted.scalars.push(Scalar { sources, ..log_count.clone() });
        }
        let opposite = |strand: TrackStrand| match strand {
            TrackStrand::Read => TrackStrand::Opposite,
            TrackStrand::Opposite => TrackStrand::Read,
            TrackStrand::None => TrackStrand::None,
        };
        let turned = |(index, part): (usize, &&Track)| match part.strand {
            TrackStrand::None => index,
            strand => {
                let other = parts.iter().position(|other| other.strand == opposite(strand));
                other.unwrap_or(index)
            }
        };
        let written = parts.iter().enumerate().filter_map(|(index, part)| {
            Some((index, self.tracks.iter().position(|track| track.name == part.name)?))
        });
        let (turned, written) = (parts.iter().enumerate().map(turned).collect(), written.collect());
        self.groups.push(Group { members, turned, written, scalar: self.scalars.len() });
        self.scalars.push(log_count.clone());
        Ok(())
    }

    /// What the engine must be built for.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// What is written at each position.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// What is written for each window.
    pub fn scalars(&self) -> &[Scalar] {
        &self.scalars
    }

    /// Whether each window is also read as its reverse complement.
    pub fn reads_both_strands(&self) -> bool {
        self.rc != RcAverage::None
    }

    /// What decides the numbers, for the journal and the summary.
    pub fn describe(&self) -> String {
        format!("{}, strands averaged: {}", self.kind.name(), self.rc.name())
    }

    /// The written values of a window, from the raw ones as it is and, where both strands are
    /// read, from those of its reverse complement.
    pub fn combine(&self, forward: &Values, reverse: Option<&Values>) -> Values {
        let length = forward.tracks.first().map_or(0, Vec::len);
        let mut values = Values {
            tracks: vec![vec![0.0; length]; self.tracks.len()],
            scalars: vec![0.0; self.scalars.len()],
        };
        for &(raw, written) in &self.plain {
            let other = reverse.map(|reverse| reverse.tracks[raw].iter().rev());
            let row = &mut values.tracks[written];
            row.copy_from_slice(&forward.tracks[raw]);
            let other = other.into_iter().flatten();
            row.iter_mut().zip(other).for_each(|(x, y)| *x = f32::midpoint(*x, *y));
        }
        for group in &self.groups {
            self.add_group(group, forward, reverse, &mut values);
        }
        values
    }

    fn add_group(
        &self,
        group: &Group,
        forward: &Values,
        reverse: Option<&Values>,
        to: &mut Values,
    ) {
        let mut shares: Vec<Reading> = Vec::with_capacity(2 * group.members.len());
        for (tracks, scalar) in &group.members {
            let mut one = Reading::of(forward, tracks, *scalar);
            if let Some(reverse) = reverse {
                let turned: Vec<usize> = group.turned.iter().map(|&index| tracks[index]).collect();
                let mut other = Reading::of(reverse, &turned, *scalar);
                other.logits.iter_mut().for_each(|row| row.reverse());
                match self.rc {
                    RcAverage::Logits => one.average(&other),
                    _ => shares.push(other),
                }
            }
            shares.push(one);
        }
        let share = 1.0 / shares.len() as f64;
        let mut sums: Vec<Vec<f64>> =
            vec![vec![0.0; to.tracks.first().map_or(0, Vec::len)]; group.turned.len()];
        let (mut counts, mut logs) = (0.0, 0.0);
        for reading in shares {
            counts += share * reading.log_count.exp();
            logs += share * reading.log_count;
            for (sum, row) in sums.iter_mut().zip(reading.rows(self.kind)) {
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += share * x);
            }
        }
        for &(index, written) in &group.written {
            let row = to.tracks[written].iter_mut().zip(&sums[index]);
            row.for_each(|(to, from)| *to = *from as f32);
        }
        to.scalars[group.scalar] = if self.kind == OutputKind::Logits { logs } else { counts.ln() };
    }
}

/// One profile of one member on one strand.
struct Reading {
    logits: Vec<Vec<f64>>,
    log_count: f64,
}

impl Reading {
    fn of(values: &Values, tracks: &[usize], scalar: usize) -> Self {
        let row = |&raw: &usize| values.tracks[raw].iter().map(|&x| f64::from(x)).collect();
        Self { logits: tracks.iter().map(row).collect(), log_count: values.scalars[scalar] }
    }

    fn average(&mut self, other: &Self) {
        let pairs = self.logits.iter_mut().flatten().zip(other.logits.iter().flatten());
        pairs.for_each(|(x, y)| *x = f64::midpoint(*x, *y));
        self.log_count = f64::midpoint(self.log_count, other.log_count);
    }

    fn rows(mut self, kind: OutputKind) -> Vec<Vec<f64>> {
        let largest = self.logits.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.logits.iter().flatten().map(|x| (x - largest).exp()).sum();
        let count = self.log_count.exp();
        let transform = |x: f64| match kind {
            OutputKind::Logits => x,
            OutputKind::Profile => (x - largest).exp() / sum,
            OutputKind::Track => (x - largest).exp() / sum * count,
            OutputKind::Counts => count,
        };
        self.logits.iter_mut().flatten().for_each(|x| *x = transform(*x));
        self.logits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::tiny_model;

    /// Two members with tracks `forward` and `reverse` of one profile.
    fn model() -> Model {
        let mut model = tiny_model(1);
        let sources = |channel| (0..2).map(|member| Source { member, channel }).collect::<Vec<_>>();
        model.tracks.truncate(2);
        for (channel, (name, strand)) in
            [("forward", TrackStrand::Read), ("reverse", TrackStrand::Opposite)].iter().enumerate()
        {
            let track = &mut model.tracks[channel];
            (track.name, track.strand, track.default) = (name.to_string(), *strand, true);
            track.sources = sources(channel);
        }
        model.scalars = vec![Scalar {
            name: "log_counts".into(),
            unit: "ln(count)".into(),
            description: String::new(),
            sources: sources(0),
        }];
        model.profiles = vec![Profile {
            tracks: vec!["forward".into(), "reverse".into()],
            log_count: "log_counts".into(),
        }];
        model
    }

    fn combine(kind: &str, rc: &str, tracks: usize, values: &[Values]) -> Values {
        let model = model();
        let (kind, rc) = (kind.parse().unwrap(), rc.parse().unwrap());
        let readout = Readout::new(&model, &model.tracks[..tracks], kind, rc).unwrap();
        assert_eq!(readout.wanted().tracks.len(), 4, "both tracks of both members");
        readout.combine(&values[0], values.get(1))
    }

    /// Logits (0, ln 3) over both tracks of one position, log counts 2 and 0.
    fn values() -> Values {
        let ln3 = 3f32.ln();
        Values { tracks: vec![vec![0.0], vec![ln3], vec![0.0], vec![ln3]], scalars: vec![2.0, 0.0] }
    }

    #[test]
    fn a_track_is_the_softmax_times_the_count_averaged_over_members() {
        // networks.md 3: logits (0, ln 3), log count 2 give (1.84726402, 5.54179207)
        let mean = |a: f32, b: f32| f32::midpoint(a, b);
        let found = combine("track", "none", 2, &[values()]);
        for (got, want) in found.tracks.iter().zip([(1.847_264, 0.25), (5.541_792, 0.75)]) {
            assert!((got[0] - mean(want.0, want.1)).abs() < 1e-6, "{got:?}");
        }
        let total: f32 = found.tracks.iter().flatten().sum();
        assert!((found.scalars[0].exp() - f64::from(total)).abs() < 1e-6);
        let profile = combine("profile", "none", 2, &[values()]);
        assert!((profile.tracks[1][0] - 0.75).abs() < 1e-6);
        let counts = combine("counts", "none", 1, &[values()]);
        assert!((f64::from(counts.tracks[0][0]) - (2f64.exp() + 1.0) / 2.0).abs() < 1e-6);
        let logits = combine("logits", "none", 1, &[values()]);
        assert_eq!((logits.tracks, logits.scalars), (vec![vec![0.0]], vec![1.0]));
    }

    #[test]
    fn the_reverse_complement_is_turned_in_position_and_strand_before_it_is_averaged() {
        let forward = Values {
            tracks: vec![vec![1., 2.], vec![3., 4.], vec![0.; 2], vec![0.; 2]],
            scalars: vec![0.0; 2],
        };
        // the same numbers, as the other strand would read them
        let same = Values {
            tracks: vec![vec![4., 3.], vec![2., 1.], vec![0.; 2], vec![0.; 2]],
            scalars: vec![0.0; 2],
        };
        for rc in ["logits", "probabilities"] {
            for kind in ["logits", "track"] {
                let both = combine(kind, rc, 2, &[forward.clone(), same.clone()]);
                let one = combine(kind, "none", 2, std::slice::from_ref(&forward));
                for (a, b) in both.tracks.iter().flatten().zip(one.tracks.iter().flatten()) {
                    assert!((a - b).abs() < 1e-6, "{rc} {kind}: {a} {b}");
                }
            }
        }
    }
}
