-- Records and events are rows in the order of the commits: a commit writes to the end of the table, whatever runs it is
-- for. (A table ordered by run would put each row of more than a kilobyte on a page of its own.)

-- A run that somebody asked for, with all runs in it; it numbers their events.
CREATE TABLE roots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    last_event INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    root INTEGER NOT NULL REFERENCES roots (id),
    seq INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    event BLOB NOT NULL,
    UNIQUE (root, seq)
) STRICT;

-- The journal of one run.
CREATE TABLE journals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    root INTEGER NOT NULL REFERENCES roots (id),
    next_seq INTEGER NOT NULL
) STRICT;
CREATE INDEX journals_of_root ON journals (root);
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    journal INTEGER NOT NULL REFERENCES journals (id),
    seq INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (journal, seq)
) STRICT;

-- Big values, each once; `hash` is the SHA-256 of `data`.
CREATE TABLE big_values (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    data BLOB NOT NULL
) STRICT;
CREATE TABLE journal_values (
    journal INTEGER NOT NULL REFERENCES journals (id),
    value INTEGER NOT NULL REFERENCES big_values (id),
    PRIMARY KEY (journal, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX journals_of_value ON journal_values (value);

CREATE TABLE sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    agent TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    memory_run TEXT,
    title TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_of_owner ON sessions (tenant, user, updated_ms, id);
CREATE INDEX sessions_by_time ON sessions (updated_ms);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    session INTEGER REFERENCES sessions (id),
    lane TEXT NOT NULL,
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    started_ms INTEGER,
    ended_ms INTEGER,
    cancel INTEGER NOT NULL DEFAULT 0,
    idempotency_key TEXT,
    idempotency_body BLOB,
    forked_run TEXT,
    forked_step INTEGER,
    outcome TEXT,
    usage TEXT NOT NULL,
    title TEXT NOT NULL,
    error TEXT,
    answer TEXT,
    request TEXT NOT NULL
) STRICT;
CREATE INDEX runs_of_owner ON runs (tenant, user, id);
CREATE INDEX runs_of_session ON runs (session, id);
CREATE INDEX runs_not_ended ON runs (id) WHERE state <> 'ended';
CREATE INDEX runs_by_end ON runs (ended_ms) WHERE state = 'ended';
CREATE UNIQUE INDEX runs_by_key ON runs (tenant, user, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE approvals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    root TEXT NOT NULL,
    effect TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    kind TEXT NOT NULL,
    tool TEXT NOT NULL,
    digest BLOB NOT NULL,
    asked_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    by_tenant TEXT,
    by_user TEXT,
    decided_ms INTEGER,
    answer TEXT,
    arguments TEXT NOT NULL
) STRICT;
CREATE INDEX approvals_of_root ON approvals (root, state);
CREATE INDEX approvals_of_owner ON approvals (tenant, user, id);
CREATE INDEX approvals_to_expire ON approvals (expires_ms) WHERE state = 'pending';

CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    value INTEGER NOT NULL REFERENCES big_values (id),
    size INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    title TEXT NOT NULL
) STRICT;
CREATE INDEX files_of_owner ON files (tenant, user, id);
CREATE INDEX files_of_value ON files (value);

CREATE TABLE keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    digest BLOB NOT NULL,
    scopes TEXT NOT NULL,
    label TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    last_used_ms INTEGER,
    revoked_ms INTEGER
) STRICT;
