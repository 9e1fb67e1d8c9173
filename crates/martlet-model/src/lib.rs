//! Language models for Martlet: the Model trait, an OpenAI-compatible client, an embedded model.
