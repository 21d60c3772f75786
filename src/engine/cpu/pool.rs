//! Buffers that are used again: taken from a pool, given back when dropped.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Things that nobody uses at the moment.
#[derive(Debug, Default)]
pub struct Pool<T>(Mutex<Vec<T>>);

/// One thing of a pool, in use.
#[derive(Debug)]
pub struct Borrowed<'a, T> {
    pool: &'a Pool<T>,
    thing: Option<T>,
}

impl<T: Default> Pool<T> {
    /// One that was given back, or a new one.
    pub fn take(&self) -> Borrowed<'_, T> {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Borrowed { pool: self, thing: Some(used.unwrap_or_default()) }
    }
}

impl<T> Deref for Borrowed<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.thing.as_ref().expect("given back when dropped only")
    }
}

impl<T> DerefMut for Borrowed<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.thing.as_mut().expect("given back when dropped only")
    }
}

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        let things = self.thing.take();
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).extend(things);
    }
}
