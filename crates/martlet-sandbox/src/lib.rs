//! Python for Martlet's code agents: sessions that wait for tools, worker processes, limits.
