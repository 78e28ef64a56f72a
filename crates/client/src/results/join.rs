//! Putting the parts of a result that took several calls behind each other.
//!
//! Invariant: the joined columns hold the rows of the parts in the order of the parts.

use super::ResultColumn;
use crate::error::{Error, Result};

/// Appends `more` to `all`; both have the same columns, in any order.
pub(super) fn append_columns(all: &mut Vec<ResultColumn>, more: Vec<ResultColumn>) -> Result<()> {
    if all.is_empty() {
        *all = more;
        return Ok(());
    }
    let problem = |name: &str| {
        Error::answer(
            format!("column `{name}`"),
            "two parts of one result do not have the same columns",
        )
    };
    if all.len() != more.len() {
        let name = all.first().map_or("", ResultColumn::name);
        return Err(problem(name));
    }
    for part in more {
        let name = part.name().to_owned();
        let column = all.iter_mut().find(|column| column.name() == name);
        if !column.is_some_and(|column| column.append(part)) {
            return Err(problem(&name));
        }
    }
    Ok(())
}
