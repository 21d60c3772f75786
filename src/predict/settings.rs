//! What decides the bytes of the outputs, for the journal: a run is resumed only under equal ones.

use super::{Request, Strands, Windowed};
use crate::engine::Engine;
use crate::error::Result;
use crate::genome::{Reference, Strand};
use crate::job::digest;
use crate::job::journal::Settings;
use std::fmt::Write;

/// The settings of a run, by the names that a message uses.
///
/// # Errors
/// The reference cannot be looked at.
pub fn of(
    request: &Request,
    windowed: Option<&Windowed>,
    reference: &Reference,
    engine: &dyn Engine,
) -> Result<Settings> {
    let style = &request.style;
    let mut settings = request.identity.clone();
    let mut set = |name: &str, value: String| settings.insert(name.into(), value);
    set("program version", env!("CARGO_PKG_VERSION").into());
    set("engine", engine.describe());
    set("reference", digest::of_reference(reference)?);
    if let Some(shard) = request.shard {
        // other machines have other copies
        set("reference file", digest::of_file(reference.path())?);
        set("shard", shard.to_string());
    }
    set("regions", regions_digest(request));
    set("strand", strand_name(request.strands).into());
    let names: Vec<&str> = request.tracks.iter().map(|track| track.name.as_str()).collect();
    let tracks = serde_json::to_vec(&request.tracks).expect("plain structs of ours serialise");
    set("tracks", format!("{} ({})", names.join(", "), digest::short(&tracks)));
    if let Some(windowed) = windowed {
        set("windows at", windowed.at.name().into());
        set("output kind", windowed.readout.describe());
    }
    set("decimals", style.rounding.decimals().to_string());
    set("min-value", style.min_value.map_or("none".into(), |least| least.to_string()));
    set("track line", style.track_line.clone().unwrap_or_else(|| "none".into()));
    Ok(settings)
}

/// The bases of each strand, however the regions name them.
fn regions_digest(request: &Request) -> String {
    let mut text = String::new();
    for strand in [Strand::Plus, Strand::Minus] {
        for span in request.spans(strand) {
            let (contig, start, end) = (span.contig.0, span.start, span.end);
            writeln!(text, "{}\t{contig}\t{start}\t{end}", strand.symbol())
                .expect("writing to a String cannot fail");
        }
    }
    digest::short(text.as_bytes())
}

fn strand_name(strands: Strands) -> &'static str {
    match strands {
        Strands::Plus => "plus",
        Strands::Minus => "minus",
        Strands::Both => "both",
        Strands::Bed => "bed",
    }
}
