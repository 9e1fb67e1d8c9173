-- A store of version 2 with a row of every shape: sqlite3 martlet.db .dump, with its two marks.
PRAGMA auto_vacuum = incremental;
PRAGMA application_id = 1297241164;
PRAGMA user_version = 2;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE roots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    last_event INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO roots VALUES(1,'ended',2);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    root INTEGER NOT NULL REFERENCES roots (id),
    seq INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    event BLOB NOT NULL,
    UNIQUE (root, seq)
) STRICT;
INSERT INTO events VALUES(1,1,1,1520651917,X'7b2274797065223a2273746172746564227d');
INSERT INTO events VALUES(2,1,2,1948554733,X'7b2274797065223a22656e646564227d');
CREATE TABLE journals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    root INTEGER NOT NULL REFERENCES roots (id),
    next_seq INTEGER NOT NULL
) STRICT;
INSERT INTO journals VALUES(1,'ended-1-0',1,1);
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    journal INTEGER NOT NULL REFERENCES journals (id),
    seq INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (journal, seq)
) STRICT;
INSERT INTO records VALUES(1,1,0,2978848645,X'7b2276223a317d');
CREATE TABLE big_values (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    data BLOB NOT NULL
) STRICT;
INSERT INTO big_values VALUES(1,X'99902c6c2e9d6699e8f83f176d6ee91619af56981cfd01fd8c70bc88c58331a0',X'61206269672076616c7565');
INSERT INTO big_values VALUES(2,X'54f51b6731478815b9635a612ff24ac05d50ad3064761cab0cec3930079b7722',X'74686520636f6e74656e74206f6620612066696c65');
CREATE TABLE journal_values (
    journal INTEGER NOT NULL REFERENCES journals (id),
    value INTEGER NOT NULL REFERENCES big_values (id),
    PRIMARY KEY (journal, value)
) STRICT, WITHOUT ROWID;
INSERT INTO journal_values VALUES(1,1);
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
, branched_session INTEGER REFERENCES sessions (id) ON DELETE SET NULL, branched_run TEXT) STRICT;
INSERT INTO sessions VALUES(1,'s','acme','ann','assistant',500,2500,'second','the title of s',NULL,NULL);
INSERT INTO sessions VALUES(2,'b','acme','ann','assistant',2600,2600,'ended','the title of s',1,'second');
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
, remembered INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO runs VALUES(1,'ended','acme','ann','workflow','assistant',1,'batch','ended',1000,1100,2000,0,'k',X'230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5','older',3,'failed','{"input_tokens":10,"output_tokens":5,"cached_tokens":2,"reasoning_tokens":1}','the title of ended','it broke','{"rows":[1,2.5,null]}','{"task":"ended"}',1);
INSERT INTO runs VALUES(2,'open','acme','bob','agent','assistant',NULL,'interactive','queued',1000,NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,'{}','the title of open',NULL,NULL,'{"task":"open"}',0);
INSERT INTO runs VALUES(3,'second','acme','ann','agent','assistant',1,'interactive','ended',2100,NULL,2500,0,NULL,NULL,NULL,NULL,'completed','{"input_tokens":7,"output_tokens":3}','the title of second',NULL,'"done"','{"task":"second"}',1);
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
, for_run INTEGER NOT NULL DEFAULT 0, under TEXT) STRICT;
INSERT INTO approvals VALUES(1,'appr_4shwgm77g9qw1ss80qba56bbk3','ended','ended/1/0','acme','ann','call','delete',X'0a4eb589e4c72c5f1269a4cd9c609ce9ec1363ffca61a6f5c116db2f42d50972',100,1000,'decided','acme','bob',200,'{"decision":"deny","reason":"no"}','{"path":"/srv/data"}',0,NULL);
INSERT INTO approvals VALUES(2,'appr_6vxd8kqh16zxgzmjwedmnv8zwt','ended','ended/2/0','acme','ann','call','delete',X'0a4eb589e4c72c5f1269a4cd9c609ce9ec1363ffca61a6f5c116db2f42d50972',100,1000,'withdrawn',NULL,NULL,2000,NULL,'{"path":"/srv/data"}',0,NULL);
INSERT INTO approvals VALUES(3,'appr_76x590xzncqa25cc33cs9w93se','open','open/1/0','acme','bob','call','delete',X'0a4eb589e4c72c5f1269a4cd9c609ce9ec1363ffca61a6f5c116db2f42d50972',100,300,'expired',NULL,NULL,300,NULL,'{"path":"/srv/data"}',0,NULL);
INSERT INTO approvals VALUES(4,'appr_1r5bv3xw4qdm959wrws7cjx6tn','open','open/2/0','acme','bob','call','delete',X'0a4eb589e4c72c5f1269a4cd9c609ce9ec1363ffca61a6f5c116db2f42d50972',100,1000,'pending',NULL,NULL,NULL,NULL,'{"path":"/srv/data"}',0,NULL);
INSERT INTO approvals VALUES(5,'appr_2jgw9tj2kjnt2nsetrt2zxr32e','second','second/1/0','acme','ann','call','delete',X'0a4eb589e4c72c5f1269a4cd9c609ce9ec1363ffca61a6f5c116db2f42d50972',100,1000,'decided','acme','bob',210,'{"decision":"approve","for_run":true}','{"path":"/srv/data"}',1,NULL);
INSERT INTO approvals VALUES(6,'appr_2e8hjjky4qg2ps6vkr9pfk8pbz','second','second/2/0','acme','ann','call','delete',X'0a4eb589e4c72c5f1269a4cd9c609ce9ec1363ffca61a6f5c116db2f42d50972',100,1000,'decided','acme','bob',100,'{"decision":"approve"}','{"path":"/srv/data"}',0,'appr_2jgw9tj2kjnt2nsetrt2zxr32e');
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
INSERT INTO files VALUES(1,'f','acme','ann',2,21,1000,'text/plain','../notes.txt');
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
INSERT INTO keys VALUES(1,'000000000007','acme','ann',X'0909090909090909090909090909090909090909090909090909090909090909','["run","read"]','laptop',5,50,20,30);
INSERT INTO keys VALUES(2,'000000000008','acme','ann',X'0909090909090909090909090909090909090909090909090909090909090909','["run","read"]','laptop',5,50,20,NULL);
CREATE TABLE sign_ins (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    key INTEGER NOT NULL REFERENCES keys (id),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
INSERT INTO sign_ins VALUES(1,X'3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0',2,40,1000);
CREATE TABLE taken_over (
    session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (session, run)
) STRICT, WITHOUT ROWID;
INSERT INTO taken_over VALUES(2,1);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('sessions',2);
INSERT INTO sqlite_sequence VALUES('runs',3);
INSERT INTO sqlite_sequence VALUES('roots',1);
INSERT INTO sqlite_sequence VALUES('journals',1);
INSERT INTO sqlite_sequence VALUES('big_values',2);
INSERT INTO sqlite_sequence VALUES('approvals',6);
INSERT INTO sqlite_sequence VALUES('files',1);
INSERT INTO sqlite_sequence VALUES('keys',2);
INSERT INTO sqlite_sequence VALUES('sign_ins',1);
CREATE INDEX journals_of_root ON journals (root);
CREATE INDEX journals_of_value ON journal_values (value);
CREATE INDEX sessions_of_owner ON sessions (tenant, user, updated_ms, id);
CREATE INDEX sessions_by_time ON sessions (updated_ms);
CREATE INDEX runs_of_owner ON runs (tenant, user, id);
CREATE INDEX runs_of_session ON runs (session, id);
CREATE INDEX runs_not_ended ON runs (id) WHERE state <> 'ended';
CREATE INDEX runs_by_end ON runs (ended_ms) WHERE state = 'ended';
CREATE UNIQUE INDEX runs_by_key ON runs (tenant, user, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX approvals_of_root ON approvals (root, state);
CREATE INDEX approvals_of_owner ON approvals (tenant, user, id);
CREATE INDEX approvals_to_expire ON approvals (expires_ms) WHERE state = 'pending';
CREATE INDEX files_of_owner ON files (tenant, user, id);
CREATE INDEX files_of_value ON files (value);
CREATE INDEX sign_ins_of_key ON sign_ins (key, id);
CREATE INDEX sign_ins_to_expire ON sign_ins (expires_ms);
CREATE INDEX approvals_for_run ON approvals (root, tool) WHERE for_run = 1;
CREATE INDEX sessions_of_origin ON sessions (branched_session) WHERE branched_session IS NOT NULL;
CREATE INDEX sessions_by_memory ON sessions (memory_run) WHERE memory_run IS NOT NULL;
CREATE INDEX sessions_of_taken_over ON taken_over (run, session);
COMMIT;
