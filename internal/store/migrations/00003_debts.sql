-- +goose Up
ALTER TABLE calculations ADD COLUMN owed TEXT;
CREATE INDEX calculations_owed ON calculations (session_id, completed_ms, id) WHERE owed IS NOT NULL;
