//! The architecture of a run, and what the settings of the run must be beside it.

use super::config::{CountLoss, Link, Loaded};
use crate::error::{Error, Result};
use crate::network::Architecture;
use crate::network::architecture::{Head, HeadFunction};

/// The architecture where the configuration names none.
const DEFAULT: &str = "exponential-small";

/// The architecture that a configuration names, with the parts that it replaces.
///
/// # Errors
/// An architecture that is not there; settings of the run that mean nothing to it.
pub fn architecture(of: &Loaded) -> Result<Architecture> {
    let network = &of.config.network;
    let path = network.file.as_ref().map(|file| of.folder.join(file));
    let whole = !network.stack.is_empty() && network.channels.is_some() && network.stem.is_some();
    let mut found = match (&network.preset, &path) {
        (Some(_), Some(_)) => {
            return Err(Error::new("[network] has both a preset and a file").at(&of.path));
        }
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
            Architecture::from_toml(&text).map_err(|error| error.at(path))?
        }
        (None, None) if !network.stack.is_empty() && !whole => {
            return Err(Error::new("[network] has a stack of its own but not all of the rest")
                .at(&of.path)
                .expected("`channels`, `stem` and `stack`, or a `preset`"));
        }
        (name, None) => {
            let name = name.as_deref().unwrap_or(DEFAULT);
            let names = || crate::network::architecture::PRESETS.map(|(name, _)| name).join(", ");
            Architecture::preset(name).ok_or_else(|| {
                Error::new("no such preset").at(&of.path).found(name).expected(names())
            })??
        }
    };
    if !network.stack.is_empty() {
        found.stack = network.stack.clone();
        found.head = Head {
            outputs: vec![],
            kernel: 1,
            hidden: None,
            function: HeadFunction::default(),
            counts: None,
        };
    }
    found.channels = network.channels.unwrap_or(found.channels);
    found.activation = network.activation.unwrap_or(found.activation);
    found.stem = network.stem.clone().unwrap_or(found.stem);
    if let Some(head) = &network.head {
        (found.head.kernel, found.head.hidden) = (head.kernel, head.hidden);
        found.head.counts = head.counts.clone().or(found.head.counts);
    }
    found.window = network.window.or(found.window);
    found.padding = network.padding.unwrap_or(found.padding);
    check(of, &found)?;
    Ok(found)
}

/// Refuses what means nothing to a network with a window or with a log count.
fn check(of: &Loaded, architecture: &Architecture) -> Result<()> {
    let config = &of.config;
    let (windowed, counted) = (architecture.window.is_some(), architecture.head.counts.is_some());
    let loss = config.counts.as_ref().map(|counts| counts.loss);
    let all_judged =
        config.counts.as_ref().is_none_or(|counts| counts.judged() == counts.tracks.len());
    let link = config.counts.as_ref().map_or(Link::default(), |counts| counts.link);
    let faults = [
        (counted && loss.is_none(), "splice sites have no log count", "leave out `head.counts`"),
        (
            counted && loss == Some(CountLoss::Poisson),
            "beside a log count the outputs are the logits of a profile",
            "set `counts.loss = \"profile\"`, or leave out `head.counts`",
        ),
        (
            counted && link != Link::default(),
            "`counts.link` means nothing beside a log count",
            "leave it out, or leave out `head.counts`",
        ),
        (
            counted && !all_judged,
            "an auxiliary track would share the profile and the total of the others",
            "leave it out, or leave out `head.counts`",
        ),
        (
            windowed && config.training.hold > 1,
            "`training.hold` is for networks without a window",
            "leave it out",
        ),
        (
            windowed && config.network.both_strands,
            "a network with a window cannot average both strands in its file",
            "leave out `both_strands` and predict with --rc-average",
        ),
    ];
    if let Some((_, what, remedy)) = faults.into_iter().find(|(found, ..)| *found) {
        return Err(Error::new(what).at(&of.path).remedy(remedy));
    }
    match (architecture.window, config.training.window) {
        (Some(window), Some(said)) if said != window.output => {
            Err(Error::new("`training.window` is not what the window of the network gives")
                .at(&of.path)
                .found(said)
                .expected(window.output)
                .remedy("leave it out: an example is a window"))
        }
        _ => Ok(()),
    }
}
