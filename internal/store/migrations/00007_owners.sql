-- +goose Up
-- Servers, each with the time until which it owns its sessions.
CREATE TABLE servers (
    id       TEXT   NOT NULL PRIMARY KEY,
    lease_ms BIGINT NOT NULL
);
-- The server that runs a session. Those of earlier versions have none, so the
-- next server to start takes them over.
ALTER TABLE sessions ADD COLUMN owner TEXT NOT NULL DEFAULT '';
