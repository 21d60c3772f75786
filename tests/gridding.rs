//! The demonstration of docs/dilation.md: a stack of one rate cannot see its motif.

#[path = "../examples/gridding.rs"]
#[allow(dead_code, reason = "the example's main is not run here")]
mod gridding;

use gridding::{DECOY, HYBRID, MIDDLES, MOTIF, SAME_RATE, motif_finder, sequence, track};

#[test]
fn the_decoy_is_the_motif_with_every_second_base_changed() {
    let same: Vec<bool> = MOTIF.iter().zip(DECOY).map(|(a, b)| a == b).collect();
    assert_eq!(same, [false, true, false, true, false, true, false]);
}

#[test]
fn the_same_rate_network_cannot_tell_motif_and_decoy_apart_and_the_hybrid_one_can() {
    // of seven bases rates 2, 2, 2 see the three at even offsets; both words have them in place
    let letters = sequence();
    for (rates, motif, decoy) in [(SAME_RATE, 3.0, 3.0), (HYBRID, 7.0, 3.0)] {
        let scores = track(&motif_finder("finder", rates).unwrap(), &letters).unwrap();
        assert_eq!((scores[MIDDLES.0], scores[MIDDLES.1]), (motif, decoy), "{rates:?}");
    }
}

#[test]
fn each_base_of_the_motif_counts_once_where_it_is_seen() {
    let letters = sequence();
    let finders = [SAME_RATE, HYBRID].map(|rates| motif_finder("finder", rates).unwrap());
    for place in 0..MOTIF.len() {
        let mut changed = letters.clone();
        changed[MIDDLES.0 - 3 + place] = b'N';
        let even = place % 2 == 1;
        for (finder, loss) in finders.iter().zip([if even { 1.0 } else { 0.0 }, 1.0]) {
            let before = track(finder, &letters).unwrap()[MIDDLES.0];
            let after = track(finder, &changed).unwrap()[MIDDLES.0];
            assert_eq!(before - after, loss, "base {place}");
        }
    }
}
