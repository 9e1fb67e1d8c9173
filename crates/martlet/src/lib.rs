//! A runtime for LLM agents that never block.
