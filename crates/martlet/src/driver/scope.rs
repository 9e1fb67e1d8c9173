//! What a run has from the one who asked for it, or from the run above.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use martlet_core::{EffectId, RunId, Usage};
use martlet_sandbox::Session;
use martlet_store::Journal;
use martlet_tools::{Activity, Files};

use super::Host;
use super::budget::Budget;
use super::clock::Clock;
use super::host::RunTerms;
use crate::approve::{Approver, DenyAll};
use crate::observe::{Bus, Feed, ModelTap, Tap};

/// What the one who asks for a run says besides the task.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) user: Option<Arc<str>>,
    pub(crate) approver: Option<Arc<dyn Approver>>,
    pub(crate) journal: Option<Arc<dyn Journal>>,
    pub(crate) tap: Option<Tap>,
    pub(crate) model_tap: Option<ModelTap>,
    /// Whether the run is given up while it only waits for people.
    pub(crate) park: bool,
}

/// What a run has from the one who asked for it, or from the run above.
pub(crate) struct Scope {
    /// The run that somebody asked for.
    root: RunId,
    clock: Clock,
    feed: Option<Feed>,
    model_tap: Option<ModelTap>,
    user: Option<Arc<str>>,
    approver: Option<Arc<dyn Approver>>,
    journal: Option<Arc<dyn Journal>>,
    budget: Option<Arc<Budget>>,
    activity: Activity,
    parks: bool,
    /// The files that go with the run above.
    files: Files,
    /// Set when the run has begun, or was read back.
    run: OnceLock<RunTerms>,
    /// How deep runs may still be nested below this one.
    depth: u32,
    /// Whether this run may have begun before: it is resumed, or the one above is.
    resumed: bool,
    /// The Python session; the effect that uses it takes it along, so that it ends with it.
    session: Mutex<Option<Box<dyn Session>>>,
}

impl Scope {
    /// That of a run which somebody asked for.
    pub(crate) fn first(
        host: &impl Host,
        root: RunId,
        bus: Option<Arc<Bus>>,
        asked: Asked,
        resumed: bool,
    ) -> Self {
        let terms = host.terms();
        let journal = asked.journal.or_else(|| terms.journal.cloned());
        Self {
            root,
            clock: Clock::start(),
            feed: Feed::new(bus, asked.tap),
            model_tap: asked.model_tap,
            user: asked.user,
            approver: asked.approver.or_else(|| terms.approver.cloned()),
            // A run that is in no journal could not be found again.
            parks: asked.park && journal.is_some(),
            journal,
            budget: Budget::below(None, terms.max_tokens),
            activity: Activity::default(),
            files: Files::default(),
            run: OnceLock::new(),
            depth: terms.max_depth,
            resumed,
            session: Mutex::new(None),
        }
    }

    /// That of the child run which performs the effect `id`; `None` where runs are nested too deep already.
    pub(super) fn below(&self, host: &impl Host, id: &EffectId, child: &RunId, name: &str) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        let terms = host.terms();
        Some(Self {
            root: self.root.clone(),
            clock: self.clock,
            feed: self.feed.as_ref().map(|feed| feed.below(child, name, id.step)),
            model_tap: self.model_tap.clone(),
            user: self.user.clone(),
            approver: terms.approver.or(self.approver.as_ref()).cloned(),
            // A run that is in no journal could not be found again by those in it.
            journal: self.journal.clone(),
            budget: Budget::below(self.budget.clone(), terms.max_tokens),
            activity: self.activity.clone(),
            // It ends with the run at the top.
            parks: false,
            files: self.files().clone(),
            run: OnceLock::new(),
            depth: depth.min(terms.max_depth),
            resumed: self.resumed && self.journal.is_some(),
            session: Mutex::new(None),
        })
    }

    /// Takes in what holds for the run now that it has begun.
    pub(super) fn began(&self, terms: RunTerms) {
        // A scope is that of one run, which begins once.
        let _ = self.run.set(terms);
    }

    /// What holds for this run and those in it.
    pub(super) fn run(&self) -> &RunTerms {
        self.run.get_or_init(RunTerms::default)
    }

    /// The files that go with the run, or with the one above where it has none of its own.
    pub(super) fn files(&self) -> &Files {
        let own = &self.run().files;
        if own.is_empty() { &self.files } else { own }
    }

    pub(super) fn root(&self) -> &RunId {
        &self.root
    }

    /// What this run, and all around it, are busy with.
    pub(crate) fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Whether the run is given up while it only waits for people.
    pub(super) fn parks(&self) -> bool {
        self.parks
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether this run may have begun before.
    pub(super) fn is_resumed(&self) -> bool {
        self.resumed
    }

    pub(super) fn feed(&self) -> Option<&Feed> {
        self.feed.as_ref()
    }

    pub(super) fn model_tap(&self) -> Option<&ModelTap> {
        self.model_tap.as_ref()
    }

    pub(super) fn user(&self) -> Option<&Arc<str>> {
        self.user.as_ref()
    }

    pub(super) fn journal(&self) -> Option<&Arc<dyn Journal>> {
        self.journal.as_ref()
    }

    pub(super) fn approver(&self) -> &dyn Approver {
        self.approver.as_deref().unwrap_or(&DenyAll)
    }

    pub(super) fn budget(&self) -> Option<&Budget> {
        self.budget.as_deref()
    }

    pub(super) fn count(&self, usage: Usage) {
        if let Some(budget) = &self.budget {
            budget.count(usage);
        }
    }

    pub(super) fn take_session(&self) -> Option<Box<dyn Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn keep_session(&self, session: Box<dyn Session>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }
}
