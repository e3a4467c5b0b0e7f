-- +goose Up
-- Sessions that have ended, by their ends: which are old enough to go is found without looking at others.
CREATE INDEX sessions_ended ON sessions (workgroup, ended_ms, id) WHERE ended_ms IS NOT NULL;
