//! Hashes that sketches take: 64 bits, the same on every machine and in every version, without a seed.
//!
//! A sketch that is stored with a dataset version is merged with one that is made later, so these functions never change.
//! They resist no attacker: who chooses values can make a sketch slow or its estimate wrong, never unsound in memory.

/// A bijection of 64 bits in which each bit of the answer depends on all of the input (the finaliser of SplitMix64).
///
/// As a bijection it adds no collisions: equal hashes of numbers mean equal numbers.
/// Source: Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, 2014.
#[inline]
pub const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// Bits of a number as a value: -0.0 is 0.0, and there is one NaN.
#[inline]
pub fn canonical_bits(value: f64) -> u64 {
    // Adding 0.0 turns -0.0 into 0.0 and changes nothing else.
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

/// Hash of a number.
#[inline]
pub fn of_number(value: f64) -> u64 {
    mix(canonical_bits(value))
}

/// Hash of an integer. It is not the hash of the same number as a float: a column has one type.
#[inline]
pub const fn of_integer(value: i64) -> u64 {
    mix(value.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_numbers_have_one_hash() {
        assert_eq!(of_number(-0.0), of_number(0.0));
        assert_eq!(of_number(f64::NAN), of_number(-f64::from_bits(0x7FF8_0000_0000_0001)));
        assert_ne!(of_number(f64::INFINITY), of_number(f64::NEG_INFINITY));
        assert_ne!(of_number(f64::MIN_POSITIVE), of_number(0.0));
    }

    #[test]
    fn the_function_never_changes() {
        // First output of SplitMix64 with seed 0, from its reference implementation.
        assert_eq!(mix(0x9E37_79B9_7F4A_7C15), 0xE220_A839_7B1D_CDAF);
    }

    proptest! {
        #[test]
        fn different_integers_have_different_hashes(a: i64, b: i64) {
            prop_assert_eq!(a == b, of_integer(a) == of_integer(b));
        }
    }
}
