//! Vectors in a NumPy file, as `numpy.save` writes them.
//!
//! The values of such a file stand in it as Milvus takes them: little-endian, one vector after the other. So they are not
//! converted and not copied.

use std::fmt;

use bytes::Bytes;

/// The element type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// `<f2`
    F16,
    /// `<f4`
    F32,
}

/// A matrix: a vector in each row.
#[derive(Clone, Debug)]
pub(crate) struct Npy {
    /// What a number is.
    pub(crate) element: Element,
    /// How many vectors.
    pub(crate) rows: usize,
    /// Numbers in a vector.
    pub(crate) dimension: usize,
    /// All numbers, one vector after the other.
    pub(crate) values: Bytes,
}

/// Why a file cannot be loaded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotVectors(String);

impl fmt::Display for NotVectors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not a NumPy file of vectors: {}", self.0)
    }
}

impl std::error::Error for NotVectors {}

impl Npy {
    /// Reads the head of a file; the values are a part of it.
    pub(crate) fn parse(file: Bytes) -> Result<Self, NotVectors> {
        let refuse = |why: &str| NotVectors(why.to_owned());
        if !file.starts_with(b"\x93NUMPY") {
            return Err(refuse("it does not begin with \\x93NUMPY"));
        }
        // Version 1 has a length of two bytes, later ones of four.
        let (begin, length) = match (file.get(6), file.get(8..12)) {
            (Some(1), Some(length)) => {
                (10, usize::from(u16::from_le_bytes([length[0], length[1]])))
            }
            (Some(2 | 3), Some(&[a, b, c, d])) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
            _ => return Err(refuse("its version is unknown")),
        };
        let end = begin + length;
        let head = file
            .get(begin..end)
            .and_then(|head| std::str::from_utf8(head).ok());
        let head = head.ok_or_else(|| refuse("its head is cut off"))?;
        let after = |key: &str| head.split_once(key).map(|(_, rest)| rest.trim_start());
        let element = match after("'descr':") {
            Some(text) if text.starts_with("'<f2'") => Element::F16,
            Some(text) if text.starts_with("'<f4'") => Element::F32,
            _ => return Err(refuse("its numbers are neither <f2 nor <f4")),
        };
        if after("'fortran_order':").is_none_or(|text| !text.starts_with("False")) {
            return Err(refuse(
                "its columns stand together, not its rows (fortran_order)",
            ));
        }
        let shape = after("'shape':").and_then(|text| text.strip_prefix('(')?.split_once(')'));
        let shape: Vec<usize> = shape
            .map(|(shape, _)| {
                shape
                    .split(',')
                    .filter_map(|part| part.trim().parse().ok())
                    .collect()
            })
            .unwrap_or_default();
        let [rows, dimension] = shape[..] else {
            return Err(refuse("it is no matrix"));
        };
        let width = if element == Element::F16 { 2 } else { 4 };
        let bytes = rows
            .checked_mul(dimension)
            .and_then(|count| count.checked_mul(width));
        if bytes.is_none_or(|bytes| end + bytes != file.len()) {
            return Err(refuse("its length is not what its head says"));
        }
        Ok(Self {
            element,
            rows,
            dimension,
            values: file.slice(end..),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Element, Npy};

    fn file(head: &str, values: usize) -> bytes::Bytes {
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend_from_slice(&u16::try_from(head.len()).unwrap().to_le_bytes());
        file.extend_from_slice(head.as_bytes());
        file.resize(file.len() + values, 0);
        file.into()
    }

    #[test]
    fn a_matrix_is_read_and_all_else_is_refused() {
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
        let npy = Npy::parse(file(good, 24)).unwrap();
        assert_eq!((npy.element, npy.rows, npy.dimension), (Element::F32, 2, 3));
        assert_eq!(npy.values.len(), 24);
        for (head, values, why) in [
            (good, 23, "length"),
            (
                "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }",
                48,
                "neither",
            ),
            (
                "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }",
                24,
                "fortran_order",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }",
                24,
                "no matrix",
            ),
        ] {
            let error = Npy::parse(file(head, values)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(Npy::parse(bytes::Bytes::from_static(b"PK")).is_err());
    }
}
