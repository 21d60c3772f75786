//! Windows that overlap or lie side by side, computed together.
//!
//! Where neither the outputs nor the means of a window see its ends, a position has one value in
//! all windows that hold it. So the network runs over stretches of many windows, and gives the
//! outputs and the columns that the scalars are means of; each window is cut out of them, and has
//! means of its own: sums in f64, in the order of its positions.

use super::MEMORY_PER_THREAD;
use super::tiles::Sizing;
use crate::engine::oracle::{scalar_head, scalar_weights};
use crate::engine::{Coarseness, Engine, Job, Values, Wanted};
use crate::error::Result;
use crate::model::{Model, Source, Track, TrackStrand, Weights};
use crate::network::{Graph, NodeId, Reach, Span, Stretched};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

/// An engine for the windows of a model that runs them in stretches. What comes out of a window
/// depends on the model, its letters (and some beyond it, where an engine computes whole blocks)
/// and its absolute position, never on the windows beside it.
pub struct LongTiles {
    /// Computes stretches: the wanted tracks, and then the columns.
    inner: Box<dyn Engine>,
    wanted: Wanted,
    /// Those that the wanted scalars come from.
    members: BTreeMap<usize, Head>,
    /// How far the columns reach beyond the outputs of a window.
    margin: Reach,
    /// Longest stretch, where it is given.
    tile: Option<u64>,
}

/// How the scalars of a member follow from its columns.
struct Head {
    graph: Graph,
    weights: Weights,
    means: Vec<Mean>,
}

/// A scalar that is a mean.
struct Mean {
    node: NodeId,
    /// Rows of the inner engine.
    rows: Range<usize>,
    /// Positions, counted from the first output of the window.
    span: Span,
}

impl LongTiles {
    /// For a model that has a window, on the engine that `build` makes for its networks without it.
    /// Stretches have at most `tile` outputs, or a length that follows from work and memory; it
    /// never changes a value.
    ///
    /// # Errors
    /// A model that needs its window ([`Model::stretched`]), and what `build` returns.
    pub fn new(
        model: &Model,
        wanted: Wanted,
        tile: Option<u64>,
        build: impl FnOnce(&Model, Wanted) -> Result<Box<dyn Engine>>,
    ) -> Result<Self> {
        let (stretched, networks) = model.stretched()?;
        let sources = wanted.scalars.iter().flat_map(|scalar| &scalar.sources);
        let needed: BTreeSet<usize> = sources.map(|source| source.member).collect();
        let mut rows = Wanted::from(&wanted.tracks);
        let mut members = BTreeMap::new();
        let mut margin = Reach::default();
        for index in needed {
            let member = &model.members[index];
            let graph = model.networks[member.network].clone();
            let Stretched { outputs, means, .. } = &networks[member.network];
            let mut own = Vec::with_capacity(means.len());
            for mean in means {
                let first = rows.tracks.len();
                rows.tracks.extend(mean.channels.clone().map(|channel| column(index, channel)));
                let start = mean.span.start - outputs.start;
                let span = Span::new(start, mean.span.end - outputs.start);
                let beyond = Reach {
                    left: start.min(0).unsigned_abs(),
                    right: (mean.span.end - outputs.end).max(0).unsigned_abs(),
                };
                margin = margin.hull(beyond);
                own.push(Mean { node: mean.node, rows: first..rows.tracks.len(), span });
            }
            let weights = scalar_weights(&graph, &member.weights);
            members.insert(index, Head { graph, weights, means: own });
        }
        let inner = build(&stretched, rows)?;
        Ok(Self { inner, wanted, members, margin, tile })
    }

    /// What the inner engine must read on each side of the outputs of a window.
    fn context(&self) -> Reach {
        let (inner, margin) = (self.inner.reach(), self.margin);
        Reach { left: inner.left + margin.left, right: inner.right + margin.right }
    }

    /// Windows in stretches. Those of one strand follow each other, but where both strands are read
    /// they take turns.
    fn stretches(&self, jobs: &[Job]) -> Vec<Run> {
        let (gap, reach) = (self.inner.overhead_positions(), self.reach());
        let longest = self.longest(jobs);
        let mut runs: Vec<Run> = Vec::new();
        for (index, job) in jobs.iter().enumerate() {
            let window = Run::of(index, job, reach);
            let near = |run: &&mut Run| run.continues(&window, gap, longest);
            match runs.iter_mut().rev().take(2).find(near) {
                Some(run) => run.join(window),
                None => runs.push(window),
            }
        }
        runs
    }

    /// Outputs of the longest stretch.
    fn longest(&self, jobs: &[Job]) -> u64 {
        let sizing = || Sizing {
            total: jobs.iter().map(|job| job.length as u64).sum(),
            threads: rayon::current_num_threads() as u64,
            memory: MEMORY_PER_THREAD,
            bytes_per_position: self.inner.bytes_per_position(),
            context: self.context().left + self.context().right,
            overhead: self.inner.overhead_positions(),
        };
        self.tile.unwrap_or_else(|| sizing().length())
    }

    /// What the inner engine computes for a stretch.
    fn job(&self, run: &Run) -> Job {
        let (inner, margin) = (self.inner.reach(), self.margin);
        let outputs = run.outputs.widen(margin.left, margin.right);
        let needed = outputs.widen(inner.left, inner.right);
        let letters = run.letters.range(run.index(needed.start)..run.index(needed.end));
        Job::new(outputs.start, outputs.len(), letters.copied().collect())
    }

    /// The values of a window, from those of the stretch that holds it.
    fn window(&self, window: &Job, run: &Run, values: &Values) -> Values {
        let first = run.outputs.start.saturating_sub_unsigned(self.margin.left);
        let index = |position: i64| {
            usize::try_from(window.start + position - first).expect("inside the stretch")
        };
        let end = index(0) + window.length;
        let tracks = values.tracks[..self.wanted.tracks.len()].iter();
        let tracks = tracks.map(|row| row[index(0)..end].to_vec()).collect();
        let mean = |row: &[f32], span: Span| {
            let sum: f64 =
                row[index(span.start)..index(span.end)].iter().map(|&x| f64::from(x)).sum();
            sum / span.len() as f64
        };
        let head = |Head { graph, weights, means }: &Head| {
            scalar_head(graph, weights, |node| {
                let own = means.iter().find(|mean| mean.node == node)?;
                Some(
                    values.tracks[own.rows.clone()].iter().map(|row| mean(row, own.span)).collect(),
                )
            })
        };
        let heads: BTreeMap<usize, Vec<f64>> =
            self.members.iter().map(|(&member, own)| (member, head(own))).collect();
        let scalars = self.wanted.scalars.iter().map(|scalar| {
            let sources = scalar.sources.iter();
            let sum: f64 = sources.map(|source| heads[&source.member][source.channel]).sum();
            sum / scalar.sources.len() as f64
        });
        Values { tracks, scalars: scalars.collect() }
    }
}

/// A column of a member, as the inner engine is asked for it.
fn column(member: usize, channel: usize) -> Track {
    Track {
        name: format!("column_{member}_{channel}"),
        unit: "none".into(),
        description: "A column that a number of the window is the mean of".into(),
        strand: TrackStrand::None,
        default: false,
        sources: vec![Source { member, channel }],
    }
}

impl Engine for LongTiles {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    /// Equal on both sides, so that a window can be read from either strand.
    fn reach(&self) -> Reach {
        let Reach { left, right } = self.context();
        Reach { left: left.max(right), right: left.max(right) }
    }

    fn bytes_per_position(&self) -> u64 {
        self.inner.bytes_per_position()
    }

    fn overhead_positions(&self) -> u64 {
        self.inner.overhead_positions()
    }

    fn is_windowed(&self) -> bool {
        true
    }

    fn coarseness(&self) -> Option<Coarseness> {
        self.inner.coarseness()
    }

    fn run(
        &self,
        jobs: &[Job],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Values>> {
        let runs = self.stretches(jobs);
        let stretches: Vec<Job> = runs.iter().map(|run| self.job(run)).collect();
        let after_run = |run: usize| runs[run].windows.iter().try_for_each(|&job| after_each(job));
        let computed = self.inner.run(&stretches, &after_run)?;
        let mut places = vec![0; jobs.len()];
        for (number, run) in runs.iter().enumerate() {
            run.windows.iter().for_each(|&window| places[window] = number);
        }
        let window = |(job, &run): (&Job, &usize)| self.window(job, &runs[run], &computed[run]);
        Ok(jobs.par_iter().zip(&places).map(window).collect())
    }
}

/// Windows that are computed together.
struct Run {
    /// By their indices.
    windows: Vec<usize>,
    /// From the first output of them to the last.
    outputs: Span,
    /// Position of the first letter.
    first: i64,
    letters: VecDeque<u8>,
}

impl Run {
    /// One window alone.
    fn of(index: usize, job: &Job, reach: Reach) -> Self {
        let end = job.start.saturating_add_unsigned(job.length as u64);
        Self {
            windows: vec![index],
            outputs: Span::new(job.start, end),
            first: job.start.saturating_sub_unsigned(reach.left),
            letters: job.letters.iter().copied().collect(),
        }
    }

    fn end(&self) -> i64 {
        self.first.saturating_add_unsigned(self.letters.len() as u64)
    }

    fn index(&self, position: i64) -> usize {
        usize::try_from(position - self.first).expect("a letter of the stretch")
    }

    /// Whether a window lies in or near the stretch, which is not longer than `longest` with it, and
    /// reads the same letters. Positions of another contig or strand can be near too, but then the
    /// letters are others; and where they are not, neither are the values.
    fn continues(&self, window: &Self, gap: u64, longest: u64) -> bool {
        let [own, other] = [self.outputs, window.outputs];
        let apart = own.start.max(other.start) - own.end.min(other.end);
        let near = apart <= i64::try_from(gap).unwrap_or(i64::MAX);
        let (from, to) = (self.first.max(window.first), self.end().min(window.end()));
        let both = |run: &Self| run.index(from)..run.index(to);
        near && own.hull(other).len() as u64 <= longest
            && from <= to
            && self.letters.range(both(self)).eq(window.letters.range(both(window)))
    }

    /// Adds a window that continues the stretch.
    fn join(&mut self, window: Self) {
        self.windows.extend(&window.windows);
        self.outputs = self.outputs.hull(window.outputs);
        let before = usize::try_from(self.first - window.first).unwrap_or(0);
        let after = usize::try_from(window.end() - self.end()).unwrap_or(0);
        let own = window.letters.len();
        self.letters.extend(window.letters.range(own - after..));
        window.letters.range(..before).rev().for_each(|&letter| self.letters.push_front(letter));
        self.first = self.first.min(window.first);
    }
}
