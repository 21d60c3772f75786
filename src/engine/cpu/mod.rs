//! The CPU engine: our own kernels, one job per core, nothing but Rust.

mod elementwise;
mod isa;
mod kernel;
mod plan;
mod run;

pub use isa::Isa;

use super::encode::one_hot;
use super::mix::Mixer;
use super::{Engine, Job, Values};
use crate::error::Result;
use crate::model::{Member, Model, Track, UnknownBase};
use crate::network::{Graph, Reach, Span};
use plan::Plan;
use rayon::prelude::*;
use run::{Encoded, Workspace};
use std::sync::{Mutex, PoisonError};

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
    reach: Reach,
    /// Buffers of earlier jobs, taken by the next ones.
    workspaces: Mutex<Vec<Workspace>>,
}

impl CpuEngine {
    /// Folds and packs the weights of the members that the tracks need.
    ///
    /// # Errors
    /// An instruction set that this processor lacks.
    pub fn new(model: &Model, tracks: &[Track], isa: Isa) -> Result<Self> {
        let mixer = Mixer::new(tracks);
        let plan = |(index, member): (usize, &Member)| {
            let wanted = mixer.members().contains(&index);
            let graph = &model.networks[member.network];
            wanted.then(|| (member.network, Plan::new(graph, &member.weights)))
        };
        let members: Vec<Option<(usize, Plan)>> =
            model.members.par_iter().enumerate().map(plan).collect();
        let reaches = members.iter().flatten().map(|(n, plan)| plan.reach(&model.networks[*n]));
        Ok(Self {
            isa: isa.checked()?,
            reach: reaches.fold(Reach::default(), Reach::hull),
            members,
            networks: model.networks.clone(),
            unknown: model.unknown_base,
            mixer,
            workspaces: Mutex::default(),
        })
    }

    fn plans(&self) -> impl Iterator<Item = (&Graph, &Plan)> {
        self.members.iter().flatten().map(|(network, plan)| (&self.networks[*network], plan))
    }

    fn job(&self, job: &Job, workspace: &mut Workspace) -> Result<Values> {
        let rows = one_hot(&job.letters, self.unknown);
        let start = job.start.saturating_sub_unsigned(self.reach.left);
        let input = Encoded { start, rows: &rows };
        let output = Span::new(job.start, job.start.saturating_add_unsigned(job.length as u64));
        self.mixer.mix(job.length, |member, take| {
            let (network, plan) =
                self.members[member].as_ref().expect("the mixer asks for planned members only");
            let graph = &self.networks[*network];
            take(run::run(self.isa, graph, plan, input, output, workspace));
            Ok(())
        })
    }
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
        self.plans().map(|(graph, plan)| plan.overhead_positions(graph)).max().unwrap_or(0)
    }

    fn run(
        &self,
        jobs: &[Job],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Values>> {
        let pool = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |(index, job): (usize, &Job)| {
            let mut workspace = pool().pop().unwrap_or_default();
            let values = self.job(job, &mut workspace)?;
            pool().push(workspace);
            after_each(index)?;
            Ok(values)
        };
        jobs.par_iter().enumerate().map(one).collect()
    }
}
