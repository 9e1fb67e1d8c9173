-- Browsers in which somebody signed in with a key; `digest` is the SHA-256 of what the browser shows.
CREATE TABLE sign_ins (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    key INTEGER NOT NULL REFERENCES keys (id),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_ins_of_key ON sign_ins (key, id);
CREATE INDEX sign_ins_to_expire ON sign_ins (expires_ms);

-- A person approved a call and those like it that the run makes later; `under` says for such a call which approval it was.
ALTER TABLE approvals ADD COLUMN for_run INTEGER NOT NULL DEFAULT 0;
ALTER TABLE approvals ADD COLUMN under TEXT;
CREATE INDEX approvals_for_run ON approvals (root, tool) WHERE for_run = 1;

-- Whether a session could go on with the memory of the run.
ALTER TABLE runs ADD COLUMN remembered INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET remembered = 1
WHERE kind = 'agent' AND session IS NOT NULL AND outcome IN ('succeeded', 'step_limit');

-- A session that branched off another one before a run of that one. It has taken over the runs before it.
ALTER TABLE sessions ADD COLUMN branched_session INTEGER REFERENCES sessions (id) ON DELETE SET NULL;
ALTER TABLE sessions ADD COLUMN branched_run TEXT;
CREATE INDEX sessions_of_origin ON sessions (branched_session) WHERE branched_session IS NOT NULL;
CREATE INDEX sessions_by_memory ON sessions (memory_run) WHERE memory_run IS NOT NULL;
CREATE TABLE taken_over (
    session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (session, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_taken_over ON taken_over (run, session);
