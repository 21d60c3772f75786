//! Tracks value by value: into bigWig, whose indexes are made anew, and between formats.

use super::{changed, setting};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs};
use crate::job::manifest::{Manifest, Part};
use crate::job::{OutputFile, Progress, digest, signal};
use crate::track::number::Rounding;
use crate::track::signal::Stretch;
use crate::track::{self, CHUNK, Segment, SignalFile, Sink, Style, bedgraph};
use std::path::{Path, PathBuf};

/// Writes the values of each part, in their order.
pub fn join(
    parts: &[(PathBuf, &Part)],
    path: &Path,
    job: &Manifest,
    progress: &Progress,
) -> Result<(u64, Vec<OutputFile>)> {
    let contigs = Contigs::new(job.contigs.clone());
    let mut sink = track::open(path, &contigs, &style(job)?, None)?;
    for (place, part) in parts {
        if digest::of_file(place)? != part.sha256 {
            return Err(changed(place));
        }
        copy(place, &contigs, sink.as_mut())?;
        progress.advance(part.bytes);
    }
    sink.finish()?;
    Ok((sink.records(), sink.into_files()))
}

/// How the values were written.
fn style(job: &Manifest) -> Result<Style> {
    let number = |name: &str| setting(job, name).and_then(|text| text.parse::<f32>().ok());
    let decimals = setting(job, "decimals").and_then(|text| text.parse().ok());
    let decimals = decimals.ok_or_else(|| Error::new("a manifest without decimals"))?;
    let rounding = Rounding::new(decimals)?;
    Ok(Style { rounding, min_value: number("min-value"), ..Style::default() })
}

fn copy(part: &Path, contigs: &Contigs, sink: &mut dyn Sink) -> Result<()> {
    let known = |name: &str| {
        let error = || Error::new("a contig that its manifest does not name").at(part).found(name);
        contigs.id(name).ok_or_else(error)
    };
    let mut values = Vec::new();
    let mut write = |contig: ContigId, stretch: Stretch| -> Result<()> {
        let Stretch { mut start, end, value } = stretch;
        while start < end {
            signal::check()?;
            let next = end.min(start + CHUNK);
            values.clear();
            values.resize(usize::try_from(next - start).expect("a chunk fits memory"), value);
            sink.write(Segment { contig, start, values: &values })?;
            start = next;
        }
        Ok(())
    };
    if !SignalFile::is_bigwig(part) {
        return bedgraph::reader::stream(part, &mut |name, stretch| write(known(name)?, stretch));
    }
    let mut file = SignalFile::open(part)?;
    let own: Vec<(ContigId, String, u64)> =
        file.contigs().iter().map(|(id, name, length)| (id, name.to_owned(), length)).collect();
    for (id, name, length) in own {
        let contig = known(&name)?;
        file.stretches(id, 0..length, &mut |stretch| write(contig, stretch))?;
    }
    Ok(())
}
