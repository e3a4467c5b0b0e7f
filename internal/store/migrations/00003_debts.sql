-- +goose Up
ALTER TABLE calculations ADD COLUMN owed TEXT;
CREATE INDEX calculations_owed ON calculations (completed_ms, id) WHERE owed IS NOT NULL;
