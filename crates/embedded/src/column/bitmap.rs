//! A set of rows as a dense bitmap. Filters produce it, deletes and visibility are kept in it, scans walk it.
//!
//! The invariant is that bits at and beyond `len` are zero, so that counts and word-wise operations need no special last word.

/// A set of row numbers below `len`, one bit a row, in `u64` words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bitmap {
    words: Vec<u64>,
    len: usize,
}

impl Bitmap {
    /// The empty set of `len` possible rows.
    pub fn new(len: usize) -> Self {
        Self {
            words: vec![0; len.div_ceil(64)],
            len,
        }
    }

    /// The full set of `len` rows.
    pub fn full(len: usize) -> Self {
        let mut all = Self {
            words: vec![u64::MAX; len.div_ceil(64)],
            len,
        };
        all.clear_tail();
        all
    }

    /// Takes words as they are; missing words are zero, bits beyond `len` are cleared.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        words.resize(len.div_ceil(64), 0);
        let mut bitmap = Self { words, len };
        bitmap.clear_tail();
        bitmap
    }

    /// The rows for which `predicate` holds.
    pub fn from_fn(len: usize, mut predicate: impl FnMut(usize) -> bool) -> Self {
        let words = (0..len.div_ceil(64))
            .map(|word| {
                let start = word * 64;
                let bits = (len - start).min(64);
                (0..bits).fold(0u64, |acc, bit| {
                    acc | (u64::from(predicate(start + bit)) << bit)
                })
            })
            .collect();
        Self { words, len }
    }

    fn clear_tail(&mut self) {
        let used = self.len % 64;
        if used != 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1u64 << used) - 1;
        }
    }

    /// Number of possible rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no possible rows (not: no row in the set, see [`Bitmap::none`]).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The words, lowest rows first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Whether `row` is in the set; false beyond `len`.
    pub fn get(&self, row: usize) -> bool {
        self.words
            .get(row / 64)
            .is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Adds or removes `row`; does nothing beyond `len`.
    pub fn set(&mut self, row: usize, value: bool) {
        if row < self.len
            && let Some(word) = self.words.get_mut(row / 64)
        {
            let bit = 1u64 << (row % 64);
            if value { *word |= bit } else { *word &= !bit }
        }
    }

    /// Makes the set larger by `more` possible rows, each in the set when `value`.
    pub fn extend(&mut self, more: usize, value: bool) {
        let start = self.len;
        self.len += more;
        self.words
            .resize(self.len.div_ceil(64), if value { u64::MAX } else { 0 });
        if value && !start.is_multiple_of(64) {
            self.words[start / 64] |= u64::MAX << (start % 64);
        }
        self.clear_tail();
    }

    /// How many rows are in the set.
    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether no row is in the set.
    pub fn none(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether every row is in the set.
    pub fn all(&self) -> bool {
        self.count() == self.len
    }

    /// Keeps the rows that are in `other` too. Rows that `other` doesn't know are removed.
    pub fn intersect(&mut self, other: &Bitmap) {
        let known = other.words.iter().copied().chain(std::iter::repeat(0));
        self.words
            .iter_mut()
            .zip(known)
            .for_each(|(word, with)| *word &= with);
    }

    /// Adds the rows of `other` below this one's `len`.
    pub fn union(&mut self, other: &Bitmap) {
        self.words
            .iter_mut()
            .zip(&other.words)
            .for_each(|(word, with)| *word |= with);
        self.clear_tail();
    }

    /// Removes the rows of `other`.
    pub fn subtract(&mut self, other: &Bitmap) {
        self.words
            .iter_mut()
            .zip(&other.words)
            .for_each(|(word, with)| *word &= !with);
    }

    /// Replaces the set by its complement.
    pub fn invert(&mut self) {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.clear_tail();
    }

    /// The rows in the set, ascending.
    pub fn ones(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_like_a_vector_of_bools(a in prop::collection::vec(any::<bool>(), 0..200), flip in any::<bool>(), more in 0usize..130) {
            let mut bitmap = Bitmap::from_fn(a.len(), |row| a[row]);
            prop_assert_eq!(bitmap.count(), a.iter().filter(|bit| **bit).count());
            prop_assert_eq!(bitmap.ones().collect::<Vec<_>>(), (0..a.len()).filter(|row| a[*row]).collect::<Vec<_>>());
            let mut longer = a.clone();
            longer.resize(a.len() + more, flip);
            bitmap.extend(more, flip);
            prop_assert_eq!(&bitmap, &Bitmap::from_fn(longer.len(), |row| longer[row]));
            bitmap.invert();
            prop_assert_eq!(&bitmap, &Bitmap::from_fn(longer.len(), |row| !longer[row]));
        }

        #[test]
        fn set_algebra_holds_for_unequal_lengths(a in prop::collection::vec(any::<bool>(), 0..150), b in prop::collection::vec(any::<bool>(), 0..150)) {
            let (left, right) = (Bitmap::from_fn(a.len(), |row| a[row]), Bitmap::from_fn(b.len(), |row| b[row]));
            let other = |row: usize| b.get(row).copied().unwrap_or(false);
            let check = |change: fn(&mut Bitmap, &Bitmap), expect: &dyn Fn(usize) -> bool| {
                let mut result = left.clone();
                change(&mut result, &right);
                result == Bitmap::from_fn(a.len(), expect)
            };
            prop_assert!(check(Bitmap::intersect, &|row| a[row] && other(row)));
            prop_assert!(check(Bitmap::union, &|row| a[row] || other(row)));
            prop_assert!(check(Bitmap::subtract, &|row| a[row] && !other(row)));
        }
    }
}
