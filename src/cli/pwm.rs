//! `atrous pwm`: splice-site position-weight matrices from a FASTA file and an annotation.

use super::args::ReferenceArgs;
use anyhow::Result;
use atrous::genome::annotation::{Annotation, read_transcripts};
use atrous::job::OutputFile;
use atrous::job::distinct::refuse_shared;
use atrous::model::pwm::{HeldOut, Matrix, Settings, SplicePwm, SpliceSites, held_out};
use atrous::model::{Provenance, SourceFile, file};
use clap::Args;
use std::path::PathBuf;

/// Learn a splice-site model from an annotation: log-odds of each base around donors and acceptors.
///
/// The smallest model there is: one matrix for donor sites, one for acceptor sites, as a network of
/// two convolutions. Its tracks `donor` and `acceptor` are in bits and belong to the last and the
/// first base of an exon. The background is the composition of the annotated transcripts, read on
/// their strand. Letters other than A, C, G and T add nothing to a score.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PwmArgs {
    #[command(flatten)]
    reference: ReferenceArgs,
    /// Gene models: GFF3 or GTF, plain or gzipped.
    #[arg(short, long, value_name = "GFF3|GTF")]
    annotation: PathBuf,
    /// Feature types that count as transcripts; default: mRNA, transcript, and whatever has exons.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    types: Option<Vec<String>>,
    /// Model file to write; `-` for standard output.
    #[arg(short, long, value_name = "MODEL.safetensors")]
    output: PathBuf,
    /// Name of the model in logs.
    #[arg(long, value_name = "NAME", default_value = "splice-pwm")]
    name: String,
    /// Licence of the FASTA file and the annotation, recorded in the model file.
    #[arg(long, value_name = "TEXT", default_value = "unknown")]
    licence: String,
    #[command(flatten)]
    matrices: MatrixArgs,
    /// Also score each contig with matrices learned from the others, and say how well that works.
    #[arg(long)]
    held_out: bool,
}

/// Widths and smoothing.
#[derive(Debug, Args)]
#[command(next_help_heading = "Matrices")]
struct MatrixArgs {
    /// Exon bases of the donor matrix.
    #[arg(long, value_name = "BASES", default_value_t = Settings::default().donor_exon)]
    donor_exon: usize,
    /// Intron bases of the donor matrix.
    #[arg(long, value_name = "BASES", default_value_t = Settings::default().donor_intron)]
    donor_intron: usize,
    /// Intron bases of the acceptor matrix.
    #[arg(long, value_name = "BASES", default_value_t = Settings::default().acceptor_intron)]
    acceptor_intron: usize,
    /// Exon bases of the acceptor matrix.
    #[arg(long, value_name = "BASES", default_value_t = Settings::default().acceptor_exon)]
    acceptor_exon: usize,
    /// Imaginary sites of background composition that are added to the counts.
    #[arg(long, value_name = "SITES", default_value_t = Settings::default().pseudo_count)]
    pseudo_count: f64,
}

const EXAMPLES: &str = "\
Examples:
  atrous pwm -r genome.fa.gz -a genes.gff3.gz -o splice-pwm.safetensors
  atrous pwm -r genome.fa.gz -a genes.gtf -o wide.safetensors --acceptor-intron 40 --held-out";

/// Learns, writes the model, and says what it was learned from.
pub fn run(args: &PwmArgs) -> Result<()> {
    refuse_shared(&[&args.output], &[&args.reference.reference, &args.annotation])?;
    let mut output = OutputFile::create(&args.output)?;
    let settings = Settings {
        donor_exon: args.matrices.donor_exon,
        donor_intron: args.matrices.donor_intron,
        acceptor_intron: args.matrices.acceptor_intron,
        acceptor_exon: args.matrices.acceptor_exon,
        pseudo_count: args.matrices.pseudo_count,
    };
    let (mut reference, resolver) = args.reference.open()?;
    let genes = read_transcripts(&args.annotation, &resolver, args.types.as_deref())?;
    let sites = sites_of(&genes);
    let pwm = SplicePwm::learn(&mut reference, &sites, &settings)?;
    say(&pwm);
    if args.held_out {
        held_out(&mut reference, &sites, &settings)?.iter().for_each(say_held_out);
    }
    let sources = [&args.reference.reference, &args.annotation];
    let provenance = Provenance {
        family: env!("CARGO_PKG_NAME").into(),
        licence: args.licence.clone(),
        sources: sources.into_iter().map(|path| SourceFile::of(path)).collect::<Result<_, _>>()?,
        unread: vec![],
        record: record(&pwm, &settings),
    };
    let model = pwm.to_model(&args.name, provenance)?;
    file::write(&model, &mut output).map_err(|error| error.at(&args.output))?;
    output.commit()?;
    Ok(())
}

fn sites_of(genes: &Annotation) -> SpliceSites {
    let transcripts = || genes.transcripts.iter();
    let introns = transcripts()
        .flat_map(|transcript| transcript.introns().map(|intron| (intron, transcript.strand)));
    SpliceSites::new(introns, transcripts().map(|t| (t.span(), t.strand)))
}

/// How the model was made, for the model file.
fn record(pwm: &SplicePwm, settings: &Settings) -> String {
    format!(
        "{} {} pwm: {} donor and {} acceptor sites, pseudo-count {}, background A C G T {}",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
        pwm.donor.sites,
        pwm.acceptor.sites,
        settings.pseudo_count,
        shares(&pwm.background),
    )
}

fn shares(background: &[f64; 4]) -> String {
    background.map(|share| format!("{share:.4}")).join(" ")
}

fn say(pwm: &SplicePwm) {
    tracing::info!("background A C G T: {}", shares(&pwm.background));
    say_matrix("donor", "GT", &pwm.donor);
    say_matrix("acceptor", "AG", &pwm.acceptor);
}

fn say_matrix(name: &str, bases: &str, matrix: &Matrix) {
    tracing::info!(
        "{name}: {} sites, {} with {bases}; {} bases, {:.2} bits",
        matrix.sites,
        matrix.canonical,
        matrix.columns.len(),
        matrix.information,
    );
    for (count, reason) in [
        (matrix.outside, "the window leaves the contig"),
        (matrix.unknown, "the window holds letters other than A, C, G and T"),
    ] {
        if count > 0 {
            tracing::warn!("{name}: {count} sites left out: {reason}");
        }
    }
}

fn say_held_out(result: &HeldOut) {
    let share = |part: u64, whole: u64| 100.0 * part as f64 / whole as f64;
    let HeldOut { kind, sites, positions, even, most } = result;
    tracing::info!(
        "{kind}, each contig scored by the others: {} of {sites} sites among the {} positions of \
         at least {:.2} bits ({:.0} % recall, {:.0} % precision), of {positions} positions",
        even.found,
        even.called,
        even.bits,
        share(even.found, *sites),
        share(even.found, even.called),
    );
    tracing::info!(
        "{kind}: {} of {sites} sites ({:.0} %) at {:.2} bits, with {} positions called ({:.1} % \
         precision)",
        most.found,
        share(most.found, *sites),
        most.bits,
        most.called,
        share(most.found, most.called),
    );
}
