//! Variants in any order become stretches of sequence with edits, which an engine computes at once;
//! what comes back is in genomic order and aligned.
//!
//! How variants fall into stretches changes no number: an engine gives each edit the values of its
//! own window (see [`crate::engine::Engine::run_edits`]).

use super::align::align;
use super::reading::Reading;
use super::signed;
use crate::engine::{Edit, EditValues, Engine, Stretch};
use crate::error::Result;
use crate::genome::sequence::reverse_complement;
use crate::genome::{ContigId, Reference, Strand};
use crate::job::signal;
use crate::network::{Reach, Span};
use std::ops::Range;

/// Most output positions from the first to the last window of a stretch. The activations of a
/// stretch are held at once, several kB per position for deep networks, so longer ones would cost
/// memory; shorter ones would repeat the context of a few thousand bases more often.
const LONGEST: i64 = 16_384;
/// Values that are held before scores are made of them: 64 MiB.
const MOST_VALUES: usize = 16 << 20;

/// One allele on one strand under one gene's mask. Positions are 0-based and genomic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub contig: ContigId,
    pub strand: Strand,
    /// Bases outside are read as N (those of the allele itself are not).
    pub gene: Option<(u64, u64)>,
    /// First base of REF.
    pub start: i64,
    /// Letters of REF.
    pub removed: usize,
    /// ALT, upper-case, on the plus strand.
    pub inserted: Vec<u8>,
    /// REF, where it is put into the reference first.
    pub believed: Option<Vec<u8>>,
    /// Report rows before `start`, so the row of `start`.
    pub left: usize,
    /// Report rows from `start` on.
    pub right: usize,
}

/// The values of a task in genomic order, `[track][row]`, the alternative aligned to the reference.
#[derive(Debug)]
pub(super) struct Pair {
    pub reference: Vec<Vec<f32>>,
    pub alternative: Vec<Vec<f32>>,
    /// Letters of the reference window (with the flanks of the network) that are no bases, and all,
    /// inside the gene.
    pub unknown: (usize, usize),
}

impl Task {
    /// First row (genomic).
    pub fn first(&self) -> i64 {
        self.start - signed(self.left)
    }

    fn rows(&self) -> usize {
        self.left + self.right
    }

    fn end(&self) -> i64 {
        self.start + signed(self.removed)
    }

    /// Genomic range that the network reads around the rows.
    pub fn reads(&self, reach: Reach) -> Span {
        let (left, right) = match self.strand {
            Strand::Plus => (reach.left, reach.right),
            Strand::Minus => (reach.right, reach.left),
        };
        let rows = Span::new(self.first(), self.first() + signed(self.rows()));
        rows.widen(left, right)
    }

    /// The edit to `letters` on the strand that is read, of a contig of `length` bases.
    fn edit(&self, letters: &[u8], length: i64) -> Edit {
        let (start, window) = match self.strand {
            Strand::Plus => (self.start, (self.first(), self.start + signed(self.right))),
            Strand::Minus => {
                let window = (length - self.start - signed(self.right), length - self.first());
                (length - self.end(), window)
            }
        };
        let mut inserted = letters.to_vec();
        if self.strand == Strand::Minus {
            reverse_complement(&mut inserted);
        }
        Edit { start, removed: self.removed, inserted, window: Span::new(window.0, window.1) }
    }
}

/// A task in the coordinates of the strand that is read.
#[derive(Debug)]
struct Placed {
    task: usize,
    contig: ContigId,
    strand: Strand,
    /// The ends of the gene that the window meets (genomic); tasks that see the same letters have
    /// the same.
    mask: (Option<i64>, Option<i64>),
    window: Span,
    /// Letters that must be there.
    needs: Span,
}

/// The edits of a stretch, and which tasks they belong to.
struct Group {
    placed: Vec<Placed>,
    span: Span,
}

/// Computes all tasks; each comes back once through `take`, with its index.
///
/// # Errors
/// A failure to read the reference, a signal, or what `take` returns.
pub(super) fn run(
    reference: &mut Reference,
    engine: &dyn Engine,
    reading: &Reading,
    tasks: &[Task],
    mut take: impl FnMut(usize, Pair) -> Result<()>,
) -> Result<()> {
    let groups = group(reference, engine, tasks);
    let (flank, tracks) = (reading.reach(), reading.tracks().len());
    // before and after the edit, of every track
    let values_of = |task: &Task| tracks * (2 * task.rows() + task.inserted.len());
    let mut groups = groups.into_iter().peekable();
    while groups.peek().is_some() {
        let mut held = 0;
        let mut round = Vec::new();
        // Whole stretches until the values are many; at least one.
        while let Some(group) = groups.next_if(|group| {
            let values: usize = group.placed.iter().map(|p| values_of(&tasks[p.task])).sum();
            held += values;
            round.is_empty() || held <= MOST_VALUES
        }) {
            round.push(Prepared::new(reference, flank, tasks, group)?);
        }
        let stretches: Vec<Stretch> =
            round.iter_mut().map(|prepared| std::mem::take(&mut prepared.stretch)).collect();
        let values = engine.run_edits(&stretches, &|_| signal::check())?;
        for (prepared, values) in round.into_iter().zip(values) {
            for (use_, placed) in prepared.uses.iter().zip(&prepared.placed) {
                let task = &tasks[placed.task];
                take(placed.task, use_.pair(task, &values))?;
            }
        }
    }
    Ok(())
}

/// Sorts the tasks and cuts them into groups.
fn group(reference: &Reference, engine: &dyn Engine, tasks: &[Task]) -> Vec<Group> {
    let gap = engine.overhead_positions().cast_signed();
    let mut placed: Vec<Placed> = tasks
        .iter()
        .enumerate()
        .map(|(index, task)| place(index, task, reference, engine.reach()))
        .collect();
    // The rest of an edit decides nothing but which equal ones are neighbours.
    placed.sort_by(|a, b| {
        let key = |p: &Placed| (p.contig, p.strand, p.mask, p.window.start, p.window.end);
        let edit = |p: &Placed| {
            let task = &tasks[p.task];
            (task.start, task.removed, &task.inserted, &task.believed)
        };
        key(a).cmp(&key(b)).then_with(|| edit(a).cmp(&edit(b)))
    });
    let mut groups: Vec<Group> = Vec::new();
    for placed in placed {
        let joins = |group: &&mut Group| {
            let first = &group.placed[0];
            let same = (first.contig, first.strand, first.mask)
                == (placed.contig, placed.strand, placed.mask);
            let whole = group.span.hull(placed.window);
            same && placed.window.start - group.span.end <= gap
                && (whole.end - whole.start <= LONGEST || whole == group.span)
        };
        match groups.last_mut().filter(joins) {
            Some(group) => {
                group.span = group.span.hull(placed.window);
                group.placed.push(placed);
            }
            None => groups.push(Group { span: placed.window, placed: vec![placed] }),
        }
    }
    groups
}

fn place(index: usize, task: &Task, reference: &Reference, reach: Reach) -> Placed {
    let length = reference.contigs().length(task.contig).cast_signed();
    let reads = task.reads(reach);
    // A gene's end that lies behind what is read, or at that of the contig, masks nothing.
    let mask = task.gene.map_or((None, None), |(start, end)| {
        let (start, end) = (start.cast_signed(), end.cast_signed());
        let read_to = reads.end.max(task.end()).min(length);
        ((start > reads.start.max(0)).then_some(start), (end < read_to).then_some(end))
    });
    let edit = task.edit(&task.inserted, length);
    let needs = edit
        .window
        .widen(reach.left, reach.right)
        .hull(Span::new(edit.start, edit.start + signed(edit.removed)));
    Placed {
        task: index,
        contig: task.contig,
        strand: task.strand,
        mask,
        window: edit.window,
        needs,
    }
}

/// A stretch with its letters, and where the values of each task will be.
struct Prepared {
    stretch: Stretch,
    placed: Vec<Placed>,
    uses: Vec<Use>,
}

/// Which edits of a stretch a task reads.
struct Use {
    /// The edit that puts REF in place, where it is believed.
    believed: Option<usize>,
    alternative: usize,
    unknown: (usize, usize),
}

impl Prepared {
    fn new(reference: &mut Reference, flank: Reach, tasks: &[Task], group: Group) -> Result<Self> {
        let first = &group.placed[0];
        let (contig, strand, mask) = (first.contig, first.strand, first.mask);
        let length = reference.contigs().length(contig).cast_signed();
        let needs = group.placed.iter().fold(Span::EMPTY, |all, p| all.hull(p.needs));
        let range = match strand {
            Strand::Plus => needs,
            Strand::Minus => Span::new(length - needs.end, length - needs.start),
        };
        let mut letters = reference.fetch(contig, range.start, range.end)?;
        // Letters outside the gene become N, on either side.
        let inside = Span::new(mask.0.unwrap_or(range.start), mask.1.unwrap_or(range.end));
        let place = |position: i64| offset(position.clamp(range.start, range.end), range.start);
        letters[..place(inside.start)].fill(b'N');
        letters[place(inside.end)..].fill(b'N');
        let unknown = Unknown::new(&letters, range.start, inside);
        if strand == Strand::Minus {
            reverse_complement(&mut letters);
        }
        let mut stretch = Stretch { start: needs.start, letters, edits: Vec::new() };
        let mut uses = Vec::with_capacity(group.placed.len());
        for placed in &group.placed {
            let task = &tasks[placed.task];
            let mut add = |letters: &[u8]| {
                let edit = task.edit(letters, length);
                let alike = stretch.edits.iter().rposition(|known| *known == edit);
                alike.unwrap_or_else(|| {
                    stretch.edits.push(edit);
                    stretch.edits.len() - 1
                })
            };
            uses.push(Use {
                believed: task.believed.as_ref().map(|letters| add(letters)),
                alternative: add(&task.inserted),
                unknown: unknown.count(task.reads(flank)),
            });
        }
        Ok(Self { stretch, placed: group.placed, uses })
    }
}

impl Use {
    fn pair(&self, task: &Task, values: &[EditValues]) -> Pair {
        let alternative = &values[self.alternative];
        let reference = match self.believed {
            Some(edit) => &values[edit].alternative,
            None => &alternative.reference,
        };
        let genomic = |tracks: &[Vec<f32>]| {
            let mut tracks = tracks.to_vec();
            if task.strand == Strand::Minus {
                tracks.iter_mut().for_each(|track| track.reverse());
            }
            tracks
        };
        let reference = genomic(&reference.tracks);
        let mut alternative = genomic(&alternative.alternative.tracks);
        for track in &mut alternative {
            align(track, task.left, task.removed, task.inserted.len(), task.rows());
        }
        Pair { reference, alternative, unknown: self.unknown }
    }
}

/// Counts letters that are no bases in ranges of a stretch (genomic coordinates).
struct Unknown {
    start: i64,
    inside: Span,
    /// Unknown letters before each.
    before: Vec<usize>,
}

impl Unknown {
    fn new(letters: &[u8], start: i64, inside: Span) -> Self {
        let mut before = Vec::with_capacity(letters.len() + 1);
        let mut count = 0;
        before.push(0);
        for letter in letters {
            let known = matches!(letter.to_ascii_uppercase(), b'A' | b'C' | b'G' | b'T');
            count += usize::from(!known);
            before.push(count);
        }
        Self { start, inside, before }
    }

    /// Unknown letters, and all, of a range inside the gene.
    fn count(&self, range: Span) -> (usize, usize) {
        let range = range.intersect(self.inside);
        if range.is_empty() {
            return (0, 0);
        }
        let Range { start, end } = offset(range.start, self.start)..offset(range.end, self.start);
        (self.before[end] - self.before[start], end - start)
    }
}

fn offset(position: i64, start: i64) -> usize {
    usize::try_from(position - start).expect("a position inside the stretch")
}
