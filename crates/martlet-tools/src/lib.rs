//! Tools for Martlet agents: the Tool trait, the Toolbox, built-in tools.
