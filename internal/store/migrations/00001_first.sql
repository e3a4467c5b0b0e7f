-- One text for SQLite and PostgreSQL: TEXT, BIGINT and BYTEA only. Times are
-- milliseconds since the epoch, structures are JSON text.

-- +goose Up
CREATE TABLE workgroups (
    name          TEXT   NOT NULL PRIMARY KEY,
    description   TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    created_ms    BIGINT NOT NULL,
    configuration TEXT   NOT NULL,
    tags          TEXT   NOT NULL
);

CREATE TABLE sessions (
    id                TEXT   NOT NULL PRIMARY KEY,
    workgroup         TEXT   NOT NULL REFERENCES workgroups (name),
    description       TEXT   NOT NULL,
    engine_selected   TEXT   NOT NULL,
    engine_effective  TEXT   NOT NULL,
    engine            TEXT   NOT NULL,
    execution_role    TEXT   NOT NULL,
    idle_timeout_ms   BIGINT NOT NULL,
    working_directory TEXT   NOT NULL,
    encryption        TEXT   NOT NULL,
    notebook_version  TEXT   NOT NULL,
    tags              TEXT   NOT NULL,
    echo              TEXT,
    state             TEXT   NOT NULL,
    reason            TEXT   NOT NULL,
    started_ms        BIGINT NOT NULL,
    modified_ms       BIGINT NOT NULL,
    ended_ms          BIGINT,
    idle_ms           BIGINT,
    dpu_ms            BIGINT NOT NULL
);
-- A list with a filter merges one range of sessions_by_state per state.
CREATE INDEX sessions_by_workgroup ON sessions (workgroup, started_ms, id);
CREATE INDEX sessions_by_state ON sessions (workgroup, state, started_ms, id);
CREATE INDEX sessions_live ON sessions (started_ms, id) WHERE state NOT IN ('TERMINATED', 'FAILED');

CREATE TABLE calculations (
    id                TEXT   NOT NULL PRIMARY KEY,
    session_id        TEXT   NOT NULL REFERENCES sessions (id),
    description       TEXT   NOT NULL,
    working_directory TEXT   NOT NULL,
    state             TEXT   NOT NULL,
    reason            TEXT   NOT NULL,
    submitted_ms      BIGINT NOT NULL,
    started_ms        BIGINT,
    completed_ms      BIGINT,
    dpu_ms            BIGINT NOT NULL,
    progress          TEXT   NOT NULL,
    result            TEXT
);
CREATE INDEX calculations_by_session ON calculations (session_id, submitted_ms, id);
CREATE INDEX calculations_by_state ON calculations (session_id, state, submitted_ms, id);

-- Apart, so that nothing but the one who asks for code reads it. Bytes,
-- because Python source may hold a NUL in a comment and TEXT may not.
CREATE TABLE codes (
    calculation_id TEXT  NOT NULL PRIMARY KEY REFERENCES calculations (id),
    code           BYTEA NOT NULL
);

CREATE TABLE executors (
    id            TEXT   NOT NULL PRIMARY KEY,
    session_id    TEXT   NOT NULL REFERENCES sessions (id),
    name          TEXT   NOT NULL,
    type          TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    size          BIGINT NOT NULL,
    started_ms    BIGINT NOT NULL,
    terminated_ms BIGINT
);
CREATE INDEX executors_by_session ON executors (session_id, started_ms, id);
CREATE INDEX executors_by_state ON executors (session_id, state, started_ms, id);

CREATE TABLE tokens (
    scope       TEXT NOT NULL,
    value       TEXT NOT NULL,
    hash        TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    until_ms    BIGINT,
    PRIMARY KEY (scope, value)
);
CREATE INDEX tokens_by_end ON tokens (until_ms) WHERE until_ms IS NOT NULL;
