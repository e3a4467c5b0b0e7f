-- +goose Up
-- Versions before this one could leave a calculation open in a session that had
-- ended. Nobody looks after it any more: it would be shown as running for ever.
UPDATE calculations SET
    state = 'FAILED',
    reason = 'The session of the calculation ended, and an earlier version of Ergane did not record what became of the calculation',
    completed_ms = (SELECT CASE WHEN COALESCE(ended_ms, modified_ms) < COALESCE(calculations.started_ms, calculations.submitted_ms)
            THEN COALESCE(calculations.started_ms, calculations.submitted_ms) ELSE COALESCE(ended_ms, modified_ms) END
        FROM sessions WHERE sessions.id = calculations.session_id)
WHERE state IN ('CREATING', 'CREATED', 'QUEUED', 'RUNNING', 'CANCELING')
    AND session_id IN (SELECT id FROM sessions WHERE state IN ('TERMINATED', 'FAILED'));
