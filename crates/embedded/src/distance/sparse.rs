//! Sparse vectors: ascending dimensions and their weights.

/// A list so many times longer than the other is searched instead of walked.
const SEARCH_FROM: usize = 16;

/// Calls `each` with the places, in both lists, of every dimension that both have, in ascending order. The lists must ascend.
pub fn for_each_common(left: &[u32], right: &[u32], mut each: impl FnMut(usize, usize)) {
    if left.len() > right.len().saturating_mul(SEARCH_FROM) {
        search(right, left, |right, left| each(left, right));
    } else if right.len() > left.len().saturating_mul(SEARCH_FROM) {
        search(left, right, each);
    } else {
        walk(left, right, each);
    }
}

fn walk(left: &[u32], right: &[u32], mut each: impl FnMut(usize, usize)) {
    let (mut at_left, mut at_right) = (0, 0);
    while let (Some(dimension), Some(other)) = (left.get(at_left), right.get(at_right)) {
        if dimension == other {
            each(at_left, at_right);
        }
        at_left += usize::from(dimension <= other);
        at_right += usize::from(other <= dimension);
    }
}

fn search(short: &[u32], long: &[u32], mut each: impl FnMut(usize, usize)) {
    let mut at = 0;
    for (index, dimension) in short.iter().enumerate() {
        let Some(rest) = long.get(at..) else { return };
        at += rest.partition_point(|candidate| candidate < dimension);
        if long.get(at) == Some(dimension) {
            each(index, at);
        }
    }
}

/// Inner product of two sparse vectors; `None` when they share no dimension.
pub fn inner_product(left: (&[u32], &[f32]), right: (&[u32], &[f32])) -> Option<f32> {
    let mut sum = None;
    for_each_common(left.0, right.0, |at_left, at_right| {
        if let (Some(a), Some(b)) = (left.1.get(at_left), right.1.get(at_right)) {
            *sum.get_or_insert(0.0) += a * b;
        }
    });
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn vector(most: usize) -> impl Strategy<Value = BTreeMap<u32, f32>> {
        prop::collection::btree_map(0u32..200, (-8i8..8).prop_map(f32::from), 0..most)
    }

    proptest! {
        #[test]
        fn inner_products_equal_those_of_maps(left in vector(60), right in vector(4), swap in any::<bool>()) {
            let (left, right) = if swap { (right, left) } else { (left, right) };
            let lists = |map: &BTreeMap<u32, f32>| (map.keys().copied().collect::<Vec<_>>(), map.values().copied().collect::<Vec<_>>());
            let common: Vec<f32> = left.iter().filter_map(|(dimension, weight)| Some(weight * right.get(dimension)?)).collect();
            let expected = if common.is_empty() { None } else { Some(common.iter().sum()) };
            let (left, right) = (lists(&left), lists(&right));
            prop_assert_eq!(inner_product((&left.0, &left.1), (&right.0, &right.1)), expected);
        }
    }
}
