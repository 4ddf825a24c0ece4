//! A store of the model, with the links that can be created in it and the faults behind it.

use std::fmt;

use crate::conformance::Subject;
use crate::key::Key;
use crate::tree::Tree;

type Plant = Box<dyn Fn(&Key) -> bool>;

/// One store of a pair, which is empty below its subject's prefix.
pub struct Participant {
    subject: Subject,
    link: Option<Plant>,
    troubles: Vec<Trouble>,
}

impl Participant {
    /// Returns a participant without faults of its own.
    pub fn new(subject: Subject) -> Self {
        Self { subject, link: None, troubles: Vec::new() }
    }

    /// Lets the model create a symbolic link at a key, which the store must list as protected. `link` creates a broken
    /// link and returns true if this is possible.
    #[must_use]
    pub fn with_links(mut self, link: impl Fn(&Key) -> bool + 'static) -> Self {
        self.link = Some(Box::new(link));
        self
    }

    /// Adds a fault behind the store.
    #[must_use]
    pub fn with_trouble(mut self, trouble: Trouble) -> Self {
        self.troubles.push(trouble);
        self
    }

    pub(super) fn tree(&self) -> Tree {
        Tree::new(self.subject.store.clone()).at(self.subject.prefix.clone())
    }

    pub(super) fn link(&self, name: &str) {
        if let Some(link) = &self.link {
            link(&self.subject.key(name));
        }
    }

    /// Returns the fault that this number selects, if there are any faults.
    pub(super) fn trouble(&self, number: usize) -> Option<&Trouble> {
        self.troubles.get(number.checked_rem(self.troubles.len())?)
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant").field("store", &self.subject.store).finish_non_exhaustive()
    }
}

/// A fault behind a store, such as a wrong response of its server.
pub struct Trouble {
    begin: Box<dyn Fn(usize)>,
    end: Box<dyn Fn() -> bool>,
    consequence: Consequence,
}

/// The required result of a run in which a fault occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The run is not clean.
    Unclean,
    /// The run may be clean or not, because a retry may have succeeded.
    Either,
    /// The result is the same as without the fault.
    Nothing,
}

impl Trouble {
    /// Returns a fault. `begin` starts it at the n-th occasion, from 1. `end` ends it and returns whether that occasion
    /// occurred.
    pub fn new(consequence: Consequence, begin: impl Fn(usize) + 'static, end: impl Fn() -> bool + 'static) -> Self {
        Self { begin: Box::new(begin), end: Box::new(end), consequence }
    }

    pub(super) fn begin(&self, nth: usize) {
        (self.begin)(nth);
    }

    pub(super) fn end(&self) -> Option<Consequence> {
        (self.end)().then_some(self.consequence)
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trouble").field("consequence", &self.consequence).finish_non_exhaustive()
    }
}
