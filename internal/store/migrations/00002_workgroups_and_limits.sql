-- +goose Up
ALTER TABLE sessions RENAME COLUMN echo TO monitoring;
-- It was {"Monitoring":{…}}, and is what was in there.
UPDATE sessions SET monitoring = substr(monitoring, 15, length(monitoring) - 15) WHERE monitoring LIKE '{"Monitoring":{%}';
ALTER TABLE sessions ADD COLUMN bucket_owner TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN dpus BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN memory BIGINT NOT NULL DEFAULT 0;
-- Workgroups that are being deleted: few, and looked for at every start.
CREATE INDEX workgroups_condemned ON workgroups (name) WHERE state = 'DELETING';
-- A token goes with what it made.
CREATE INDEX tokens_by_resource ON tokens (resource_id);
