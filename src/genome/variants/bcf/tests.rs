use super::super::Header;
use super::*;
use proptest::prelude::*;

fn header(lines: &[&str]) -> Header {
    let lines = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
    Header { lines, ..Header::default() }
}

fn dictionary() -> Dictionary {
    let columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb";
    Dictionary::new(&header(&[
        "##fileformat=VCFv4.2",
        "##contig=<ID=1,length=1000>",
        "##contig=<ID=HLA:A>",
        "##FILTER=<ID=q10,Description=\"x\">",
        "##FILTER=<ID=s50,Description=\"x\">",
        "##INFO=<ID=END,Number=1,Type=Integer>",
        "##INFO=<ID=I,Number=.,Type=Integer>",
        "##INFO=<ID=F,Number=.,Type=Float>",
        "##INFO=<ID=S,Number=.,Type=String>",
        "##INFO=<ID=DB,Number=0,Type=Flag>",
        "##FORMAT=<ID=GT,Number=1,Type=String>",
        "##FORMAT=<ID=I,Number=.,Type=Integer>",
        "##FORMAT=<ID=F,Number=.,Type=Float>",
        "##FORMAT=<ID=S,Number=1,Type=String>",
        columns,
    ]))
    .unwrap()
}

/// The two parts of a record.
fn parts(record: &[u8]) -> (&[u8], &[u8]) {
    let size = |at: usize| {
        usize::try_from(u32::from_le_bytes(record[at..at + 4].try_into().unwrap())).unwrap()
    };
    let (shared, individual) = record[8..].split_at(size(0));
    assert_eq!(individual.len(), size(4));
    (shared, individual)
}

fn there_and_back(line: &str) -> String {
    let names = dictionary();
    let record = encode(line.as_bytes(), (4, 5), &names).unwrap();
    let (shared, individual) = parts(&record);
    String::from_utf8(decode(shared, individual, &names).unwrap()).unwrap()
}

#[test]
fn lines_come_back_as_they_were() {
    let long = format!(
        "1\t5\t{}\tA\t{}\t.\t.\tS={}",
        "i".repeat(15),
        "C".repeat(300),
        "x,".repeat(40_000)
    );
    for line in [
        "1\t5\t.\tA\t.\t.\t.\t.\t.\t.\t.",
        "HLA:A\t0\trs1;rs2\tac\tC,<DEL>,*\t29.5\tPASS\tDB\tGT\t0/1\t1|.",
        "1\t2147483647\tx\tA\tC\t0\tq10;s50\tI=1,.,-120,127\tGT:I:S\t./.:1,2,3:abc\t2:.:.",
        "1\t5\t.\tA\tC\t1e-7\ts50\tI=-121;F=0.1,.,1e30,-0.25;S=a%3Bb%2C|c\tF:S\t.:x\t1.5,2:.",
        "1\t5\t.\tA\tC\t.\t.\tI=32768,-32761;I=300;END=70000\tI\t40000\t-1",
        "1\t5\t.\tA\tC\t.\t.\tI=.;S=.\tGT\t0|1|2\t.",
        &format!("{long}\tGT\t0\t1"),
    ] {
        assert_eq!(there_and_back(line), line);
    }
}

/// Made by hand after the example of the specification (VCF 4.3, 6.5): 1:101 with three alleles.
#[test]
fn the_bytes_of_a_record_are_those_of_the_specification() {
    let names = Dictionary::new(&header(&[
        "##contig=<ID=1>",
        "##FILTER=<ID=PASS,Description=\"x\">",
        "##INFO=<ID=AC,Number=A,Type=Integer>",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]))
    .unwrap();
    let line = b"1\t101\trs123\tA\tC,T\t30.1\tPASS\tAC=3,300";
    let record = encode(line, (100, 101), &names).unwrap();
    let expected: Vec<u8> = [
        &[49, 0, 0, 0, 0, 0, 0, 0][..],
        &[0, 0, 0, 0, 100, 0, 0, 0, 1, 0, 0, 0, 0xcd, 0xcc, 0xf0, 0x41, 1, 0, 3, 0, 0, 0, 0, 0],
        &[0x57, b'r', b's', b'1', b'2', b'3', 0x17, b'A', 0x17, b'C', 0x17, b'T'],
        &[0x11, 0, 0x11, 1, 0x22, 3, 0, 0x2c, 1],
    ]
    .concat();
    let mut expected = expected;
    expected[0] = u8::try_from(expected.len() - 8).unwrap();
    assert_eq!(record, expected);
    assert_eq!(decode(parts(&record).0, &[], &names).unwrap(), line);
}

#[test]
fn what_the_header_does_not_allow_is_refused() {
    let names = dictionary();
    for (line, message) in [
        ("2\t5\t.\tA\tC\t.\t.\t.\tGT\t0\t1", "contig `2` is not in the header"),
        ("1\t5\t.\tA\tC\t.\tlow\t.\tGT\t0\t1", "FILTER `low` is not declared"),
        ("1\t5\t.\tA\tC\t.\t.\tX=1\tGT\t0\t1", "INFO `X` is not declared"),
        ("1\t5\t.\tA\tC\t.\t.\tI=1.5\tGT\t0\t1", "I is not of the type that the header declares"),
        ("1\t5\t.\tA\tC\t.\t.\tDB=1\tGT\t0\t1", "`DB` is declared to be a flag"),
        ("1\t5\t.\tA\tC\thigh\t.\t.\tGT\t0\t1", "QUAL is not of the type"),
        ("1\t5\t.\tA\tC\t.\t.\t.\tDP\t0\t1", "FORMAT `DP` is not declared"),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT\t0", "another number of samples"),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT\t0/x\t1", "GT is not of the type"),
        ("1\t3000000000\t.\tA\tC\t.\t.\t.\tGT\t0\t1", "POS does not fit BCF"),
    ] {
        let error = encode(line.as_bytes(), (4, 5), &names).unwrap_err().to_string();
        assert!(error.contains(message), "{error}\n  should have {message}");
    }
    assert!(encode(b"1\t5\t.\tA\tC\t.\t.\tS=\xe9\tGT\t0\t1", (4, 5), &names).is_err());
}

#[test]
fn numbers_of_the_header_may_be_given() {
    let names = Dictionary::new(&header(&[
        "##contig=<ID=b,IDX=1>",
        "##contig=<ID=a,IDX=0>",
        "##INFO=<ID=X,Number=1,Type=String,IDX=7>",
        "#CHROM",
    ]))
    .unwrap();
    assert_eq!(names.contig_names(), ["a", "b"]);
    let record = encode(b"b\t1\t.\tA\tC\t.\tPASS\tX=1", (0, 1), &names).unwrap();
    assert_eq!(decode(parts(&record).0, &[], &names).unwrap(), b"b\t1\t.\tA\tC\t.\tPASS\tX=1");
    let hostile = header(&["##contig=<ID=b,IDX=99999999999>", "#CHROM"]);
    assert!(Dictionary::new(&hostile).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(
        shared in prop::collection::vec(any::<u8>(), 0..80),
        individual in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let _ = decode(&shared, &individual, &dictionary());
    }

    #[test]
    fn no_damage_to_a_record_makes_the_decoder_panic(
        place in 0usize..200, byte in any::<u8>(), cut in 0usize..200,
    ) {
        let names = dictionary();
        let line = b"1\t5\trs1\tA\tC,G\t30\tq10\tI=1,2;F=0.5;S=abc;DB\tGT:I:F:S\t0/1:1:2:x\t1|1:.:.:.";
        let mut record = encode(line, (4, 5), &names).unwrap();
        if let Some(there) = record.get_mut(8 + place) {
            *there = byte;
        }
        let size = usize::try_from(u32::from_le_bytes(record[..4].try_into().unwrap())).unwrap();
        let (shared, individual) = record[8..].split_at(size);
        let _ = decode(&shared[..shared.len().min(cut)], individual, &names);
        let _ = decode(shared, &individual[..individual.len().min(cut)], &names);
        let _ = decode(shared, individual, &names);
    }
}
