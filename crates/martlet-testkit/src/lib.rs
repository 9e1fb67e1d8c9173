//! A fake OpenAI-compatible server and a scripted model, for tests of Martlet agents.
