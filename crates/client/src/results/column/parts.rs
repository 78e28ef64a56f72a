//! Putting columns of one field behind each other, and cutting them.
//!
//! Invariant: a column that was cut or put together is one that could have come in one answer.

use std::sync::OnceLock;

use bytes::Bytes;

use super::{Packed, ResultColumn, ResultValues};

impl ResultColumn {
    /// Puts the rows of other answers behind these; packed values are copied once, however many answers there are.
    /// `false` when they are not of one kind.
    pub(in crate::results) fn append(&mut self, parts: Vec<Self>) -> bool {
        use ResultValues as V;
        let mut packed: Vec<Bytes> = Vec::new();
        for part in parts {
            if self.packed_vectors().is_some_and(Bytes::is_empty)
                && packed.iter().all(Bytes::is_empty)
            {
                // No vector yet that has a dimension.
                self.dimension = part.dimension;
            } else if part
                .packed_vectors()
                .is_some_and(|vectors| !vectors.is_empty())
                && part.dimension != self.dimension
            {
                return false;
            }
            match (&mut self.values, part.values) {
                (V::Bool(all), V::Bool(more)) => all.extend(more),
                (V::Int(all), V::Int(more)) => all.extend(more),
                (V::Long(all), V::Long(more)) => all.extend(more),
                (V::Float(_), V::Float(more)) | (V::FloatVector(_), V::FloatVector(more)) => {
                    packed.push(more.bytes().clone());
                }
                (V::Double(_), V::Double(more)) => packed.push(more.bytes().clone()),
                (V::PackedVector(_), V::PackedVector(more)) => packed.push(more),
                (V::Text(all), V::Text(more))
                | (V::Json(all), V::Json(more))
                | (V::Sparse(all), V::Sparse(more)) => all.extend(more),
                (V::Array(all), V::Array(more)) => all.extend(more),
                (V::VectorLists(all, element), V::VectorLists(more, other)) => {
                    if all.is_empty() {
                        (*element, self.dimension) = (other, part.dimension);
                    } else if !more.is_empty()
                        && (*element, self.dimension) != (other, part.dimension)
                    {
                        return false;
                    }
                    all.extend(more);
                }
                (V::Structs(all), V::Structs(more)) if all.len() == more.len() => {
                    let mut members = all.iter_mut().zip(more);
                    let is_same = |all: &Self, more: &Self| all.name == more.name;
                    if !members.all(|(all, more)| is_same(all, &more) && all.append(vec![more])) {
                        return false;
                    }
                }
                _ => return false,
            }
            if !self.valid.is_empty() || !part.valid.is_empty() {
                self.valid.resize(self.rows, true);
                self.valid.extend(part.valid);
                self.valid.resize(self.rows + part.rows, true);
            }
            self.rows += part.rows;
        }
        let join = |first: &Bytes| {
            let all: Vec<&[u8]> = std::iter::once(first)
                .chain(&packed)
                .map(AsRef::as_ref)
                .collect();
            Bytes::from(all.concat())
        };
        match &mut self.values {
            _ if packed.is_empty() => {}
            V::Float(all) | V::FloatVector(all) => *all = Packed::new(join(all.bytes())),
            V::Double(all) => *all = Packed::new(join(all.bytes())),
            V::PackedVector(all) => *all = join(all),
            _ => {}
        }
        self.places = OnceLock::new();
        true
    }

    /// Takes the rows from `row` on out of this column; `None`, and nothing done, for a column that this
    /// crate does not read.
    pub(in crate::results) fn split_off(&mut self, row: usize) -> Option<Self> {
        use ResultValues as V;
        let row = row.min(self.rows);
        let at = if self.valid.is_empty() || self.value_count() == self.rows {
            row
        } else {
            self.valid.iter().take(row).filter(|valid| **valid).count()
        };
        let at = at.min(self.value_count());
        // There are `at` vectors, so that nothing overflows.
        let vectors = at.saturating_mul(self.vector_width().unwrap_or(0));
        let values = match &mut self.values {
            V::Bool(values) => V::Bool(values.split_off(at)),
            V::Int(values) => V::Int(values.split_off(at)),
            V::Long(values) => V::Long(values.split_off(at)),
            V::Float(packed) => V::Float(packed.split_off(at)),
            V::Double(packed) => V::Double(packed.split_off(at)),
            V::Text(slices) => V::Text(slices.split_off(at)),
            V::Json(slices) => V::Json(slices.split_off(at)),
            V::Sparse(slices) => V::Sparse(slices.split_off(at)),
            V::Array(arrays) => V::Array(arrays.split_off(at)),
            V::FloatVector(packed) => V::FloatVector(packed.split_off(vectors / 4)),
            V::PackedVector(packed) => V::PackedVector(packed.split_off(vectors)),
            V::VectorLists(lists, element) => V::VectorLists(lists.split_off(at), *element),
            V::Structs(members) if members.iter().any(|member| member.message().is_some()) => {
                return None;
            }
            V::Structs(members) => {
                let rest = members.iter_mut().map(|member| member.split_off(row));
                V::Structs(rest.collect::<Option<_>>()?)
            }
            V::Other(_) => return None,
        };
        let valid = if self.valid.is_empty() {
            Vec::new()
        } else {
            self.valid.split_off(row)
        };
        let rest = Self {
            name: self.name.clone(),
            data_type: self.data_type,
            dimension: self.dimension,
            is_dynamic: self.is_dynamic,
            values,
            valid,
            rows: self.rows - row,
            places: OnceLock::new(),
        };
        self.rows = row;
        self.places = OnceLock::new();
        Some(rest)
    }
}
