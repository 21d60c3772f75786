//! Published weights of other programs as our models: containers are parsed as data, networks are
//! rebuilt from what the files say, and every tensor is accounted for (weight-files.md).
//!
//! One file per container (`keras_h5`, `torch_zip` with `pickle`) and one per family.

mod bpnetlite;
mod family;
mod keras_config;
mod keras_h5;
mod keras_profile;
mod keras_trunk;
mod module;
mod openspliceai;
mod pangolin;
mod pickle;
mod pickle_machine;
mod profile;
mod spliceai;
mod tensors;
mod torch;
mod torch_zip;
mod tracks;
mod trunk;

pub use family::{Family, FamilyChoice};

use super::bytes::FileBytes;
use super::ensemble::unused_name;
use super::{
    Member, Model, Provenance, Scalar, Scheme, Source, SourceFile, Track, UnknownBase, Weights,
};
use crate::error::{Error, Result};
use crate::network::blocks::GroupedSpec;
use crate::network::{Graph, Op};
use keras_config::Wiring;
use module::Module;
use profile::Signal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tensors::Ledger;

/// What the user adds to what the files say.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Name of the model; the family without it.
    pub name: Option<String>,
    /// Licence of the weights; `unknown` without it.
    pub licence: Option<String>,
    /// Where in a nested PyTorch checkpoint the weights are.
    pub key: Option<String>,
    /// Dilation of each group, for PyTorch files whose kernels are not the published ones.
    pub dilations: Option<Vec<usize>>,
    /// The Pangolin head (0 to 7) that each file is read at.
    pub heads: Option<Vec<usize>>,
    /// Length of the input, in bases: of a signal network, where the file does not say it; of a
    /// network of classes from Keras, to run it in windows as its program does.
    pub window: Option<usize>,
    /// Positions that a signal network leaves out on each side of its outputs, where the file does
    /// not say it.
    pub trimming: Option<usize>,
}

/// Reads one file per member and joins them into a model.
///
/// # Errors
/// A file that cannot be read as its family, the same file twice, members that differ in family or
/// geometry, or an option that cannot apply. Errors name the file.
pub fn import(family: FamilyChoice, files: &[PathBuf], options: &ImportOptions) -> Result<Model> {
    if files.is_empty() {
        return Err(Error::usage("no weight files were given"));
    }
    let mut opened = Vec::with_capacity(files.len());
    let mut hashes: BTreeMap<String, &Path> = BTreeMap::new();
    for path in files {
        let file = FileBytes::read(path, recognise)?;
        if let Some(other) = hashes.insert(file.sha256.clone(), path) {
            return Err(Error::usage("the same weights are given twice")
                .at(path)
                .found(format!("the bytes of {}", other.display()))
                .remedy("give each member once"));
        }
        let source = SourceFile { name: file.name(), sha256: file.sha256.clone() };
        let content = open(file, options).map_err(|error| error.at(path))?;
        opened.push((path.as_path(), source, content));
    }
    let family = agree(family, &opened)?;
    options.check_use(family)?;
    let names: Vec<String> = opened.iter().map(|(_, source, _)| source.name.clone()).collect();
    let heads = match family {
        Family::Pangolin => pangolin::heads(&names, options.heads.as_deref())?,
        _ => Vec::new(),
    };
    let mut model = empty(family, options, &opened);
    let mut first: Option<(Option<GroupedSpec>, Graph)> = None;
    let mut ranked: Vec<(usize, Track)> = Vec::new();
    for (index, (path, source, content)) in opened.into_iter().enumerate() {
        let part = content
            .read(family, heads.get(index).copied(), options)
            .map_err(|error| error.at(path))?;
        let (spec, graph) = first.get_or_insert_with(|| (part.spec.clone(), part.graph.clone()));
        // Pangolin has two heads, of which each member is read at one.
        if *spec != part.spec || (family != Family::Pangolin && *graph != part.graph) {
            return Err(Error::new("the members of an ensemble must have one geometry")
                .at(path)
                .found(describe(&part.graph))
                .expected(format!("{} as in {}", describe(graph), names[0]))
                .remedy("import them one by one"));
        }
        let unread = part.unread.iter().map(|tensor| format!("{}: {tensor}", source.name));
        model.provenance.unread.extend(unread);
        for output in &part.outputs {
            let reads = Source { member: index, channel: output.channel };
            match ranked.iter_mut().find(|(_, track)| track.name == output.name) {
                Some((_, track)) => track.sources.push(reads),
                None => ranked.push((output.rank, output.track(reads))),
            }
        }
        if let Some(signal) = part.signal {
            model.add_signal(index, signal).map_err(|error| error.at(path))?;
        }
        model.add_member(&source.name, part.graph, part.weights);
        model.provenance.sources.push(source);
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    model.tracks = ranked.into_iter().map(|(_, track)| track).collect();
    // schemes of splice sites look at any distance, and a window has an end
    model.scheme = scheme(family, &model.tracks).filter(|_| model.window.is_none());
    model.validate()?;
    Ok(model)
}

/// How the family scores variants, where the files have the tracks for it: splice sites of SpliceAI
/// and OpenSpliceAI; of Pangolin P(splice) of each tissue, or usage where there is no such track.
fn scheme(family: Family, tracks: &[Track]) -> Option<Scheme> {
    let named = |name: &str| tracks.iter().any(|track| track.name == name);
    match family {
        Family::SpliceAi | Family::OpenSpliceAi => (named("acceptor") && named("donor"))
            .then(|| Scheme::SpliceDelta { acceptor: "acceptor".into(), donor: "donor".into() }),
        Family::Pangolin => {
            let of_unit = |unit: &str| -> Vec<String> {
                let chosen = tracks.iter().filter(|track| track.unit == unit);
                chosen.map(|track| track.name.clone()).collect()
            };
            let sites = of_unit(pangolin::SITE_UNIT);
            let tracks = if sites.is_empty() { of_unit(pangolin::USAGE_UNIT) } else { sites };
            (!tracks.is_empty()).then_some(Scheme::SpliceUsage { tracks })
        }
        _ => None,
    }
}

/// One member, read and checked.
struct Part {
    /// Geometry of the splice family, whose members may differ in their heads.
    spec: Option<GroupedSpec>,
    graph: Graph,
    weights: Weights,
    outputs: Vec<tracks::Output>,
    unread: Vec<String>,
    /// What a signal network has besides.
    signal: Option<Signal>,
}

/// A file whose container was read and whose family is known.
struct Content {
    family: Family,
    /// Families that the file may also be of; the user may say.
    others: &'static [Family],
    kind: Kind,
    /// Key of a nested checkpoint.
    key: Option<String>,
}

enum Kind {
    Keras(spliceai::Description, Ledger),
    /// With the `model_config`.
    KerasProfile(String, Ledger),
    Torch(Ledger, Option<Module>),
}

/// Families of PyTorch whose tensors have the same names and shapes (weight-files.md 3.3).
const ALIKE: &[Family] = &[Family::BasePairNet, Family::ProCapNet, Family::BpNetLite];

/// Whether the first bytes of a file are those of a container that is known.
fn recognise(start: &[u8]) -> Result<()> {
    if keras_h5::looks_like_hdf5(start) || torch::looks_like_torch(start) {
        return Ok(());
    }
    Err(Error::new("the file is neither Keras HDF5 nor a PyTorch checkpoint")
        .found(format!("first bytes {:02x?}", &start[..start.len().min(8)])))
}

/// Reads the container and sees what the network is.
fn open(file: FileBytes, options: &ImportOptions) -> Result<Content> {
    if keras_h5::looks_like_hdf5(&file.bytes) {
        if options.key.is_some() || options.dilations.is_some() {
            return Err(Error::usage("--key and --dilations are for PyTorch files")
                .remedy("leave them out: a Keras file says everything itself"));
        }
        let keras = keras_h5::read(file.bytes)?;
        note_conversions(&file.path, &keras.tensors);
        let ledger = Ledger::new(keras.tensors);
        if let Some(family) = keras_profile::family_of(&ledger) {
            let kind = Kind::KerasProfile(keras.config, ledger);
            return Ok(Content { family, others: &[], kind, key: None });
        }
        let description = spliceai::Description::of(&Wiring::parse(&keras.config)?)?;
        let published = description.published_family();
        let family = published.unwrap_or_else(|| description.likely_family());
        let others: &[Family] = match published {
            Some(_) => &[],
            None => &[Family::SpliceAi, Family::TranslationAi],
        };
        return Ok(Content { family, others, kind: Kind::Keras(description, ledger), key: None });
    }
    let state = torch::read(&file.bytes, options.key.as_deref())?;
    note_conversions(&file.path, &state.tensors);
    let ledger = Ledger::new(state.tensors);
    let named = state.module.as_ref().and_then(bpnetlite::family_of);
    let (family, others): (Family, &[Family]) = if let Some(family) = named {
        (family, &[])
    } else if ledger.has(openspliceai::MARK) {
        (Family::OpenSpliceAi, &[])
    } else if ledger.has(pangolin::MARK) {
        (Family::Pangolin, &[])
    } else if ledger.has(bpnetlite::JOINT_MARK) {
        (Family::ChromBpNet, &[])
    } else if ledger.has(bpnetlite::MARK) {
        (Family::BpNetLite, ALIKE)
    } else {
        return Err(Error::new("the tensors are of no family that can be imported")
            .found(ledger.names())
            .expected(format!(
                "{} (openspliceai), {} (pangolin), {} (bpnet-lite, basepairnet, procapnet) or {} \
                 (chrombpnet)",
                openspliceai::MARK,
                pangolin::MARK,
                bpnetlite::MARK,
                bpnetlite::JOINT_MARK,
            )));
    };
    Ok(Content { family, others, kind: Kind::Torch(ledger, state.module), key: state.key })
}

fn note_conversions(path: &Path, tensors: &[tensors::SourceTensor]) {
    let converted = tensors.iter().filter(|tensor| !tensor.exact).count();
    if converted > 0 {
        tracing::info!("{}: {converted} tensors were converted to 32-bit floats", path.display());
    }
}

/// The one family of all files, which must be the one that the user named.
fn agree(choice: FamilyChoice, opened: &[(&Path, SourceFile, Content)]) -> Result<Family> {
    let mut agreed = match choice {
        FamilyChoice::Auto => None,
        FamilyChoice::Only(family) => Some((family, "asked for".to_string())),
    };
    for (path, source, content) in opened {
        let found = content.family;
        match &agreed {
            Some((family, whence)) if !content.may_be(*family) => {
                return Err(Error::new("the file is of another family")
                    .at(path)
                    .found(format!("what looks like {found}"))
                    .expected(format!("{family} as {whence}")));
            }
            Some(_) => {}
            None if content.others == ALIKE => {
                return Err(Error::new("the tensors do not tell which network they belong to")
                    .at(path)
                    .found("names and shapes that several families have")
                    .remedy("say which: bpnet-lite, basepairnet or procapnet in place of auto"));
            }
            None => agreed = Some((found, format!("in {}", source.name))),
        }
    }
    agreed.map(|(family, _)| family).ok_or_else(|| Error::usage("no weight files were given"))
}

impl ImportOptions {
    /// Refuses options that have no meaning for the family.
    fn check_use(&self, family: Family) -> Result<()> {
        if self.heads.is_some() && family != Family::Pangolin {
            return Err(
                Error::usage(format!("--heads has no meaning for {family}")).remedy("leave it out")
            );
        }
        for (flag, given, known) in [
            ("--window", self.window, family.is_signal() || family.may_have_window()),
            ("--trimming", self.trimming, family.is_signal()),
        ] {
            if given.is_some() && !known {
                return Err(Error::usage(format!("{flag} has no meaning for {family}"))
                    .remedy("leave it out"));
            }
        }
        Ok(())
    }
}

impl Content {
    fn may_be(&self, family: Family) -> bool {
        self.family == family || self.others.contains(&family)
    }

    fn read(self, family: Family, head: Option<usize>, options: &ImportOptions) -> Result<Part> {
        match (self.kind, family) {
            (Kind::Keras(description, ledger), Family::TranslationAi) => {
                let classes = ["neither", "stop", "start"];
                spliceai::read(description, ledger, classes, options.window)
            }
            (Kind::Keras(description, ledger), _) => {
                let classes = ["none", "acceptor", "donor"];
                spliceai::read(description, ledger, classes, options.window)
            }
            (Kind::KerasProfile(config, ledger), family) => {
                if options.trimming.is_some() {
                    return Err(Error::usage("--trimming is for PyTorch files")
                        .remedy("leave it out: a Keras file says it itself"));
                }
                keras_profile::read(&config, ledger, family, options)
            }
            (Kind::Torch(ledger, module), family) if family.is_signal() => {
                bpnetlite::read(ledger, module.as_ref(), family, options)
            }
            (Kind::Torch(ledger, _), Family::Pangolin) => {
                let head = head.expect("heads were found for every Pangolin file");
                pangolin::read(ledger, head, options)
            }
            (Kind::Torch(ledger, _), _) => openspliceai::read(ledger, options),
        }
    }
}

impl tracks::Output {
    fn track(&self, source: Source) -> Track {
        Track {
            name: self.name.clone(),
            unit: self.unit.to_string(),
            description: self.description.clone(),
            strand: self.strand,
            default: self.default,
            sources: vec![source],
        }
    }
}

/// The model before its first member.
fn empty(
    family: Family,
    options: &ImportOptions,
    opened: &[(&Path, SourceFile, Content)],
) -> Model {
    let mut record = format!(
        "atrous {}: imported from {} {family} file(s)",
        env!("CARGO_PKG_VERSION"),
        opened.len()
    );
    if let Some(dilations) = &options.dilations {
        record += &format!("; dilations {dilations:?} as given");
    }
    if let Some(heads) = &options.heads {
        record += &format!("; heads {heads:?} as given");
    }
    for (_, source, content) in opened {
        if let Some(key) = &content.key {
            record += &format!("; weights of {} under key {key:?}", source.name);
        }
    }
    Model {
        name: options.name.clone().unwrap_or_else(|| family.to_string()),
        networks: Vec::new(),
        members: Vec::new(),
        tracks: Vec::new(),
        scheme: None,
        window: None,
        scalars: Vec::new(),
        profiles: Vec::new(),
        unknown_base: UnknownBase::Zero,
        provenance: Provenance {
            family: family.to_string(),
            licence: options.licence.clone().unwrap_or_else(|| "unknown".to_string()),
            sources: Vec::new(),
            unread: Vec::new(),
            record,
        },
    }
}

impl Model {
    /// Adds the window and the scalars of a member.
    fn add_signal(&mut self, member: usize, signal: Signal) -> Result<()> {
        if member > 0 && self.window != Some(signal.window) {
            return Err(Error::new("the members of an ensemble must have one window")
                .found(format!("{:?}", signal.window))
                .expected(format!("{:?}", self.window)));
        }
        self.window = Some(signal.window);
        self.profiles = signal.profiles;
        for (channel, (name, description)) in signal.scalars.into_iter().enumerate() {
            let source = Source { member, channel };
            match self.scalars.iter_mut().find(|scalar| scalar.name == name) {
                Some(scalar) => scalar.sources.push(source),
                None => {
                    let (unit, sources) = ("ln(count)".to_string(), vec![source]);
                    self.scalars.push(Scalar { name, unit, description, sources });
                }
            }
        }
        Ok(())
    }

    fn add_member(&mut self, file: &str, graph: Graph, weights: Weights) {
        let network = self.networks.iter().position(|known| *known == graph);
        let network = network.unwrap_or_else(|| {
            self.networks.push(graph);
            self.networks.len() - 1
        });
        // Pangolin's names end in `.3` or `.v2`, which belong to the name.
        let stem = [".h5", ".hdf5", ".keras", ".pt", ".pth", ".torch", ".model"]
            .iter()
            .find_map(|ending| file.strip_suffix(ending))
            .unwrap_or(file);
        let stem: String = stem.chars().filter(|c| !c.is_control()).collect();
        let stem = if stem.is_empty() { "member".to_string() } else { stem };
        let name = unused_name(&stem, |name| self.members.iter().any(|m| m.name == name));
        self.members.push(Member { name, network, weights });
    }
}

/// Width, depth, reach and outputs of a network for a message.
fn describe(graph: &Graph) -> String {
    let reach = graph.reach();
    let convolutions = graph.nodes().iter().filter(|node| matches!(node.op, Op::Conv { .. }));
    format!(
        "{} channels, {} convolutions, reach {} and {}, {} outputs",
        graph
            .nodes()
            .iter()
            .position(|node| node.name == "stem")
            .map_or(0, |id| graph.channels(id)),
        convolutions.count(),
        reach.left,
        reach.right,
        graph.output_channels()
    )
}
