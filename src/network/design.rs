//! Proposes stacks that see a wanted context without blind spots, and says what each costs.

use super::architecture::{Architecture, Block, Head, HeadFunction, Stack, Stem};
use super::coverage::{Coverage, MOST_OFFSETS};
use super::facts::Facts;
use super::op::{Activation, Padding};
use super::schedule::{Dilations, Schedule};
use crate::error::{Error, Result};

/// Kernels that are compared where none is wished for.
pub const KERNELS: [usize; 4] = [3, 5, 9, 15];
/// Deepest stack that is proposed; the gradient of a deeper one has further to go than anyone has
/// trained a network of this kind.
const MOST_LAYERS: usize = 48;
/// Widths are multiples of this: the lanes of the widest vector registers.
const WIDTH_STEP: usize = 16;
/// The widest network that is proposed when the width is open.
const MOST_CHANNELS: usize = 1024;

/// What is wished for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Least receptive field, both sides and the base itself together, in bases.
    pub context: u64,
    /// Most that it may cost.
    pub budget: Budget,
    /// Kernels to compare.
    pub kernels: Vec<usize>,
    /// Width of the trunk; without it, the widest that lets the leanest schedule keep the budget.
    pub channels: Option<usize>,
    /// Names of the output channels.
    pub outputs: Vec<String>,
}

/// The most that a network may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Trained numbers.
    Parameters(u64),
    /// Floating-point operations per base.
    Flops(u64),
}

impl Budget {
    fn allows(self, facts: &Facts) -> bool {
        match self {
            Budget::Parameters(most) => facts.parameters <= most,
            Budget::Flops(most) => facts.flops_per_base <= most,
        }
    }
}

/// One proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The whole architecture, ready to be written.
    pub architecture: Architecture,
    /// Its schedule in a word or two.
    pub schedule: String,
    /// Number of dilated layers.
    pub layers: usize,
    /// Reach and cost.
    pub facts: Facts,
    /// What it sees.
    pub coverage: Coverage,
    /// Whether it keeps the budget.
    pub affordable: bool,
}

impl Candidate {
    /// Whether it may be chosen: no blind spot and within the budget.
    pub fn eligible(&self) -> bool {
        self.affordable && self.coverage.unseen == 0
    }
}

/// Compares schedules at one width: eligible ones first, fewest floating-point operations per base
/// first. Those with blind spots or over the budget are part of the answer, so that a reader sees
/// what they would cost.
///
/// # Errors
/// No context, a width that is no network's, nothing that reaches the context, or a budget that even the narrowest proposal exceeds.
pub fn propose(wish: &Wish) -> Result<Vec<Candidate>> {
    if wish.context < 2 {
        return Err(Error::usage("the context must be at least 2 bases").found(wish.context));
    }
    let plans: Vec<Plan> = wish.kernels.iter().flat_map(|&k| plans(k, wish.context)).collect();
    if plans.is_empty() {
        return Err(Error::new("no schedule reaches this context")
            .found(format!("{} bases", wish.context))
            .expected(format!("at most {MOST_OFFSETS} bases within {MOST_LAYERS} layers"))
            .remedy("ask for less context or a larger kernel"));
    }
    let channels = match wish.channels {
        Some(channels) => channels,
        None => widest(wish, &plans)?,
    };
    let mut candidates =
        plans.iter().map(|plan| plan.candidate(wish, channels)).collect::<Result<Vec<_>>>()?;
    candidates.sort_by_key(|c| (!c.eligible(), c.facts.flops_per_base, c.layers));
    Ok(candidates)
}

/// A kernel with a schedule, before a width is chosen.
struct Plan {
    kernel: usize,
    name: String,
    dilations: Dilations,
    layers: usize,
}

/// The schedules of one kernel, each with as few layers as the context needs.
fn plans(kernel: usize, context: u64) -> Vec<Plan> {
    if kernel < 2 {
        return vec![];
    }
    let exponential = |base: usize| {
        move |layers| {
            let layers = Some(layers);
            Some(Schedule::Exponential { base, layers, cap: None, first: 1, cycles: 1 })
        }
    };
    let mut plans: Vec<Option<Plan>> = Vec::new();
    let mut bases = vec![2, 3, 4, kernel];
    bases.sort_unstable();
    bases.dedup();
    for base in bases {
        let name = format!("powers of {base}");
        plans.push(plan(kernel, context, name, exponential(base)));
    }
    let growth = |layers| Some(Schedule::Growth { factor: 1.5, layers });
    plans.push(plan(kernel, context, "growth 1.5".into(), growth));
    let fibonacci = |layers| Some(Schedule::Fibonacci { layers });
    plans.push(plan(kernel, context, "fibonacci".into(), fibonacci));
    let cycled = |layers: usize| {
        let (pattern, cycles) = (vec![1, 2, 5], layers / 3);
        layers.is_multiple_of(3).then_some(Schedule::Hdc { pattern, cycles })
    };
    plans.push(plan(kernel, context, "1, 2, 5 cycled".into(), cycled));
    plans.into_iter().flatten().collect()
}

/// The shortest schedule of a kind that reaches the context, unless it reaches so far beyond that
/// its offsets cannot be listed.
fn plan(
    kernel: usize,
    context: u64,
    name: String,
    schedule: impl Fn(usize) -> Option<Schedule>,
) -> Option<Plan> {
    (1..=MOST_LAYERS).find_map(|layers| {
        let schedule = schedule(layers)?;
        let dilations = schedule.list().ok()?;
        let reach = dilations.iter().fold(0u64, |reach, &dilation| {
            reach.saturating_add((dilation as u64).saturating_mul(kernel as u64 - 1))
        });
        (context..=MOST_OFFSETS).contains(&reach.saturating_add(1)).then(|| Plan {
            kernel,
            name: name.clone(),
            dilations: Dilations::Schedule(schedule),
            layers,
        })
    })
}

/// The widest multiple of [`WIDTH_STEP`] at which some hole-free plan keeps the budget.
fn widest(wish: &Wish, plans: &[Plan]) -> Result<usize> {
    let hole_free: Vec<&Plan> =
        plans.iter().filter_map(|plan| plan.sees_all(wish).transpose()).collect::<Result<_>>()?;
    for channels in (WIDTH_STEP..=MOST_CHANNELS).rev().step_by(WIDTH_STEP) {
        for plan in &hole_free {
            let graph = plan.architecture(wish, channels).graph()?;
            if wish.budget.allows(&Facts::of(&graph)) {
                return Ok(channels);
            }
        }
    }
    Err(Error::new(format!(
        "no schedule without blind spots keeps the budget, not even with {WIDTH_STEP} channels"
    ))
    .remedy("raise --budget, ask for less context, or set --channels below 16"))
}

impl Plan {
    /// Itself, if it leaves no blind spot.
    fn sees_all(&self, wish: &Wish) -> Result<Option<&Self>> {
        let graph = self.architecture(wish, 1).graph()?;
        Ok(super::coverage::seen(&graph)?.into_iter().all(|seen| seen).then_some(self))
    }

    fn architecture(&self, wish: &Wish, channels: usize) -> Architecture {
        let Self { kernel, name, layers, .. } = self;
        Architecture {
            name: format!("design-{}-k{kernel}", wish.context),
            description: format!(
                "Proposed for a context of {} bases: {layers} layers, kernel {kernel}, {name}.",
                wish.context
            ),
            channels,
            activation: Activation::Relu,
            padding: Padding::None,
            window: None,
            stem: Stem { kernel: 1, activate: false },
            stack: vec![Stack {
                block: Block::LookAndMix,
                kernel: *kernel,
                dilations: self.dilations.clone(),
                repeat: 1,
                causal: false,
                skip: false,
                width: None,
                epsilon: None,
            }],
            head: Head {
                outputs: wish.outputs.clone(),
                kernel: 1,
                hidden: None,
                function: HeadFunction::Linear,
                counts: None,
            },
        }
    }

    fn candidate(&self, wish: &Wish, channels: usize) -> Result<Candidate> {
        let architecture = self.architecture(wish, channels);
        let graph = architecture.graph()?;
        let facts = Facts::of(&graph);
        Ok(Candidate {
            schedule: self.name.clone(),
            layers: self.layers,
            affordable: wish.budget.allows(&facts),
            coverage: Coverage::of(&graph)?,
            facts,
            architecture,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(context: u64, budget: Budget) -> Wish {
        Wish {
            context,
            budget,
            kernels: KERNELS.to_vec(),
            channels: None,
            outputs: vec!["signal".into()],
        }
    }

    #[test]
    fn the_choice_reaches_the_context_sees_all_and_keeps_the_budget() {
        for (context, budget) in [
            (2, Budget::Parameters(20_000)),
            (1_000, Budget::Flops(500_000)),
            (50_000, Budget::Parameters(2_000_000)),
            (1_000_000, Budget::Parameters(5_000_000)),
        ] {
            let candidates = propose(&wish(context, budget)).unwrap();
            let chosen = &candidates[0];
            assert!(chosen.eligible(), "{context}");
            assert!(chosen.facts.receptive_field >= context);
            assert!(budget.allows(&chosen.facts));
            for other in candidates.iter().filter(|other| other.eligible()) {
                assert!(other.facts.flops_per_base >= chosen.facts.flops_per_base);
            }
        }
    }

    #[test]
    fn the_shortest_stack_of_each_schedule_is_proposed() {
        let candidates = propose(&wish(50_000, Budget::Parameters(2_000_000))).unwrap();
        let layers = |kernel: usize, schedule: &str| {
            let fits =
                |c: &&Candidate| c.architecture.stack[0].kernel == kernel && c.schedule == schedule;
            candidates.iter().find(fits).map(|c| (c.layers, c.facts.receptive_field))
        };
        // 1 + 2 (2^15 - 1) and 3^10
        assert_eq!(layers(3, "powers of 2"), Some((15, 65_535)));
        assert_eq!(layers(3, "powers of 3"), Some((10, 59_049)));
        // 1, 2, 5 grows by 16 in three layers: 9,375 layers
        assert_eq!(layers(3, "1, 2, 5 cycled"), None);
        let holes = candidates.iter().find(|c| c.schedule == "powers of 4").unwrap();
        assert!(holes.coverage.unseen > 0 && !holes.eligible());
    }

    #[test]
    fn a_proposal_survives_its_file() {
        for candidate in propose(&wish(300, Budget::Parameters(100_000))).unwrap() {
            let text = candidate.architecture.to_toml();
            let read = Architecture::from_toml(&text).unwrap();
            assert_eq!(read, candidate.architecture, "{text}");
            assert_eq!(Facts::of(&read.graph().unwrap()), candidate.facts);
        }
    }

    #[test]
    fn impossible_wishes_are_refused() {
        let broke = wish(50_000, Budget::Parameters(1_000));
        assert!(propose(&broke).unwrap_err().to_string().contains("raise --budget"));
        let nothing = wish(1, Budget::Parameters(1_000_000));
        assert!(propose(&nothing).unwrap_err().to_string().contains("at least 2 bases"));
        let blind = Wish { kernels: vec![1], ..wish(10, Budget::Parameters(1_000_000)) };
        assert!(propose(&blind).unwrap_err().to_string().contains("no schedule reaches"));
        let endless = wish(1 << 30, Budget::Parameters(1_000_000_000));
        assert!(propose(&endless).is_err());
    }
}
