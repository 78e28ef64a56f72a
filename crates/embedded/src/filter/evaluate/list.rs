//! Whether lists hold values.

use super::super::constant::Constant;
use super::super::plan::ContainsMode;
use super::cell::{Cell, node_equals};
use crate::column::json::Node;

/// Whether an array field, or a JSON array, holds all or any of the values. What is no array holds nothing; all of no values
/// are held by every array, any of none by no array.
pub(super) fn contains(cell: &Cell<'_>, mode: ContainsMode, values: &[Constant]) -> bool {
    let holds = |value: &Constant| match cell {
        Cell::List(elements, start, end) => {
            (*start..*end).any(|element| Cell::of(elements, element).equals(value))
        }
        Cell::Json(Some(node @ Node::Array(_))) => {
            node.elements().any(|element| node_equals(element, value))
        }
        _ => false,
    };
    let is_list = matches!(cell, Cell::List(..) | Cell::Json(Some(Node::Array(_))));
    is_list
        && match mode {
            ContainsMode::All => values.iter().all(holds),
            ContainsMode::Any => values.iter().any(holds),
        }
}
