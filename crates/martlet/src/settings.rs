//! What can be said of any run that is asked for, of an agent or of a graph.

/// Writes the settings that requests for agents and for graphs have in common. The type has the fields `what`, `asked` and
/// `timeout`.
macro_rules! run_settings {
    () => {
        /// On whose behalf: functions and tools are told.
        pub fn user(mut self, user: impl Into<std::sync::Arc<str>>) -> Self {
            self.asked.user = Some(user.into());
            self
        }

        /// How long the run may take. Then everything in it is stopped, and it ends with the status `TimedOut`.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.timeout = Some(timeout);
            self
        }

        /// Who decides on calls that need approval, instead of the approver of the agent or graph.
        pub fn approver(mut self, approver: std::sync::Arc<dyn $crate::Approver>) -> Self {
            self.asked.approver = Some(approver);
            self
        }

        /// Where the run and the runs in it are recorded, instead of the journal of the agent or graph.
        pub fn journal(mut self, journal: std::sync::Arc<dyn $crate::store::Journal>) -> Self {
            self.asked.journal = Some(journal);
            self
        }

        /// Gives the run up while it only waits for people: awaiting it ends with the error `Parked`, and nothing of it is
        /// left but its records. When the answer is there, resume it. A run that is in no journal goes on waiting.
        ///
        /// This takes an approver, or tools, that note what they ask: see
        /// [`Question::waiting_for_person`](crate::Question::waiting_for_person).
        pub fn park(mut self) -> Self {
            self.asked.park = true;
            self
        }

        /// Calls `tap` with all that streams, the pieces of models' replies and what programs print, where it arises: before
        /// the events that follow from it are recorded. It must not block.
        pub fn on_stream(mut self, tap: impl Fn(&$crate::Update) + Send + Sync + 'static) -> Self {
            self.asked.tap = Some(std::sync::Arc::new(tap));
            self
        }

        /// Calls `tap` with each call of a model that ended, in the run and in the runs in it. It must not block.
        pub fn on_model_call(mut self, tap: impl Fn(&$crate::ModelCall<'_>) + Send + Sync + 'static) -> Self {
            self.asked.model_tap = Some(std::sync::Arc::new(tap));
            self
        }

        /// A name for the run, instead of a random one.
        pub fn id(mut self, id: martlet_core::RunId) -> Self {
            if let What::Fresh { id: given, .. } = &mut self.what {
                *given = id;
            }
            self
        }

        /// The name that the run has or will have.
        pub fn run_id(&self) -> &martlet_core::RunId {
            self.what.id()
        }
    };
}

pub(crate) use run_settings;
