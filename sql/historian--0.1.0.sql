-- historian 0.1.0: what CREATE EXTENSION historian runs. Public names stand in @extschema@, internals in the schema historian.
\echo Use "CREATE EXTENSION historian" to load this file. \quit

CREATE SCHEMA historian;
GRANT USAGE ON SCHEMA historian TO PUBLIC;

-- ------------------------------------------------------------------------------------------------ access methods

CREATE FUNCTION historian.tag_handler(internal) RETURNS table_am_handler
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'historian_tag_handler';
COMMENT ON FUNCTION historian.tag_handler(internal) IS 'the callbacks of access method tag';

CREATE ACCESS METHOD tag TYPE TABLE HANDLER historian.tag_handler;
COMMENT ON ACCESS METHOD tag IS 'sensor points, compressed and clustered by tag and time';

-- ------------------------------------------------------------------------------------------------ operation

CREATE PROCEDURE @extschema@.compact(relation regclass)
    LANGUAGE C AS 'MODULE_PATHNAME', 'historian_compact';
COMMENT ON PROCEDURE @extschema@.compact(regclass) IS
    'seals fresh rows and merges small segments of a tag table now; not inside a transaction block; for the table''s owner';

CREATE FUNCTION historian.maintain() RETURNS bigint
    LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'historian_maintain';
REVOKE ALL ON FUNCTION historian.maintain() FROM PUBLIC;
COMMENT ON FUNCTION historian.maintain() IS 'what the maintenance worker calls: does what is due, returns pieces of work done';

CREATE FUNCTION @extschema@.historian_segments(relation regclass,
        OUT slot bigint, OUT kind text, OUT state text, OUT level int, OUT row_count bigint, OUT byte_count bigint, OUT block_count bigint,
        OUT tag_count bigint, OUT time_min timestamptz, OUT time_max timestamptz, OUT tag_first text, OUT tag_last text, OUT first_block bigint)
    RETURNS SETOF record LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_segments';
COMMENT ON FUNCTION @extschema@.historian_segments(regclass) IS
    'the tail runs and segments of a tag table; tags are shown up to 24 bytes; needs SELECT on the table';

CREATE FUNCTION @extschema@.historian_size(relation regclass,
        OUT total_bytes bigint, OUT segment_bytes bigint, OUT tail_bytes bigint, OUT reusable_bytes bigint,
        OUT segment_count bigint, OUT sealed_rows bigint, OUT encoded_bytes bigint)
    RETURNS record LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_size';
COMMENT ON FUNCTION @extschema@.historian_size(regclass) IS
    'where the bytes of a tag table are: in blocks of segments, of the tail, of entries kept for old snapshots; needs SELECT on the table';

CREATE FUNCTION @extschema@.historian_check(relation regclass) RETURNS text
    LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_check';
COMMENT ON FUNCTION @extschema@.historian_check(regclass) IS
    'reads every page, checksum and row of a tag table; a summary when all is well, an error that names the place otherwise; needs SELECT';

-- ------------------------------------------------------------------------------------------------ MQTT

