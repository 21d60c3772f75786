//! Pangolin: PyTorch `state_dict` files with eight heads, of which each file is read at one
//! (networks.md 2, weight-files.md 3.3).

use super::tensors::{Layout, Ledger};
use super::tracks::Output as TrackOutput;
use super::trunk::{self, Modules, Output, Unstored};
use super::{ImportOptions, Part};
use crate::error::{Error, Result};
use crate::model::TrackStrand;
use crate::network::Activation;

/// Epsilon of the family (networks.md 2).
const EPSILON: f64 = 1e-5;
/// A skip follows every so many units (networks.md 2); the file does not say it.
const UNITS_PER_GROUP: usize = 4;
/// Heads in head order, two per tissue: P(splice), then usage.
const TISSUES: [&str; 4] = ["heart", "liver", "brain", "testis"];
/// Units of the two tracks of a tissue.
pub(super) const SITE_UNIT: &str = "probability";
pub(super) const USAGE_UNIT: &str = "usage";
const HEADS: usize = 2 * TISSUES.len();

/// A tensor that only this family has.
pub(super) const MARK: &str = "resblocks.0.bn1.weight";

/// Reads one member at head `head` (0 to 7).
pub(super) fn read(mut ledger: Ledger, head: usize, options: &ImportOptions) -> Result<Part> {
    let modules = modules(&ledger)?;
    let unstored = Unstored {
        activation: Activation::Relu,
        epsilon: EPSILON,
        dilations: options.dilations.as_deref(),
    };
    let (spec, mut layers) = trunk::from_torch(&mut ledger, &modules, &unstored)?;
    for other in (0..HEADS).filter(|&other| other != head) {
        let name = head_layer(other);
        let classes = head_classes(other);
        ledger.set_aside(&format!("{name}.weight"), &[classes, spec.channels, 1])?;
        ledger.set_aside(&format!("{name}.bias"), &[classes])?;
    }
    layers.insert("head".to_string(), head_layer(head));
    let output = if reads_usage(head) { Output::Sigmoid } else { Output::Softmax };
    let graph = trunk::network(&spec, head_classes(head), output)?;
    let weights = ledger.fill(&graph, &layers, Layout::Torch)?;
    Ok(Part {
        outputs: vec![track(head)],
        unread: ledger.finish()?,
        spec: Some(spec),
        graph,
        weights,
        signal: None,
    })
}

fn reads_usage(head: usize) -> bool {
    head % 2 == 1
}

fn head_layer(head: usize) -> String {
    format!("conv_last{}", head + 1)
}

/// Splice heads are a softmax over "no splice site" and "splice site".
fn head_classes(head: usize) -> usize {
    if reads_usage(head) { 1 } else { 2 }
}

fn track(head: usize) -> TrackOutput {
    let tissue = TISSUES[head / 2];
    if reads_usage(head) {
        TrackOutput {
            name: format!("{tissue}_usage"),
            unit: USAGE_UNIT,
            description: format!(
                "Fraction of transcripts that use a splice site here, in {tissue}"
            ),
            strand: TrackStrand::Read,
            default: true,
            channel: 0,
            rank: head,
        }
    } else {
        TrackOutput {
            name: tissue.to_string(),
            unit: SITE_UNIT,
            description: format!("P(splice): probability of a splice site, in {tissue}"),
            strand: TrackStrand::Read,
            default: true,
            channel: 1,
            rank: head,
        }
    }
}

fn modules(ledger: &Ledger) -> Result<Modules> {
    let count = |name: &str| (0..).take_while(|i| ledger.has_any(&format!("{name}.{i}."))).count();
    let (units, groups) = (count("resblocks"), count("convs"));
    if units == 0 || units != UNITS_PER_GROUP * groups {
        return Err(Error::new("the residual units and the skips of the network do not fit")
            .found(format!("{units} resblocks and {groups} convs"))
            .expected(format!("{UNITS_PER_GROUP} resblocks for each of convs")));
    }
    let units: Vec<String> = (0..units).map(|u| format!("resblocks.{u}")).collect();
    let mut skips = vec!["skip".to_string()];
    skips.extend((0..groups).map(|g| format!("convs.{g}")));
    Ok(Modules {
        stem: "conv1".to_string(),
        skips,
        groups: units.chunks(UNITS_PER_GROUP).map(<[String]>::to_vec).collect(),
        norm: "bn",
    })
}

/// The head that each file is read at: by its name `final.J.I.3…`, or as the user says.
///
/// # Errors
/// Neither says it, or they contradict each other.
pub(super) fn heads(names: &[String], given: Option<&[usize]>) -> Result<Vec<usize>> {
    if let Some(given) = given
        && (given.len() != names.len() || given.iter().any(|&head| head >= HEADS))
    {
        return Err(Error::usage("--heads does not fit the files")
            .found(format!("{given:?}"))
            .expected(format!("{} numbers from 0 to {}", names.len(), HEADS - 1)));
    }
    let head = |(index, name): (usize, &String)| {
        let told = given.map(|given| given[index]);
        match (named_head(name), told) {
            (Some(named), Some(told)) if named != told => {
                Err(Error::usage(format!("--heads and the name of {name} contradict each other"))
                    .found(told)
                    .expected(named)
                    .remedy("leave out --heads, or rename the file"))
            }
            (_, Some(head)) | (Some(head), None) => Ok(head),
            (None, None) => Err(Error::usage(format!(
                "the name of {name} does not say which head the network was trained for"
            ))
            .expected("final.J.I.3 or final.J.I.3.v2 with I from 0 to 7")
            .remedy(
                "say it with --heads, one I per file: 0 heart, 2 liver, 4 brain, 6 testis \
                 (splice site), 1, 3, 5, 7 (usage)",
            )),
        }
    };
    names.iter().enumerate().map(head).collect()
}

/// I of `final.J.I.3…`.
fn named_head(name: &str) -> Option<usize> {
    let mut parts = name.split('.');
    let (word, replicate, head, tail) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let numbered = !replicate.is_empty() && replicate.bytes().all(|b| b.is_ascii_digit());
    if word != "final" || tail != "3" || !numbered {
        return None;
    }
    head.parse().ok().filter(|&head| head < HEADS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str], given: Option<&[usize]>) -> Result<Vec<usize>> {
        heads(&names.iter().map(ToString::to_string).collect::<Vec<_>>(), given)
    }

    #[test]
    fn the_published_names_say_the_head() {
        assert_eq!(
            of(&["final.1.0.3.v2", "final.5.7.3", "final.2.4.3.pt"], None).unwrap(),
            [0, 7, 4]
        );
    }

    #[test]
    fn other_names_need_heads_from_the_user() {
        for name in ["model.pt", "final.1.8.3", "final.1.0.2", "final.x.0.3", "final.1.-1.3"] {
            assert!(of(&[name], None).unwrap_err().to_string().contains("--heads"), "{name}");
            assert_eq!(of(&[name], Some(&[6])).unwrap(), [6]);
        }
    }

    #[test]
    fn heads_that_contradict_or_do_not_fit_are_usage_errors() {
        for given in [&[2][..], &[8], &[0, 0], &[]] {
            assert_eq!(of(&["final.1.0.3"], Some(given)).unwrap_err().exit_code(), 2);
        }
    }
}
