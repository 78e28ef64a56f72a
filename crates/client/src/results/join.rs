//! Putting the parts of a result that took several calls behind each other.
//!
//! Invariant: the joined columns hold the rows of the parts in the order of the parts.

use super::ResultColumn;
use crate::error::{Error, Result};

/// Joins the columns of several answers; all have the same ones, in any order.
pub(super) fn join_columns(parts: Vec<Vec<ResultColumn>>) -> Result<Vec<ResultColumn>> {
    let problem = |name: &str| {
        Error::answer(
            format!("column `{name}`"),
            "two parts of one result do not have the same columns",
        )
    };
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_default();
    let mut others: Vec<_> = parts.collect();
    for column in &mut all {
        let same = |part: &mut Vec<ResultColumn>| {
            let place = part
                .iter()
                .position(|other| other.name() == column.name())?;
            Some(part.swap_remove(place))
        };
        let same: Option<Vec<_>> = others.iter_mut().map(same).collect();
        if !same.is_some_and(|same| column.append(same)) {
            return Err(problem(column.name()));
        }
    }
    match others.iter().flatten().next() {
        Some(left) => Err(problem(left.name())),
        None => Ok(all),
    }
}
