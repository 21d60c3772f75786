//! The network that all families here share: a pointwise stem, groups of pre-activation units, and
//! a sum of pointwise skips (networks.md 2). Families differ in numbers, names and heads.

use super::tensors::{LayerNames, Ledger};
use crate::error::{Error, Result};
use crate::network::blocks::{Dilated, GroupedSpec, grouped};
use crate::network::{Activation, Graph, GraphBuilder, Op, Padding};

/// The last operation of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Softmax,
    Sigmoid,
}

/// The whole network: trunk, pointwise `head` to `classes` channels, output function. Nothing is
/// padded, so that stretches of any length can be computed.
pub(super) fn network(spec: &GroupedSpec, classes: usize, output: Output) -> Result<Graph> {
    build(spec, classes, output, None)
}

/// The same in a window, as its program runs it: every convolution of the trunk reads zeros beyond
/// the ends, and so many positions are cut off on the left and on the right before the head.
pub(super) fn network_in_window(
    spec: &GroupedSpec,
    classes: usize,
    output: Output,
    crop: (usize, usize),
) -> Result<Graph> {
    build(spec, classes, output, Some(crop))
}

fn build(
    spec: &GroupedSpec,
    classes: usize,
    output: Output,
    crop: Option<(usize, usize)>,
) -> Result<Graph> {
    if output == Output::Softmax && classes < 2 {
        return Err(
            Error::new("a softmax over one class is 1 everywhere").expected("at least 2 classes")
        );
    }
    let mut g = GraphBuilder::new();
    if crop.is_some() {
        g.pad_with(Padding::Zero);
    }
    let mut trunk = grouped(&mut g, spec)?;
    g.pad_with(Padding::None);
    if let Some((left, right)) = crop.filter(|&ends| ends != (0, 0)) {
        trunk = g.add("crop", Op::Crop { left, right }, &[trunk])?;
    }
    let head = g.add("head", Op::pointwise(classes), &[trunk])?;
    match output {
        Output::Softmax => g.add("softmax", Op::Softmax, &[head])?,
        Output::Sigmoid => {
            g.add("sigmoid", Op::Activation { function: Activation::Sigmoid }, &[head])?
        }
    };
    g.finish()
}

/// Modules of a PyTorch network, by the names that the file gives them.
pub(super) struct Modules {
    pub stem: String,
    /// One more than there are groups.
    pub skips: Vec<String>,
    /// Units, group by group.
    pub groups: Vec<Vec<String>>,
    /// `batchnorm` or `bn`.
    pub norm: &'static str,
}

/// What a `state_dict` does not hold and the family or the user adds.
pub(super) struct Unstored<'a> {
    pub activation: Activation,
    pub epsilon: f64,
    /// One per group; without them the published rule is used where it applies.
    pub dilations: Option<&'a [usize]>,
}

/// Kernel and dilation of the published networks, group by group; the smaller networks are the
/// first groups of the largest (networks.md 2).
const PUBLISHED: [(usize, usize); 4] = [(11, 1), (11, 4), (21, 10), (41, 25)];

/// Geometry and layer names of a PyTorch network: widths and kernels from the shapes, dilations by
/// the rule. Batch counters are set aside.
pub(super) fn from_torch(
    ledger: &mut Ledger,
    modules: &Modules,
    unstored: &Unstored<'_>,
) -> Result<(GroupedSpec, LayerNames)> {
    let channels = axis(ledger, &format!("{}.weight", modules.stem), 0)?;
    let mut kernels: Vec<Vec<usize>> = Vec::with_capacity(modules.groups.len());
    for units in &modules.groups {
        let kernel = |unit| axis(ledger, &format!("{unit}.conv1.weight"), 2);
        kernels.push(units.iter().map(kernel).collect::<Result<_>>()?);
    }
    if let Some(&even) = kernels.iter().flatten().find(|&&kernel| kernel % 2 == 0) {
        return Err(Error::new("the file does not say how its even kernels are padded")
            .found(format!("a kernel of {even} taps"))
            .expected("odd kernels"));
    }
    let dilations = dilations(&kernels, unstored.dilations)?;
    let spec = GroupedSpec {
        channels,
        groups: kernels
            .iter()
            .zip(dilations)
            .map(|(units, dilation)| {
                units.iter().map(|&kernel| Dilated::centred(kernel, dilation)).collect()
            })
            .collect(),
        activation: unstored.activation,
        epsilon: unstored.epsilon,
    };
    let mut names = LayerNames::from([("stem".to_string(), modules.stem.clone())]);
    for (g, skip) in modules.skips.iter().enumerate() {
        names.insert(format!("skip.{g}"), skip.clone());
    }
    for (u, unit) in modules.groups.iter().flatten().enumerate() {
        for half in 1..=2 {
            names.insert(format!("unit.{u}.conv{half}"), format!("{unit}.conv{half}"));
            let norm = format!("{unit}.{}{half}", modules.norm);
            let counter = format!("{norm}.num_batches_tracked");
            if ledger.has(&counter) {
                ledger.set_aside(&counter, &[])?;
            }
            names.insert(format!("unit.{u}.norm{half}"), norm);
        }
    }
    Ok((spec, names))
}

/// Length of one axis of a convolution kernel.
pub(super) fn axis(ledger: &Ledger, name: &str, axis: usize) -> Result<usize> {
    match ledger.shape(name) {
        Some(shape) if shape.len() == 3 => Ok(shape[axis]),
        Some(shape) => Err(Error::new(format!("tensor {name} has the wrong shape"))
            .found(format!("{shape:?}"))
            .expected("3 axes: out, in, taps")),
        None => Err(Error::new(format!("tensor {name} is missing"))
            .expected("a convolution kernel: out, in, taps")),
    }
}

/// One dilation per group: those given, or the published ones where the kernels are the published.
fn dilations(kernels: &[Vec<usize>], given: Option<&[usize]>) -> Result<Vec<usize>> {
    if let Some(given) = given {
        if given.len() != kernels.len() || given.contains(&0) {
            return Err(Error::usage("the dilations do not fit the network")
                .found(format!("{given:?}"))
                .expected(format!("{} numbers above 0, one per group", kernels.len())));
        }
        return Ok(given.to_vec());
    }
    let like = |(units, &(kernel, _)): (&Vec<usize>, &(usize, usize))| {
        units.iter().all(|&unit| unit == kernel)
    };
    if kernels.is_empty()
        || kernels.len() > PUBLISHED.len()
        || !kernels.iter().zip(&PUBLISHED).all(like)
    {
        return Err(Error::new("the file does not say how far its convolutions are dilated")
            .found(format!("kernels {kernels:?} by group"))
            .expected("kernels of the published networks: 11, 11, 21, 41 by group")
            .remedy(
                "say it with --dilations, one number per group, such as --dilations 1,4,10,25",
            ));
    }
    Ok(PUBLISHED.iter().take(kernels.len()).map(|&(_, dilation)| dilation).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_rule_gives_the_published_flanks() {
        // networks.md 2: flank 40, 200, 1000, 5000 per side for 1 to 4 groups of 4 units.
        for (groups, flank) in [(1, 40), (2, 200), (3, 1000), (4, 5000)] {
            let kernels: Vec<Vec<usize>> =
                PUBLISHED.iter().take(groups).map(|&(kernel, _)| vec![kernel; 4]).collect();
            let dilations = dilations(&kernels, None).unwrap();
            let spec = GroupedSpec {
                channels: 2,
                groups: kernels
                    .iter()
                    .zip(dilations)
                    .map(|(units, d)| units.iter().map(|&k| Dilated::centred(k, d)).collect())
                    .collect(),
                activation: Activation::Relu,
                epsilon: 1e-5,
            };
            let reach = network(&spec, 3, Output::Softmax).unwrap().reach();
            assert_eq!((reach.left, reach.right), (flank, flank));
        }
    }

    #[test]
    fn other_kernels_need_dilations_from_the_user() {
        let kernels = vec![vec![11; 4], vec![13; 4]];
        let error = dilations(&kernels, None).unwrap_err();
        assert!(error.to_string().contains("--dilations"), "{error}");
        assert_eq!(dilations(&kernels, Some(&[1, 7])).unwrap(), [1, 7]);
        for wrong in [&[1][..], &[1, 0], &[1, 2, 3]] {
            assert_eq!(dilations(&kernels, Some(wrong)).unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn a_softmax_needs_two_classes() {
        let spec = GroupedSpec {
            channels: 2,
            groups: vec![vec![Dilated::centred(3, 1)]],
            activation: Activation::Relu,
            epsilon: 1e-5,
        };
        assert!(network(&spec, 1, Output::Softmax).is_err());
        assert_eq!(network(&spec, 1, Output::Sigmoid).unwrap().output_channels(), 1);
    }
}
