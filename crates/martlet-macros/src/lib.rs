//! The #[tool] attribute of Martlet.
