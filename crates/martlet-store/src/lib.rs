//! Where Martlet's runs are recorded: the journal.
