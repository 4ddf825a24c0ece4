//! A store as the model uses it: with what can be planted in it, and what can go wrong behind it.

use std::fmt;

use crate::conformance::Subject;
use crate::key::Key;
use crate::tree::Tree;

type Plant = Box<dyn Fn(&Key) -> bool>;

/// One store of a pair, empty under its subject's prefix.
pub struct Participant {
    subject: Subject,
    link: Option<Plant>,
    troubles: Vec<Trouble>,
}

impl Participant {
    /// Returns a participant without troubles of its own.
    pub fn new(subject: Subject) -> Self {
        Self { subject, link: None, troubles: Vec::new() }
    }

    /// Lets the model put a symbolic link, which the store must list as protected, at a key: `link` makes one that leads
    /// nowhere, and returns true if it could.
    #[must_use]
    pub fn with_links(mut self, link: impl Fn(&Key) -> bool + 'static) -> Self {
        self.link = Some(Box::new(link));
        self
    }

    /// Adds a way in which what is behind the store can go wrong.
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

    /// Returns one of the troubles, any number being good for one, if there are any.
    pub(super) fn trouble(&self, number: usize) -> Option<&Trouble> {
        self.troubles.get(number.checked_rem(self.troubles.len())?)
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant").field("store", &self.subject.store).finish_non_exhaustive()
    }
}

/// Something that goes wrong behind a store, such as an answer of its server.
pub struct Trouble {
    begin: Box<dyn Fn(usize)>,
    end: Box<dyn Fn() -> bool>,
    consequence: Consequence,
}

/// What a run that met with trouble must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// That it is not clean.
    Unclean,
    /// Whatever is true: it may have been overcome by trying again.
    Either,
    /// What it would say without: the trouble makes no difference.
    Nothing,
}

impl Trouble {
    /// Returns a trouble that `begin` starts, at the n-th occasion from 1, and `end` ends; it returns whether there was
    /// any such occasion.
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
