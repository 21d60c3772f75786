//! How models are run that must be run in a window: the flags of `predict` for them.

use super::args::{Chosen, count};
use atrous::engine::{Engine, Wanted};
use atrous::genome::{Region, Resolver};
use atrous::job::journal::Settings;
use atrous::model::{Model, Track};
use atrous::predict::{LongTiles, OutputKind, RcAverage, Readout, WindowAt, Windowed};
use atrous::track::Signal;
use atrous::{Error, Result};
use clap::Args;
use std::path::{Path, PathBuf};

/// Models of profiles and counts, which are run in windows of a fixed length.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Windows (models of profiles and counts)")]
pub struct WindowArgs {
    /// Where windows lie: `grid`, side by side over the regions; `region`, one around the middle of
    /// each region, or `summit`, around its summit (narrowPeak). Around regions the outputs of the
    /// window are written in place of the region, and the table has its log count.
    #[arg(long, value_name = "PLACE", value_parser = str::parse::<WindowAt>)]
    window_at: Option<WindowAt>,
    /// What is written: `track`, expected counts (probability times count); `profile`,
    /// probabilities; `logits`; `counts`, the count of the window at each of its positions.
    #[arg(long, value_name = "KIND", value_parser = str::parse::<OutputKind>)]
    output_kind: Option<OutputKind>,
    /// Read both strands of each window and average `logits` (and log counts) or `probabilities`
    /// (and counts); default: none.
    #[arg(long, value_name = "OF", value_parser = str::parse::<RcAverage>)]
    rc_average: Option<RcAverage>,
    /// Leave out the bias of the assay, where the model has both.
    #[arg(long)]
    without_bias: bool,
    /// Control experiments that the model reads, one bigWig or bedGraph per strand; `zero` for none.
    #[arg(long, value_name = "FILE,FILE", value_delimiter = ',')]
    control: Vec<PathBuf>,
    /// Compute neighbouring windows together, in long stretches: faster, and equal within rounding,
    /// for models whose outputs and counts do not see the ends of their window.
    #[arg(long)]
    long_tiles: bool,
}

impl WindowArgs {
    /// The first flag that is given and has no meaning without a window.
    fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--window-at", self.window_at.is_some()),
            ("--output-kind", self.output_kind.is_some()),
            ("--rc-average", self.rc_average.is_some()),
            ("--without-bias", self.without_bias),
            ("--control", !self.control.is_empty()),
            ("--long-tiles", self.long_tiles),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    /// Adapts what was chosen of a model, by name or not: the tracks without bias.
    ///
    /// # Errors
    /// A flag that means nothing to this model (usage).
    pub fn adapt(&self, mut chosen: Chosen, named: bool, member: Option<&str>) -> Result<Chosen> {
        if let (None, Some(flag)) = (chosen.model.window, self.given()) {
            return Err(Error::usage(format!("{flag} means nothing to this model"))
                .found("a model that needs no window")
                .remedy("leave it out"));
        }
        chosen.tracks = bias_apart(&chosen.model, chosen.tracks, self.without_bias, named, member)?;
        Ok(chosen)
    }

    /// How the outputs of the model become what is written; none where it has no window.
    ///
    /// # Errors
    /// A kind of output that a track does not have (usage).
    pub fn readout(&self, chosen: &Chosen) -> Result<Option<Readout>> {
        if chosen.model.window.is_none() {
            return Ok(None);
        }
        let (kind, rc) =
            (self.output_kind.unwrap_or_default(), self.rc_average.unwrap_or_default());
        Readout::new(&chosen.model, &chosen.tracks, kind, rc).map(Some)
    }

    /// Says how many windows lie around the middle of a region that has no summit.
    pub fn tell_missing_summits(&self, regions: &[Region]) {
        let without = regions.iter().filter(|region| region.summit.is_none()).count();
        if self.window_at == Some(WindowAt::Summit) && without > 0 {
            tracing::warn!(
                "{} without a summit inside (column 10 of ten): windows lie around the middle",
                count(without as u64, "region"),
            );
        }
    }

    /// The engine that `build` makes, for windows one by one or in long stretches of at most `tile`
    /// bases.
    ///
    /// # Errors
    /// What `build` returns, and a model that cannot be run in stretches (usage).
    pub fn engine(
        &self,
        model: &Model,
        wanted: Wanted,
        tile: Option<u64>,
        build: impl FnOnce(&Model, Wanted) -> Result<Box<dyn Engine>>,
    ) -> Result<Box<dyn Engine>> {
        match self.long_tiles {
            false => build(model, wanted),
            true => Ok(Box::new(LongTiles::new(model, wanted, tile, build)?)),
        }
    }

    /// All that a run over windows needs.
    ///
    /// # Errors
    /// Controls that are not the model's, or cannot be read.
    pub fn windowed(
        &self,
        model: &Model,
        readout: Readout,
        resolver: &Resolver,
    ) -> Result<Windowed> {
        let expected = model.control_channels();
        if self.control.is_empty() && expected > 0 {
            tracing::warn!(
                "the model reads {expected} control track(s) and none are given: zeros are read \
                 (give them with --control, or say --control zero)"
            );
        }
        if !self.control.is_empty() && expected == 0 {
            return Err(
                Error::usage("the model reads no control tracks").remedy("leave out --control")
            );
        }
        let signals = self.control_files().map(|path| Signal::open(path, resolver));
        let signals = signals.collect::<Result<Vec<_>>>()?;
        let at = self.window_at.unwrap_or_default();
        Windowed::new(model, at, readout, signals, resolver.contigs())
    }

    /// The files that are read.
    pub fn control_files(&self) -> impl Iterator<Item = &Path> {
        let zero = self.control.len() == 1 && self.control[0] == Path::new("zero");
        self.control.iter().filter(move |_| !zero).map(PathBuf::as_path)
    }

    /// What of these flags decides the numbers beside what the readout says.
    pub fn identity(&self) -> Settings {
        let mut settings = Settings::new();
        let controls: Vec<String> =
            self.control_files().map(|path| path.display().to_string()).collect();
        if !controls.is_empty() {
            settings.insert("control".into(), controls.join(", "));
        }
        if self.long_tiles {
            settings.insert("windows".into(), "long tiles".into());
        }
        settings
    }
}

/// The tracks that were chosen, by name or not, without the bias of the assay where that is wanted;
/// says so where it could be.
pub fn bias_apart(
    model: &Model,
    tracks: Vec<Track>,
    without: bool,
    named: bool,
    member: Option<&str>,
) -> Result<Vec<Track>> {
    if without {
        return model.without_bias(&tracks, member);
    }
    if let Some(track) = model.with_bias(&tracks).filter(|_| !named) {
        tracing::info!(
            "the bias of the assay is part of {}: --without-bias leaves it out",
            track.name
        );
    }
    Ok(tracks)
}
