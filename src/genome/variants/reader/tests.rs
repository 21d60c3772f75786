use super::*;
use crate::genome::{ContigId, Contigs};
use flate2::{Compression, write::GzEncoder};
use std::io::{Cursor, Write};

fn resolver() -> Resolver {
    let contigs = Contigs::new(vec![("chr1".into(), 1000), ("chr2".into(), 500)]);
    Resolver::new(&contigs, None).unwrap()
}

fn open(bytes: &[u8], on_bad: OnBadRecord) -> Result<VariantReader> {
    let lines = Lines::from_reader(Cursor::new(bytes.to_vec()), Path::new("x.vcf"))?;
    let reader = VariantReader::from_lines(lines, &resolver(), on_bad)?;
    reader.header.check_lengths(&reader.path, &reader.names)?;
    Ok(reader)
}

fn all(reader: &mut VariantReader) -> Result<Vec<Record>> {
    std::iter::from_fn(|| reader.next_record().transpose()).collect()
}

fn read(bytes: &[u8]) -> Result<Vec<Record>> {
    all(&mut open(bytes, OnBadRecord::Error)?)
}

const HEADER: &str = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n";

#[test]
fn records_keep_every_byte_of_their_line() {
    let lines: [&[u8]; 3] = [
        b"1\t5\trs1\tA\tC,G\t.\tPASS\tX=\xe9;Y\tGT\t0/1",
        b"chr2\t7\t.\tac\t.\t1e3\t.\t.\tGT\t./.",
        b"3\t7\t.\tA\t<DEL>\t.\t.\t.\tGT\t.",
    ];
    let header = "##source=\u{fffd}\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS\n";
    for end in ["\n", "\r\n"] {
        let mut text = header.replace('\n', end).into_bytes();
        for line in lines {
            text.extend([line, end.as_bytes()].concat());
        }
        let mut reader = open(&text, OnBadRecord::Error).unwrap();
        assert_eq!((reader.header().lines.len(), reader.header().crlf), (2, end.len() == 2));
        assert_eq!(reader.origin(), Origin::Vcf);
        let records = all(&mut reader).unwrap();
        assert!(records.iter().map(|r| r.text.as_slice()).eq(lines));
        assert!(records.iter().all(|r| r.crlf == (end.len() == 2)));
        let contigs: Vec<_> = records.iter().map(|r| r.variant.contig).collect();
        assert_eq!(contigs, [Some(ContigId(0)), Some(ContigId(1)), None]);
        let places: Vec<_> = records.iter().map(|r| (r.variant.line, r.variant.pos)).collect();
        assert_eq!(places, [(3, 5), (4, 7), (5, 7)]);
    }
}

#[test]
fn tables_are_told_by_their_columns_and_keep_them() {
    for text in [
        "gene,#Chrom,POS,Ref,ALT\n\"a,b\",1,5,A,\"C,G\"\n# note\n\nx,chr1, 6 ,T,\n",
        "##note\ngene\tCHROM\tpos\tREF\talt\na,b\t1\t5\tA\tC,G\nx\tchr1\t6\tT\t.\n",
    ] {
        let mut reader = open(text.as_bytes(), OnBadRecord::Error).unwrap();
        assert_eq!((reader.origin(), reader.alt_column()), (Origin::Table, Some(4)));
        assert_eq!(reader.header().columns[0], "gene");
        let records = all(&mut reader).unwrap();
        assert_eq!((records[0].row[0].as_str(), records[1].row[0].as_str()), ("a,b", "x"));
        assert_eq!(records[0].variant.alternates, ["C", "G"]);
        assert!(records[1].variant.alternates.is_empty());
        assert_eq!(records[1].text, b"chr1\t6\t.\tT\t.\t.\t.\t.");
    }
}

#[test]
fn variants_may_be_named_one_by_one() {
    let texts = ["chr1:69,511:A:G,T", "HLA:A:5:A:<DEL>"].map(str::to_owned);
    let mut reader = VariantReader::of_list(&texts, &resolver()).unwrap();
    let records = all(&mut reader).unwrap();
    assert_eq!((records[0].variant.pos, records[0].variant.contig), (69_511, Some(ContigId(0))));
    assert_eq!(records[0].text, b"chr1\t69511\t.\tA\tG,T\t.\t.\t.");
    assert_eq!((records[1].variant.chrom.as_str(), records[1].variant.line), ("HLA:A", 2));
    for bad in ["chr1:5:A", "chr1:5:A:", ":5:A:C", "chr1:x:A:C", "chr1:5:A:C,,G", ""] {
        let error = VariantReader::of_list(&[bad.to_owned()], &resolver()).err().unwrap();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains("such as chr1:69511:A:G"), "{error}");
    }
}

#[test]
fn what_is_no_variant_file_is_refused_with_the_remedy() {
    for (text, message) in [
        ("", "x.vcf: no variant file: it ends before its columns are named (found an empty file)"),
        ("##fileformat=VCFv4.2\n", "(found 1 header lines)"),
        ("1\t5\t.\tA\tC\t.\t.\t.\n", "x.vcf:1: no header: neither VCF nor a table of variants"),
        ("##x\n1\t5\t.\tA\tC\t.\t.\t.\n", "x.vcf:2: no header"),
        ("#CHROM POS ID REF ALT QUAL FILTER INFO\n", "x.vcf:1: the columns of this VCF file are"),
        ("chrom,pos,ref\n1,5,A\n", "x.vcf:1: no header"),
        (
            "##contig=<ID=1,length=999>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n",
            "999 bases",
        ),
    ] {
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}\n  should have {message}");
    }
    assert!(read(HEADER.as_bytes()).unwrap().is_empty());
}

#[test]
fn a_bad_record_stops_with_its_line_or_is_left_out_and_listed() {
    let text = format!("{HEADER}1\t5\t.\tA\tC\t.\t.\t.\n1 6 . A C . . .\n1\tx\t.\tA\tC\t.\t.\t.\n");
    let error = read(text.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("x.vcf:4: too few columns in a VCF record"), "{error}");
    let mut reader = open(text.as_bytes(), OnBadRecord::Skip).unwrap();
    assert_eq!(all(&mut reader).unwrap().len(), 1);
    let bad = reader.take_bad();
    assert_eq!(bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(bad[1].text, "1 x . A C . . .");
    assert!(bad[1].why.starts_with("POS is not a position"), "{}", bad[1].why);
    assert!(reader.take_bad().is_empty());
    let table = "chrom\tpos\tref\talt\n1\t5\tA\n";
    let error = read(table.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("x.vcf:2: a row that does not fit the header"), "{error}");
}

#[test]
fn a_truncated_file_is_an_error_even_where_bad_records_are_left_out() {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(HEADER.as_bytes()).unwrap();
    for pos in 1..2000 {
        writeln!(writer, "1\t{pos}\t.\tA\tC\t.\t.\tX={}", pos * 7919 % 1009).unwrap();
    }
    let mut bytes = writer.finish().unwrap();
    bytes.truncate(bytes.len() / 2);
    let mut reader = open(&bytes, OnBadRecord::Skip).unwrap();
    let error = all(&mut reader).unwrap_err().to_string();
    assert!(error.contains("truncated or corrupt gzip file"), "{error}");
    let line: u64 = error.split(':').nth(1).unwrap().parse().unwrap();
    assert!(line > 3, "{error}");
}
