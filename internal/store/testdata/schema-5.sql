-- What an Ergane of schema 5 left: a live session, one that ended, and one of a calculation that an old defect left open and schema 4 has ended.
INSERT INTO workgroups (name, description, state, created_ms, configuration, tags) VALUES
    ('primary', '', 'ENABLED', 1795000000000, '{"EngineVersion":{"Selected":"AUTO","Effective":"PySpark engine version 3"}}', '[]'),
    ('sales', 'their own', 'DISABLED', 1795000000001, '{}', '[{"Key":"team","Value":"sales"}]');
INSERT INTO sessions (id, workgroup, description, engine_selected, engine_effective, engine, execution_role, idle_timeout_ms, working_directory, encryption, notebook_version, tags, monitoring, state, reason, started_ms, modified_ms, ended_ms, idle_ms, dpu_ms, bucket_owner, dpus, memory) VALUES
    ('00000000-0000-4000-8000-00000000a11e', 'primary', 'a session', 'AUTO', 'PySpark engine version 3', '{"MaxConcurrentDpus":2}', 'role', 1200000, 's3://results/00000000-0000-4000-8000-00000000a11e', '{}', 'n1', '[{"Key":"a","Value":"b"}]', '{"S3LoggingConfiguration":{"Enabled":true,"LogLocation":"s3://logs"}}', 'IDLE', '', 1795000001000, 1795000004000, NULL, 1795000004000, 7, '111122223333', 2, 1073741824),
    ('00000000-0000-4000-8000-00000000dead', 'primary', 'a session', 'AUTO', 'PySpark engine version 3', '{"MaxConcurrentDpus":2}', 'role', 1200000, 's3://results/00000000-0000-4000-8000-00000000dead', '{}', 'n1', '[{"Key":"a","Value":"b"}]', NULL, 'TERMINATED', 'Session was terminated per request', 1795000001000, 1795000009000, 1795000009000, NULL, 0, '111122223333', 2, 1073741824);
INSERT INTO calculations (id, session_id, description, working_directory, state, reason, submitted_ms, started_ms, completed_ms, dpu_ms, progress, result, owed) VALUES
    ('00000000-0000-4000-8000-0000000000c1', '00000000-0000-4000-8000-00000000a11e', 'one', 's3://results/c1', 'COMPLETED', '', 1795000002000, 1795000002100, 1795000002200, 7, '100%', '{"StdOut":"s3://results/c1/stdout","StdErr":"s3://results/c1/stderr","Results":"s3://results/c1/results"}', NULL),
    ('00000000-0000-4000-8000-0000000000c2', '00000000-0000-4000-8000-00000000a11e', 'two', 's3://results/c2', 'FAILED', 'the output could not be stored', 1795000003000, 1795000003100, 1795000003200, 0, '100%', NULL, '{"Stdout":{"Start":0,"End":9},"Stderr":{"Start":0,"End":0},"Outputs":0}'),
    ('00000000-0000-4000-8000-0000000000c3', '00000000-0000-4000-8000-00000000dead', 'stuck', 's3://results/c3', 'FAILED', 'The session of the calculation ended, and an earlier version of Ergane did not record what became of the calculation', 1795000005000, 1795000005100, 1795000009000, 0, '0%', NULL, NULL),
    ('00000000-0000-4000-8000-0000000000c4', '00000000-0000-4000-8000-00000000dead', 'stuck late', 's3://results/c4', 'FAILED', 'The session of the calculation ended, and an earlier version of Ergane did not record what became of the calculation', 1795000009500, NULL, 1795000009500, 0, '', NULL, NULL);
INSERT INTO codes (calculation_id, code) VALUES
    ('00000000-0000-4000-8000-0000000000c1', CAST('print(1)' AS BLOB)),
    ('00000000-0000-4000-8000-0000000000c2', CAST('print(2)' AS BLOB)),
    ('00000000-0000-4000-8000-0000000000c3', CAST('print(3)' AS BLOB)),
    ('00000000-0000-4000-8000-0000000000c4', CAST('print(4)' AS BLOB));
INSERT INTO executors (id, session_id, name, type, state, size, started_ms, terminated_ms) VALUES
    ('00000000-0000-4000-8000-00000000a11e-0', '00000000-0000-4000-8000-00000000a11e', 'driver', 'COORDINATOR', 'REGISTERED', 1, 1795000001000, NULL),
    ('00000000-0000-4000-8000-00000000dead-0', '00000000-0000-4000-8000-00000000dead', 'driver', 'COORDINATOR', 'TERMINATED', 1, 1795000001000, 1795000009000);
INSERT INTO tokens (scope, value, hash, resource_id, until_ms) VALUES
    ('StartSession', 'tok', 'h', '00000000-0000-4000-8000-00000000a11e', NULL);
