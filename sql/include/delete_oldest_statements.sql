-- Run three times by delete_oldest.sql, with :kind = tail, sealed and both.
CREATE PROCEDURE prepare_rows(kind text) LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE devices;
    PERFORM fill(1, 12);
    COMMIT;
    IF kind <> 'tail' THEN CALL compact('devices'); END IF;
    PERFORM fill(13, 20);
    COMMIT;
    IF kind = 'sealed' THEN CALL compact('devices'); END IF;
END $$;
CALL prepare_rows(:'kind');
\set ECHO all
SELECT delete_oldest('devices', rows => 3);
SELECT state();
SELECT delete_oldest('devices', rows => 8);
SELECT state();
SELECT delete_except('devices', rows => 7);
SELECT state();
SELECT delete_except('devices', rows => 7);
SELECT delete_before('devices', '2026-01-01 00:00:16+00');
SELECT state();
SELECT delete_oldest('devices', rows => 1000);
SELECT state();
\set ECHO none
DROP PROCEDURE prepare_rows;
