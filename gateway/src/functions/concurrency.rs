//! Concurrency: how many calls of a function run at one time, where its owner has set a limit.
//!
//! Always true: a turn is given back when its call ends, however it ends; functions without a limit
//! are not counted. Absent on purpose: other gateways, each of which counts for itself.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use types::FunctionId;

use super::Function;
use crate::error::Error;

/// The calls under way of functions that have a limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concurrency {
    under_way: Arc<Mutex<HashMap<FunctionId, u32>>>,
}

/// One call under way.
#[derive(Debug)]
pub(crate) struct Turn {
    of: Concurrency,
    function: FunctionId,
}

impl Concurrency {
    /// Takes a turn; none is needed where there is no limit.
    ///
    /// # Errors
    ///
    /// [`Error::Reserved`] when as many are under way as may be.
    pub(crate) fn take(&self, function: &Function) -> Result<Option<Turn>, Error> {
        let Some(max) = function.told.concurrency_max else { return Ok(None) };
        let id = function.told.function;
        let mut under_way = self.under_way.lock();
        let count = under_way.entry(id).or_default();
        if *count >= max {
            if *count == 0 {
                under_way.remove(&id);
            }
            return Err(Error::Reserved { max });
        }
        *count += 1;
        Ok(Some(Turn { of: self.clone(), function: id }))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = self.of.under_way.lock();
        let Some(count) = under_way.get_mut(&self.function) else { return };
        *count -= 1;
        if *count == 0 {
            under_way.remove(&self.function);
        }
    }
}
