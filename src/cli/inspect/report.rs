//! What is found out about a subject, in the form that `--json` prints.

use atrous::engine::{Effective, cpu};
use atrous::model::{self, Loaded, Model};
use atrous::network::blocks::Dilated;
use atrous::network::holes::{Hdc, HoleTest, deepest_path, hdc_by_kernel};
use atrous::network::spectrum::{Curve, box_response, largest_response, looking_nodes};
use atrous::network::{Architecture, Coverage, Facts, Graph, Op};
use atrous::picture::response::Band;
use atrous::picture::{Sheet, Subject};
use serde::Serialize;
use std::collections::BTreeSet;
use std::f64::consts::TAU;

/// Output positions of the tiles whose cost is shown.
const TILES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// What is looked into beyond the ordinary.
pub struct Wanted {
    /// Path counts of every offset.
    pub paths: bool,
    /// Frequency response at these periods, in bases.
    pub periods: Option<Vec<f64>>,
    /// How the CPU engine computes each convolution.
    pub plan: bool,
}

/// All that is found out about one subject.
#[derive(Debug, Serialize)]
pub struct Report {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelReport>,
    pub networks: Vec<NetworkReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveReport>,
}

/// What a model file says beside its networks.
#[derive(Debug, Serialize)]
pub struct ModelReport {
    pub sha256: String,
    pub members: Vec<String>,
    pub window: Option<model::Window>,
    pub tracks: Vec<model::Track>,
    pub scalars: Vec<model::Scalar>,
    pub unknown_base: model::UnknownBase,
    pub provenance: model::Provenance,
}

/// What one network looks at and costs.
#[derive(Debug, Serialize)]
pub struct NetworkReport {
    #[serde(flatten)]
    pub facts: Facts,
    /// Shortest contig with a base whose whole context is sequence.
    pub shortest_contig: u64,
    /// Working buffers of one thread on the CPU engine.
    pub bytes_per_base: u64,
    /// Activations that training keeps: input and output of each convolution, in 32 bits.
    pub training_bytes_per_base: u64,
    pub tiles: Vec<TileReport>,
    /// Missing when the receptive field is too long to list.
    pub coverage: Option<Coverage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths_by_offset: Option<Vec<f64>>,
    /// The convolutions that look, on the path that reaches furthest.
    #[serde(skip)]
    pub layers: Vec<Dilated>,
    pub hole_test: HoleTest,
    pub hdc: Vec<HdcReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectrum: Option<Spectrum>,
    /// How the CPU engine computes each convolution of long stretches, or of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Vec<cpu::Planned>>,
    #[serde(skip)]
    graph: Graph,
}

/// The HDC condition and whether it holds.
#[derive(Debug, Serialize)]
pub struct HdcReport {
    #[serde(flatten)]
    pub condition: Hdc,
    pub passes: bool,
}

/// Cost of a tile.
#[derive(Debug, Serialize)]
pub struct TileReport {
    /// Output positions.
    pub bases: u64,
    /// Work relative to an infinitely long tile.
    pub work_ratio: f64,
    /// Working buffers of one thread on the CPU engine.
    pub memory_bytes: u64,
}

/// Frequency response of the layers that look.
#[derive(Debug, Serialize)]
pub struct Spectrum {
    /// `boxes` (equal taps, relative to a constant) or `weights` (strongest pair of channels).
    pub of: &'static str,
    pub periods: Vec<f64>,
    pub layers: Vec<LayerSpectrum>,
    /// All layers together, for boxes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Vec<f64>>,
}

/// Frequency response of one layer at the wanted periods: magnitude, linear.
#[derive(Debug, Serialize)]
pub struct LayerSpectrum {
    pub name: String,
    pub kernel: usize,
    pub dilation: usize,
    pub response: Vec<f64>,
    #[serde(skip)]
    curve: Curve,
}

/// The measured receptive field.
#[derive(Debug, Serialize)]
pub struct EffectiveReport {
    #[serde(flatten)]
    pub measured: Effective,
    /// Distances within which 50, 90 and 99 % of the energy lie.
    pub energy_within: [(f64, u64); 3],
    /// The largest distances at which a track changes by more than 1e-2, 1e-3, 1e-4 and 1e-6.
    /// Smaller changes drown in the rounding of 32-bit numbers.
    pub changes_beyond: [(f64, Option<u64>); 4],
    /// Root mean square of the change by distance.
    pub by_distance: Vec<ByDistance>,
}

/// One range of distances, both ends included.
#[derive(Debug, Serialize)]
pub struct ByDistance {
    pub from: u64,
    pub to: u64,
    pub left: Option<f64>,
    pub right: Option<f64>,
}

impl Report {
    pub fn of_architecture(architecture: Architecture, wanted: &Wanted) -> atrous::Result<Self> {
        let network = NetworkReport::of(architecture.graph()?, None, wanted);
        let Architecture { name, description, .. } = architecture;
        let description = Some(description).filter(|text| !text.is_empty());
        Ok(Self { name, description, model: None, networks: vec![network], effective: None })
    }

    pub fn of_model(loaded: Loaded, wanted: &Wanted, measured: Option<Effective>) -> Self {
        let Loaded { model, sha256 } = loaded;
        let graphs = model.networks.iter().cloned().enumerate();
        let networks = graphs
            .map(|(number, graph)| NetworkReport::of(graph, Some((&model, number)), wanted))
            .collect();
        Self {
            name: model.name,
            description: None,
            networks,
            model: Some(ModelReport {
                sha256,
                members: model.members.into_iter().map(|member| member.name).collect(),
                window: model.window,
                tracks: model.tracks,
                scalars: model.scalars,
                unknown_base: model.unknown_base,
                provenance: model.provenance,
            }),
            effective: measured.map(EffectiveReport::of),
        }
    }
}

impl NetworkReport {
    /// Of a graph, and of the model and number of the network in it where there are weights.
    fn of(graph: Graph, weights: Option<(&Model, usize)>, wanted: &Wanted) -> Self {
        let facts = Facts::of(&graph);
        let bytes_per_base = cpu::bytes_per_position(&graph);
        let context = facts.receptive_field - 1;
        let whole = facts.flops_per_base.max(1) as f64;
        let tile = |bases: u64| TileReport {
            bases,
            work_ratio: graph.tile_flops(bases) as f64 / (whole * bases as f64),
            memory_bytes: (bases + context).saturating_mul(bytes_per_base),
        };
        let coverage = Coverage::of(&graph)
            .map_err(|error| tracing::warn!("blind spots are not looked for: {error}"))
            .ok();
        let layers = deepest_path(&graph);
        let hdc = hdc_by_kernel(&layers).into_iter();
        Self {
            shortest_contig: facts.receptive_field,
            bytes_per_base,
            training_bytes_per_base: graph.training_bytes_per_position(),
            tiles: TILES.map(tile).into(),
            paths_by_offset: coverage.as_ref().filter(|_| wanted.paths).map(|c| c.counts.clone()),
            coverage,
            hole_test: HoleTest::of(&layers),
            hdc: hdc.map(|hdc| HdcReport { passes: hdc.passes(), condition: hdc }).collect(),
            layers,
            spectrum: wanted.periods.as_ref().map(|periods| match weights {
                Some((model, number)) => Spectrum::of_weights(&graph, model, number, periods),
                None => Spectrum::of_boxes(&graph, periods),
            }),
            plan: wanted.plan.then(|| {
                let window = weights.and_then(|(model, _)| model.window);
                cpu::planned(&graph, window.map(|window| window.span()))
            }),
            facts,
            graph,
        }
    }
}

impl Spectrum {
    fn of_boxes(graph: &Graph, periods: &[f64]) -> Self {
        let mut kinds = BTreeSet::new();
        let alike = |id: &usize| match graph.nodes()[*id].op {
            Op::Conv { kernel, dilation, .. } => kinds.insert((kernel, dilation)),
            _ => false,
        };
        let nodes = looking_nodes(graph).into_iter().filter(alike);
        let response = |_: &str, kernel| move |angle| box_response(kernel, angle).abs();
        let network =
            periods.iter().map(|p| atrous::network::spectrum::path_response(graph, TAU / p));
        Self {
            of: "boxes",
            layers: nodes.map(|id| LayerSpectrum::of(graph, id, periods, response)).collect(),
            periods: periods.to_vec(),
            network: Some(network.collect()),
        }
    }

    fn of_weights(graph: &Graph, model: &Model, number: usize, periods: &[f64]) -> Self {
        let response = |name: &str, kernel| {
            let name = format!("{name}.weight");
            let members = model.members.iter().filter(move |member| member.network == number);
            let weights: Vec<&[f32]> =
                members.map(|member| member.weights[&name].values.as_slice()).collect();
            move |angle| {
                let each = weights.iter().map(|values| largest_response(values, kernel, angle));
                each.fold(0.0, f64::max)
            }
        };
        let nodes = looking_nodes(graph).into_iter();
        Self {
            of: "weights",
            layers: nodes.map(|id| LayerSpectrum::of(graph, id, periods, response)).collect(),
            periods: periods.to_vec(),
            network: None,
        }
    }
}

impl LayerSpectrum {
    /// Of a convolution; `response` gives its response by name and kernel.
    fn of<R: Fn(f64) -> f64>(
        graph: &Graph,
        id: usize,
        periods: &[f64],
        response: impl Fn(&str, usize) -> R,
    ) -> Self {
        let node = &graph.nodes()[id];
        let Op::Conv { kernel, dilation, .. } = node.op else {
            unreachable!("only convolutions look")
        };
        let response = response(&node.name, kernel);
        let at = |period: &f64| response(TAU / period * dilation as f64);
        Self {
            name: node.name.clone(),
            kernel,
            dilation,
            response: periods.iter().map(at).collect(),
            curve: Curve::new(kernel, &response),
        }
    }
}

impl EffectiveReport {
    fn of(measured: Effective) -> Self {
        let reach = measured.reach.left.max(measured.reach.right);
        let signed = |bases: u64| i64::try_from(bases).unwrap_or(i64::MAX);
        let mut edges = vec![0, 1];
        while edges[edges.len() - 1] <= reach {
            edges.push(edges[edges.len() - 1] * 10);
        }
        let range = |edge: &[u64]| {
            let (from, to) = (edge[0], (edge[1] - 1).min(reach));
            ByDistance {
                from,
                to,
                left: measured.rms(-signed(to), -signed(from)),
                right: measured.rms(signed(from), signed(to)),
            }
        };
        Self {
            energy_within: [0.5, 0.9, 0.99].map(|share| (share, measured.radius(share))),
            changes_beyond: [1e-2, 1e-3, 1e-4, 1e-6].map(|size| (size, measured.farthest(size))),
            by_distance: edges.windows(2).map(range).collect(),
            measured,
        }
    }
}

/// One sheet with all networks of all reports whose bases can be listed.
pub fn picture(reports: &[Report]) -> String {
    let mut subjects = Vec::new();
    for report in reports {
        for (number, network) in report.networks.iter().enumerate() {
            let Some(coverage) = &network.coverage else { continue };
            let spectrum = network.spectrum.as_ref();
            let band = |layer: &LayerSpectrum| Band {
                label: format!("k{} d{}", layer.kernel, layer.dilation),
                dilation: layer.dilation,
                curve: layer.curve.clone(),
            };
            subjects.push(Subject {
                name: match report.networks.len() {
                    1 => report.name.clone(),
                    _ => format!("{}, network {number}", report.name),
                },
                layers: network.layers.clone(),
                coverage,
                bands: spectrum.map_or(vec![], |s| s.layers.iter().map(band).collect()),
                boxes: spectrum.filter(|s| s.network.is_some()).map(|_| &network.graph),
                effect: report.effective.as_ref().filter(|_| number == 0).map(|e| &e.measured),
            });
        }
    }
    Sheet { subjects }.draw()
}
