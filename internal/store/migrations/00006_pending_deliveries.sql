-- +goose Up
-- What was not delivered has the name that it has elsewhere.
DROP INDEX calculations_owed;
ALTER TABLE calculations RENAME COLUMN owed TO undelivered;
CREATE INDEX calculations_undelivered ON calculations (session_id, completed_ms, id) WHERE undelivered IS NOT NULL;
