use super::*;
use crate::genome::{Contigs, Reference};
use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::PathBuf;

fn read(text: &str, types: Option<&[String]>) -> Result<Annotation> {
    let path = Path::new("x.gff");
    let list = [("chr1", 1000), ("chr2", 500)];
    let contigs = Contigs::new(list.map(|(name, length)| (name.into(), length)).into());
    let drafts = Drafts::read(Lines::from_reader(Cursor::new(text.as_bytes().to_vec()), path)?)?;
    build(&drafts, path, &Resolver::new(&contigs, None)?, types)
}

/// Rows of seqid, type, start, end, strand and attributes as GFF3 or GTF text.
fn rows(rows: &[(&str, &str, u64, u64, &str, &str)]) -> String {
    let line = |(seqid, kind, start, end, strand, attributes): &_| {
        format!("{seqid}\tx\t{kind}\t{start}\t{end}\t.\t{strand}\t.\t{attributes}\n")
    };
    rows.iter().map(line).collect()
}

/// Identifier, gene and exons.
type Model<'a> = (&'a str, &'a str, &'a [(u64, u64)]);

fn exons(annotation: &Annotation) -> Vec<Model<'_>> {
    let list = annotation.transcripts.iter();
    list.map(|t| (t.id.as_str(), t.gene.as_str(), t.exons.as_slice())).collect()
}

#[test]
fn gff3_parents_may_come_later_and_be_several() {
    let text = rows(&[
        ("chr1", "exon", 11, 20, "+", "Parent=t1,t2"),
        ("chr1", "exon", 31, 40, "+", "Parent=t1"),
        ("chr1", "mRNA", 11, 40, "+", "ID=t1;Parent=g"),
        ("chr1", "lnc_RNA", 11, 20, "+", "ID=t2;Parent=g"),
        ("chr1", "gene", 11, 40, "+", "ID=g;Name=SAM"),
        ("chr1", "region", 0, 1000, ".", "ID=chr1"),
    ]);
    let annotation = read(&(text + "##FASTA\n>chr1\nACGT\n"), None).unwrap();
    let expected: [Model<'_>; 2] =
        [("t1", "SAM", &[(10, 20), (30, 40)]), ("t2", "SAM", &[(10, 20)])];
    assert_eq!(exons(&annotation), expected);
    let transcript = &annotation.transcripts[0];
    assert_eq!((transcript.span().start, transcript.span().end), (10, 40));
    let introns: Vec<_> = transcript.introns().map(|i| (i.start, i.end)).collect();
    assert_eq!(introns, [(20, 30)]);
}

#[test]
fn gtf_transcripts_are_built_from_exons_alone() {
    let text = rows(&[
        ("1", "gene", 11, 40, "-", "gene_id \"G1\"; transcript_id \"\";"),
        ("1", "exon", 31, 40, "-", "gene_id \"G1\"; transcript_id \"T1\"; gene_name \"N\";"),
        ("1", "exon", 11, 20, "-", "gene_id \"G1\"; transcript_id \"T1\"; gene_name \"N\";"),
        ("2", "exon", 1, 5, "-", "gene_id \"G2\"; transcript_id \"T1\";"),
        ("1", "stop_codon", 8, 10, "-", "gene_id \"G1\"; transcript_id \"T1\";"),
    ]);
    let annotation = read(&text, None).unwrap();
    let expected: [Model<'_>; 2] = [("T1", "N", &[(10, 20), (30, 40)]), ("T1", "G2", &[(0, 5)])];
    assert_eq!(exons(&annotation), expected);
    assert_eq!(annotation.transcripts[0].strand, Strand::Minus);
}

#[test]
fn types_choose_what_is_a_transcript() {
    let text = rows(&[
        ("chr1", "mRNA", 1, 40, "+", "ID=t1"),
        ("chr1", "tRNA", 51, 60, "+", "ID=t2"),
        ("chr1", "exon", 51, 60, "+", "Parent=t2"),
    ]);
    let ids = |types: Option<&[String]>| {
        let annotation = read(&text, types).unwrap();
        annotation.transcripts.into_iter().map(|t| t.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None), ["t1", "t2"]);
    assert_eq!(ids(Some(&["tRNA".into()])), ["t2"]);
    let error = read(&text, Some(&["ncRNA".into()])).unwrap_err().to_string();
    assert!(
        error.contains("no transcript in the file (found mRNA, tRNA, expected ncRNA)"),
        "{error}"
    );
}

#[test]
fn transcripts_that_cannot_be_placed_are_counted() {
    let text = rows(&[
        ("chr1", "mRNA", 1, 40, "+", "ID=good"),
        ("chrUn", "mRNA", 1, 40, "+", "ID=elsewhere"),
        ("chr1", "mRNA", 1, 40, ".", "ID=unstranded"),
        ("chr1", "mRNA", 1, 40, "+", "ID=split"),
        ("chr2", "exon", 1, 40, "+", "Parent=split"),
    ]);
    let annotation = read(&text, None).unwrap();
    assert_eq!(annotation.transcripts.len(), 1);
    let skipped: Vec<_> = annotation.skipped.into_iter().collect();
    assert_eq!(skipped, [("NO_STRAND", 1), ("SEVERAL_PLACES", 1), ("UNKNOWN_CONTIG", 1)]);
}

#[test]
fn bad_rows_are_refused_with_their_line() {
    let mrna = ("chr1", "mRNA", 1, 40, "+", "ID=t");
    for (bad, message) in [
        (("chr1", "exon", 0, 5, "+", "Parent=t"), "x.gff:2: a row of type exon without valid"),
        (("chr1", "exon", 9, 5, "+", "Parent=t"), "x.gff:2: a row of type exon without valid"),
        (("chr1", "exon", 1, 5, "+", "Parent=u"), "x.gff:2: no feature has the ID `u`"),
        (
            ("chr1", "exon", 1, 1001, "+", "Parent=t"),
            "transcript `t` ends past its contig (found \
          end 1001, expected at most 1000, the length of contig `chr1`)",
        ),
        (("chr1", "mRNA", 0, 5, "+", "ID=u"), "x.gff:2: transcript `u` has no valid coordinates"),
        (("chr1", "exon", 1, 5, "x", "Parent=t"), "x.gff:2: malformed GFF3 line"),
    ] {
        let error = read(&rows(&[mrna, bad]), None).unwrap_err().to_string();
        assert!(error.contains(message), "{error}\n  should have {message}");
    }
    let error = read(&rows(&[("NC_1", "mRNA", 1, 40, "+", "ID=t")]), None).unwrap_err().to_string();
    assert!(error.contains("found NC_1, expected chr1, chr2"), "{error}");
    let error = read("##gff-version 3\n", None).unwrap_err().to_string();
    assert!(error.contains("no transcript in the file (found no feature"), "{error}");
    let no_id = rows(&[("chr1", "exon", 1, 5, "+", "gene_id \"G\";")]);
    let error = read(&no_id, None).unwrap_err().to_string();
    assert!(error.contains("x.gff:1: a row of type exon without a transcript_id"), "{error}");
}

fn test_data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("test-data").join(name)
}

/// A file of the shared data, or `None` with the reason printed.
fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ATROUS_SHARED").map_or("../shared".into(), PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there (set ATROUS_SHARED)", path.display());
        return None;
    }
    Some(path)
}

/// Distinct introns with their first and last two bases on the strand of the transcript.
fn introns(
    fasta: &Path,
    gff: &Path,
    types: Option<&[String]>,
) -> Vec<(Interval, Strand, String, String)> {
    let mut reference = Reference::open(fasta).unwrap();
    let resolver = Resolver::new(reference.contigs(), None).unwrap();
    let annotation = read_transcripts(gff, &resolver, types).unwrap();
    let all = annotation.transcripts.iter().flat_map(|t| t.introns().map(|i| (i, t.strand)));
    let mut ends = |intron: Interval, strand: Strand| {
        let [start, end] = [intron.start, intron.end].map(|at| i64::try_from(at).unwrap());
        let mut bases = reference.fetch(intron.contig, start, end).unwrap();
        if strand == Strand::Minus {
            crate::genome::sequence::reverse_complement(&mut bases);
        }
        let bases = String::from_utf8(bases).unwrap().to_uppercase();
        (bases[..2].to_owned(), bases[bases.len() - 2..].to_owned())
    };
    let distinct: BTreeSet<_> = all.collect();
    let with_ends = distinct.into_iter().map(|(intron, strand)| {
        let (first, last) = ends(intron, strand);
        (intron, strand, first, last)
    });
    with_ends.collect()
}

#[test]
fn the_human_windows_have_109_donors_and_108_acceptors() {
    // Counted from the file with an independent script; the types are those of coding transcripts.
    let introns = introns(
        &test_data("human.windows.fa.gz"),
        &test_data("human.windows.gff3.gz"),
        Some(&["transcript".into(), "mRNA".into()]),
    );
    let (mut donors, mut acceptors) = (BTreeSet::new(), BTreeSet::new());
    for (intron, strand, first, last) in introns {
        let (donor, acceptor) = match strand {
            Strand::Plus => (intron.start - 1, intron.end),
            Strand::Minus => (intron.end, intron.start - 1),
        };
        donors.insert((intron.contig, donor, strand, first));
        acceptors.insert((intron.contig, acceptor, strand, last));
    }
    assert_eq!((donors.len(), acceptors.len()), (109, 108));
    assert_eq!(donors.iter().filter(|donor| donor.3 == "GT").count(), 108);
    assert_eq!(acceptors.iter().filter(|acceptor| acceptor.3 == "AG").count(), 108);
}

#[test]
fn introns_are_derived_where_a_file_has_no_exon_rows() {
    // PomBase has CDS, UTR and intron rows but no exon rows (formats.md 6). An independent script
    // counts 5,350 distinct gaps of at least 4 bp on the contigs of the FASTA (5,381 gaps of any
    // length on all contigs); 5,288 of them are GT-AG, as formats.md says.
    let (Some(fasta), Some(gff)) =
        (shared("data/pombe/genome.fa.gz"), shared("data/pombe/annotation.gff3.gz"))
    else {
        return;
    };
    let introns = introns(&fasta, &gff, None);
    let canonical = introns.iter().filter(|(_, _, first, last)| first == "GT" && last == "AG");
    assert_eq!((introns.len(), canonical.count()), (5350, 5288));
}
