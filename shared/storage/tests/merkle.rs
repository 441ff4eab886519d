//! The Merkle tree against the vectors of RFC 6962 implementations and against the definition itself.

use proptest::prelude::*;
use std::collections::BTreeMap;
use storage::audit::merkle::{
    Frontier, Hash, consistency_ranges, empty_root, inclusion_ranges, leaf_hash, node_hash, range_hash,
    verify_consistency, verify_inclusion,
};

/// `MTH(D[n])`, word for word as RFC 9162 §2.1.1 defines it.
fn defined(leaves: &[Hash]) -> Hash {
    match leaves.len() {
        0 => empty_root(),
        1 => leaves[0],
        count => {
            let middle = count.next_power_of_two() / 2;
            node_hash(&defined(&leaves[..middle]), &defined(&leaves[middle..]))
        }
    }
}

struct Tree {
    leaves: Vec<Hash>,
    stored: BTreeMap<(u32, u64), Hash>,
    roots: Vec<Hash>,
}

fn grow(count: u64) -> Tree {
    let mut tree = Tree { leaves: Vec::new(), stored: BTreeMap::new(), roots: vec![empty_root()] };
    let mut frontier = Frontier::default();
    for number in 0..count {
        let leaf = leaf_hash(&number.to_be_bytes());
        tree.leaves.push(leaf);
        tree.stored.extend(frontier.append(leaf));
        tree.roots.push(frontier.root());
    }
    tree
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    let leaves =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::default();
    assert_eq!(
        hex::encode(frontier.root()),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    for (leaf, root) in leaves.iter().zip(roots) {
        frontier.append(leaf_hash(&hex::decode(leaf).expect("hex")));
        assert_eq!(hex::encode(frontier.root()), root);
    }
}

#[test]
fn every_proof_up_to_sixty_six_leaves_verifies_and_nothing_else_does() {
    let tree = grow(66);
    for size in 0..=66_u64 {
        assert_eq!(tree.roots[size as usize], defined(&tree.leaves[..size as usize]));
        let root = tree.roots[size as usize];
        for index in 0..size {
            let ranges = inclusion_ranges(index, size).expect("in range");
            let proof: Vec<Hash> =
                ranges.iter().map(|r| range_hash(*r, &tree.stored).expect("stored")).collect();
            assert!(verify_inclusion(&tree.leaves[index as usize], index, size, &proof, &root));
            assert!(!verify_inclusion(&tree.leaves[index as usize], index + 1, size, &proof, &root));
            assert!(!verify_inclusion(&leaf_hash(b"other"), index, size, &proof, &root));
        }
        for old in 0..=size {
            let ranges = consistency_ranges(old, size).expect("in range");
            let proof: Vec<Hash> =
                ranges.iter().map(|r| range_hash(*r, &tree.stored).expect("stored")).collect();
            let was = tree.roots[old as usize];
            assert!(verify_consistency(old, size, &was, &root, &proof), "{old} -> {size}");
            if old != 0 {
                assert!(!verify_consistency(old, size, &leaf_hash(b"other"), &root, &proof));
            }
        }
    }
    assert_eq!(inclusion_ranges(3, 3), None);
    assert_eq!(consistency_ranges(4, 3), None);
}

proptest! {
    /// However long the log and whichever bit of a proof is flipped, the proof no longer verifies.
    #[test]
    fn a_flipped_bit_breaks_a_proof(size in 2_u64..300, at in 0_usize..10_000, bit in 0_usize..256) {
        let tree = grow(size);
        let index = at as u64 % size;
        let ranges = inclusion_ranges(index, size).expect("in range");
        let mut proof: Vec<Hash> = ranges.iter().map(|r| range_hash(*r, &tree.stored).expect("stored")).collect();
        let root = tree.roots[size as usize];
        prop_assert!(verify_inclusion(&tree.leaves[index as usize], index, size, &proof, &root));
        let hit = at % proof.len();
        proof[hit][bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verify_inclusion(&tree.leaves[index as usize], index, size, &proof, &root));
    }
}
