//! The CPU engine: our own kernels, one job per core, nothing but Rust.

mod edit;
mod elementwise;
mod isa;
mod kernel;
mod plan;
mod pool;
mod run;
mod stage;
mod waves;

pub use isa::Isa;
pub use kernel::{Planned, planned};

use super::edit::{
    EditValues, EditedWindow, Stretch, WindowValues, run_in_full, run_windows_in_full,
};
use super::encode::{control_rows, one_hot};
use super::mix::Mixer;
use super::oracle::{scalar_head, scalar_weights};
use super::{Engine, Job, Values, Wanted};
use crate::error::Result;
use crate::model::{Member, Model, UnknownBase, Weights, Window};
use crate::network::graph::INPUT_CHANNELS;
use crate::network::{Graph, NodeId, Reach, Span};
use edit::{EditPlan, Kept, WindowPlan};
use plan::Plan;
use pool::Pool;
use rayon::prelude::*;
use run::{Encoded, Workspace};

/// Bytes of an encoded base.
const ENCODED_ROW: u64 = 4 * size_of::<f32>() as u64;

/// Runs the members that some tracks need, in f32, with one instruction set.
pub struct CpuEngine {
    isa: Isa,
    mixer: Mixer,
    networks: Vec<Graph>,
    /// Per member of the model: its network and plan; `None` where no track needs it.
    members: Vec<Option<(usize, Plan)>>,
    unknown: UnknownBase,
    window: Option<Window>,
    reach: Reach,
    /// Weights of the scalar heads, by member.
    heads: Vec<Weights>,
    /// Per network of the model, how its edits are run; none where the model has a window or no
    /// track needs the network.
    edit_plans: Vec<Option<EditPlan>>,
    /// The same for models that have a window.
    window_plans: Vec<Option<WindowPlan>>,
    /// Buffers of earlier jobs, taken by the next ones.
    workspaces: Pool<Workspace>,
    /// Buffers of earlier edits.
    kept: Pool<Kept>,
}

impl CpuEngine {
    /// Folds and packs the weights of the members that the tracks need.
    ///
    /// # Errors
    /// An instruction set that this processor lacks.
    pub fn new(model: &Model, wanted: impl Into<Wanted>, isa: Isa) -> Result<Self> {
        let mixer = Mixer::new(wanted.into());
        let window = model.window;
        let plan = |(index, member): (usize, &Member)| {
            let wanted = mixer.members().contains(&index);
            let graph = &model.networks[member.network];
            wanted.then(|| {
                (member.network, Plan::new(graph, &member.weights, window.map(|w| w.span())))
            })
        };
        let members: Vec<Option<(usize, Plan)>> =
            model.members.par_iter().enumerate().map(plan).collect();
        let edit_plan = |(network, graph): (usize, &Graph)| {
            let (_, plan) = members.iter().flatten().find(|(of, _)| *of == network)?;
            window.is_none().then(|| EditPlan::new(graph, plan))
        };
        let edit_plans: Vec<Option<EditPlan>> =
            model.networks.par_iter().enumerate().map(edit_plan).collect();
        let window_plan = |(network, graph): (usize, &Graph)| {
            let (_, plan) = members.iter().flatten().find(|(of, _)| *of == network)?;
            Some(WindowPlan::new(graph, plan, window?))
        };
        let window_plans = model.networks.iter().enumerate().map(window_plan).collect();
        let reach = |(network, plan): &(usize, Plan)| {
            let (graph, edits) = (&model.networks[*network], &edit_plans[*network]);
            let edits = edits.as_ref().map_or(Reach::default(), |plan| plan.reach(graph));
            plan.layout.reach(graph).hull(edits)
        };
        let reaches = members.iter().flatten().map(reach);
        let heads = model
            .members
            .iter()
            .map(|member| scalar_weights(&model.networks[member.network], &member.weights));
        Ok(Self {
            isa: isa.checked()?,
            reach: match window {
                None => reaches.fold(Reach::default(), Reach::hull),
                Some(_) => model.flanks(),
            },
            heads: heads.collect(),
            window,
            edit_plans,
            window_plans,
            members,
            networks: model.networks.clone(),
            unknown: model.unknown_base,
            mixer,
            workspaces: Pool::default(),
            kept: Pool::default(),
        })
    }

    fn plans(&self) -> impl Iterator<Item = (&Graph, &Plan)> {
        self.members.iter().flatten().map(|(network, plan)| (&self.networks[*network], plan))
    }

    /// The network of a member that is wanted, and its plan.
    fn member(&self, member: usize) -> (usize, &Plan) {
        let planned = self.members[member].as_ref();
        let (network, plan) = planned.expect("the mixer asks for planned members only");
        (*network, plan)
    }

    /// Where the rows of a window and of its control tracks begin, padded as far as a plan reads.
    fn window_input(
        &self,
        job: &Job,
        graph: &Graph,
        plan: &Plan,
        window: Window,
    ) -> (i64, Vec<f32>, Vec<f32>) {
        let rows = one_hot(&job.letters, self.unknown);
        let (start, rows) = pad(rows, INPUT_CHANNELS, plan, graph, window);
        let channels = graph.control().map_or(0, |node| graph.channels(node));
        let controls = control_rows(&job.controls, channels, job.letters.len());
        let (_, controls) = pad(controls, channels, plan, graph, window);
        (start, rows, controls)
    }

    fn job(&self, job: &Job, workspace: &mut Workspace) -> Result<Values> {
        self.mixer.mix(job.length, |member, take| {
            let (network, plan) = self.member(member);
            let graph = &self.networks[network];
            let mut run = |input, output| {
                let head = |pooled: &[(NodeId, Vec<f64>)]| self.head(graph, member, pooled);
                let network = (graph, plan, &plan.layout);
                take(run::run(self.isa, network, input, output, head, workspace, None));
            };
            match self.window {
                None => {
                    let rows = one_hot(&job.letters, self.unknown);
                    let start = job.start.saturating_sub_unsigned(self.reach.left);
                    let end = job.start.saturating_add_unsigned(job.length as u64);
                    let input = Encoded { start, rows: &rows, controls: &[] };
                    run(input, Span::new(job.start, end));
                }
                Some(window) => {
                    let (start, rows, controls) = self.window_input(job, graph, plan, window);
                    run(Encoded { start, rows: &rows, controls: &controls }, window.span());
                }
            }
            Ok(())
        })
    }

    /// The scalar head of a member.
    fn head(&self, graph: &Graph, member: usize, pooled: &[(NodeId, Vec<f64>)]) -> Vec<f64> {
        let value = |node| pooled.iter().find(|(pool, _)| *pool == node);
        scalar_head(graph, &self.heads[member], |node| value(node).map(|(_, v)| v.clone()))
    }
}

/// Rows of a window with zeros on both sides as far as a plan reads, and where they begin.
fn pad(
    rows: Vec<f32>,
    channels: usize,
    plan: &Plan,
    graph: &Graph,
    window: Window,
) -> (i64, Vec<f32>) {
    let inside = window.span();
    let needed = plan.layout.needed(graph, inside);
    let control = graph.control().map_or(Span::EMPTY, |node| needed[node]);
    let read = needed[0].hull(control).hull(inside);
    let [left, right] = [inside.start - read.start, read.end - inside.end]
        .map(|rows| usize::try_from(rows).expect("the hull covers the window") * channels);
    let mut padded = vec![0.0; left];
    padded.extend(rows);
    padded.resize(padded.len() + right, 0.0);
    (read.start, padded)
}

/// Memory of the working buffers of a network per position, in bytes.
pub fn bytes_per_position(graph: &Graph) -> u64 {
    plan::bytes_per_position(graph) + ENCODED_ROW
}

impl Engine for CpuEngine {
    fn describe(&self) -> String {
        format!("cpu ({})", self.isa)
    }

    fn reach(&self) -> Reach {
        self.reach
    }

    fn bytes_per_position(&self) -> u64 {
        self.plans().map(|(_, plan)| plan.bytes_per_position()).max().unwrap_or(0) + ENCODED_ROW
    }

    fn overhead_positions(&self) -> u64 {
        self.plans()
            .map(|(graph, plan)| plan.layout.overhead_positions(graph, &plan.steps))
            .max()
            .unwrap_or(0)
    }

    fn run(
        &self,
        jobs: &[Job],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Values>> {
        let one = |(index, job): (usize, &Job)| {
            let values = self.job(job, &mut self.workspaces.take())?;
            after_each(index)?;
            Ok(values)
        };
        jobs.par_iter().enumerate().map(one).collect()
    }

    fn run_edits(
        &self,
        stretches: &[Stretch],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Vec<EditValues>>> {
        match self.window {
            None => self.edits(stretches, after_each),
            // an edit moves what lies behind it against the ends of the window
            Some(_) => run_in_full(self, stretches, after_each),
        }
    }

    fn is_windowed(&self) -> bool {
        self.window.is_some()
    }

    fn run_window_edits(
        &self,
        windows: &[EditedWindow],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<WindowValues>> {
        match self.window {
            Some(window) => self.window_edits(window, windows, after_each),
            None => run_windows_in_full(self, windows, after_each),
        }
    }
}
