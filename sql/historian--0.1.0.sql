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

CREATE FUNCTION historian.log_handler(internal) RETURNS table_am_handler
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'historian_log_handler';
COMMENT ON FUNCTION historian.log_handler(internal) IS 'the callbacks of access method log';

CREATE ACCESS METHOD log TYPE TABLE HANDLER historian.log_handler;
COMMENT ON ACCESS METHOD log IS 'records, compressed and sorted by the time of their arrival, newest first';

-- ------------------------------------------------------------------------------------------------ operation

CREATE PROCEDURE @extschema@.compact(relation regclass)
    LANGUAGE C AS 'MODULE_PATHNAME', 'historian_compact';
COMMENT ON PROCEDURE @extschema@.compact(regclass) IS
    'seals fresh rows and merges small segments of a tag or log table now; not inside a transaction block; for the table''s '
    'owner';

CREATE FUNCTION historian.maintain() RETURNS bigint
    LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'historian_maintain';
REVOKE ALL ON FUNCTION historian.maintain() FROM PUBLIC;
COMMENT ON FUNCTION historian.maintain() IS 'what the maintenance worker calls: does what is due, returns pieces of work done';

CREATE FUNCTION @extschema@.historian_segments(relation regclass,
        OUT slot bigint, OUT kind text, OUT state text, OUT level int, OUT row_count bigint, OUT byte_count bigint,
        OUT block_count bigint, OUT tag_count bigint, OUT time_min timestamptz, OUT time_max timestamptz,
        OUT tag_first text, OUT tag_last text, OUT first_block bigint, OUT deleted_rows bigint)
    RETURNS SETOF record LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_segments';
COMMENT ON FUNCTION @extschema@.historian_segments(regclass) IS
    'the tail runs and segments of a tag or log table; tags are shown up to 64 bytes; deleted_rows are deleted for good and '
    'not dropped yet; needs SELECT on the table';

CREATE FUNCTION @extschema@.historian_size(relation regclass,
        OUT total_bytes bigint, OUT segment_bytes bigint, OUT tail_bytes bigint, OUT reusable_bytes bigint,
        OUT segment_count bigint, OUT sealed_rows bigint, OUT encoded_bytes bigint, OUT delete_log_bytes bigint,
        OUT tail_rows bigint, OUT row_count bigint, OUT raw_bytes bigint, OUT ratio double precision,
        OUT rows_stored bigint, OUT rows_rewritten bigint)
    RETURNS record LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_size';
COMMENT ON FUNCTION @extschema@.historian_size(regclass) IS
    'where the bytes of a tag or log table are: in blocks of segments, of the tail, of entries kept for old snapshots, '
    'of delete logs; '
    'tail_rows and row_count without rows deleted for good; raw_bytes: the values uncompressed, 8 for a timestamp, the content '
    'of a text, 0 for NULL, deleted rows too until their segment is written again; ratio: raw_bytes / total_bytes; '
    'rows_stored and rows_rewritten: rows ever written to segments for the first time, and again by merging; '
    'needs SELECT on the table';

CREATE FUNCTION historian.progress(OUT pid int, OUT database oid, OUT relation oid, OUT work text,
        OUT rows_done bigint, OUT row_count bigint)
    RETURNS SETOF record LANGUAGE C VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'historian_progress';
COMMENT ON FUNCTION historian.progress() IS 'what the backends of all databases seal, merge and check at this moment';

CREATE VIEW @extschema@.historian_progress AS
    SELECT p.pid, p.relation::regclass, p.work, p.rows_done, p.row_count
    FROM historian.progress() p JOIN pg_catalog.pg_database d ON d.oid = p.database
    WHERE d.datname = pg_catalog.current_database() AND pg_catalog.has_table_privilege(p.relation, 'SELECT');
COMMENT ON VIEW @extschema@.historian_progress IS
    'what is being sealed, merged and checked in this database: rows done, and of how many, estimated for the tail';
GRANT SELECT ON @extschema@.historian_progress TO PUBLIC;

CREATE FUNCTION @extschema@.historian_options(relation regclass, OUT name text, OUT value text, OUT source text)
    RETURNS SETOF record LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_options';
COMMENT ON FUNCTION @extschema@.historian_options(regclass) IS
    'the options of a tag or log table as they are in force, and where each comes from: table (ALTER TABLE ... SET), setting '
    'or default';

CREATE FUNCTION @extschema@.historian_check(relation regclass) RETURNS text
    LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_check';
COMMENT ON FUNCTION @extschema@.historian_check(regclass) IS
    'reads every page, checksum and row of a tag or log table: a summary when all is well, an error that names the place '
    'otherwise; '
    'needs SELECT';

CREATE FUNCTION @extschema@.delete_before(relation regclass, before timestamptz) RETURNS bigint
    LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_delete_before';
COMMENT ON FUNCTION @extschema@.delete_before(regclass, timestamptz) IS
    'deletes the rows of a tag or log table, or of a partitioned table''s partitions, whose time is earlier, and returns how '
    'many: '
    'whole segments at once; rows without a time stay; part of the transaction like any DELETE; needs DELETE and SELECT';

CREATE FUNCTION @extschema@.delete_oldest(relation regclass, rows bigint) RETURNS bigint
    LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_delete_oldest';
COMMENT ON FUNCTION @extschema@.delete_oldest(regclass, bigint) IS
    'deletes so many of the oldest rows of a log table, all when there are fewer, and returns how many; whole segments at once; '
    'part of the transaction like any DELETE; needs DELETE and SELECT. '
    'Errors: 22023 a negative number, 42809 a tag table or a partitioned one';

CREATE FUNCTION @extschema@.delete_except(relation regclass, rows bigint) RETURNS bigint
    LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_delete_except_rows';
COMMENT ON FUNCTION @extschema@.delete_except(regclass, bigint) IS
    'deletes the rows of a log table but for so many of the newest, and returns how many; otherwise as delete_oldest';

CREATE FUNCTION @extschema@.delete_except(relation regclass, keep interval) RETURNS bigint
    LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_delete_except_keep';
COMMENT ON FUNCTION @extschema@.delete_except(regclass, interval) IS
    'deletes the rows that are older than keep at the transaction''s start: delete_before(relation, now() - keep). '
    'Errors: 22023 a negative interval';

-- ------------------------------------------------------------------------------------------------ times

-- One function, not overloads: a literal for before cannot be of two types at once. anycompatible lets it come as text.
CREATE FUNCTION @extschema@.duration(span interval DEFAULT NULL, before anycompatible DEFAULT NULL,
        after anycompatible DEFAULT NULL, from_ anycompatible DEFAULT NULL, to_ anycompatible DEFAULT NULL)
    RETURNS tstzrange LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_duration';
COMMENT ON FUNCTION @extschema@.duration(interval, anycompatible, anycompatible, anycompatible, anycompatible) IS
    'the times of a span, for time <@ duration(...): (span) until now, (span, before => t), (span, after => t), (before => t), '
    '(after => t), (from_ => a, to_ => b) in either order; both ends inclusive; now is the start of the transaction; times are '
    'timestamptz, timestamp, date, or an interval: so long ago; a NULL argument is as if it were not given, NULL when none is. '
    'Errors: 22023 negative, infinite or not one of the forms, 22007 not readable, 22008 out of range';

-- Grafana's TimescaleDB switch sends time_bucket('300.000s', time): the names and the rule are TimescaleDB's.
CREATE FUNCTION @extschema@.time_bucket(bucket_width interval, ts timestamptz) RETURNS timestamptz
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_bucket';
CREATE FUNCTION @extschema@.time_bucket(bucket_width interval, ts timestamp) RETURNS timestamp
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_bucket';
CREATE FUNCTION @extschema@.time_bucket(bucket_width interval, ts date) RETURNS date
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_bucket_date';
CREATE FUNCTION @extschema@.time_bucket(bucket_width interval, ts timestamptz, origin timestamptz) RETURNS timestamptz
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_bucket';
CREATE FUNCTION @extschema@.time_bucket(bucket_width interval, ts timestamp, origin timestamp) RETURNS timestamp
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_bucket';
CREATE FUNCTION @extschema@.time_bucket(bucket_width interval, ts date, origin date) RETURNS date
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_bucket_date';
CREATE FUNCTION @extschema@.time_bucket(bucket_width interval, ts timestamptz, timezone text, origin timestamptz DEFAULT NULL)
    RETURNS timestamptz LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_bucket_zone';
CREATE FUNCTION @extschema@.time_bucket(bucket_width integer, ts integer, "offset" integer DEFAULT 0) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_bucket_int4';
CREATE FUNCTION @extschema@.time_bucket(bucket_width bigint, ts bigint, "offset" bigint DEFAULT 0) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_bucket_int8';
COMMENT ON FUNCTION @extschema@.time_bucket(interval, timestamptz) IS
    'the start of the bucket that a time falls into, in UTC; buckets are counted from Monday 2000-01-03, those of months and '
    'years from 2000-01-01; infinite times stay as they are. '
    'Errors: 22023 a width that is not positive, 0A000 months mixed with days or times, 22008 out of range';
COMMENT ON FUNCTION @extschema@.time_bucket(interval, timestamp) IS 'the same for times without a zone';
COMMENT ON FUNCTION @extschema@.time_bucket(interval, date) IS
    'the same for dates; bucket_width is a number of days, or of months. Errors: 22023 a width with a part of a day';
COMMENT ON FUNCTION @extschema@.time_bucket(interval, timestamptz, timestamptz) IS
    'the same, buckets counted from origin. Errors: 22023 an infinite origin';
COMMENT ON FUNCTION @extschema@.time_bucket(interval, timestamp, timestamp) IS
    'the same for times without a zone, buckets counted from origin. Errors: 22023 an infinite origin';
COMMENT ON FUNCTION @extschema@.time_bucket(interval, date, date) IS
    'the same for dates, buckets counted from origin. Errors: 22023 an infinite origin';
COMMENT ON FUNCTION @extschema@.time_bucket(interval, timestamptz, text, timestamptz) IS
    'the start of the bucket that a time falls into by the clock of a time zone: days begin at its midnight and have 23 to 25 '
    'hours where clocks change; shorter buckets begin whenever it shows a multiple of their width. '
    'Errors: 22023 no such time zone, an abbreviation included';
COMMENT ON FUNCTION @extschema@.time_bucket(integer, integer, integer) IS
    'the greatest multiple of bucket_width, plus offset, that is not greater than ts. Errors: 22023 a width that is not positive';
COMMENT ON FUNCTION @extschema@.time_bucket(bigint, bigint, bigint) IS
    'the greatest multiple of bucket_width, plus offset, that is not greater than ts. Errors: 22023 a width that is not positive';

CREATE FUNCTION historian.time_buckets_support(internal) RETURNS internal
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_buckets_support';
COMMENT ON FUNCTION historian.time_buckets_support(internal) IS 'tells the planner how many rows time_buckets gives';
CREATE FUNCTION @extschema@.time_buckets(bucket_width interval, from_ timestamptz, to_ timestamptz, timezone text DEFAULT NULL,
        origin timestamptz DEFAULT NULL, OUT bucket timestamptz)
    RETURNS SETOF timestamptz LANGUAGE C STABLE PARALLEL SAFE SUPPORT historian.time_buckets_support
    AS 'MODULE_PATHNAME', 'historian_time_buckets';
COMMENT ON FUNCTION @extschema@.time_buckets(interval, timestamptz, timestamptz, text, timestamptz) IS
    'the starts of all buckets that have a time from from_ until before to_, in order, as time_bucket counts them; none when an '
    'argument without default is NULL. Errors: 22023 an infinite time, and those of time_bucket';

-- ------------------------------------------------------------------------------------------------ time-series aggregates

CREATE FUNCTION historian.first_step(internal, anyelement, "any") RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_first_step';
CREATE FUNCTION historian.last_step(internal, anyelement, "any") RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_last_step';
CREATE FUNCTION historian.first_combine(internal, internal) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_first_combine';
CREATE FUNCTION historian.last_combine(internal, internal) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_last_combine';
CREATE FUNCTION historian.first_last_serialize(internal) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_first_last_serialize';
CREATE FUNCTION historian.first_last_deserialize(bytea, internal) RETURNS internal
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_first_last_deserialize';
CREATE FUNCTION historian.first_last_final(internal, anyelement, "any") RETURNS anyelement
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_first_last_final';
COMMENT ON FUNCTION historian.first_step(internal, anyelement, "any") IS 'of aggregate first';
COMMENT ON FUNCTION historian.last_step(internal, anyelement, "any") IS 'of aggregate last';
COMMENT ON FUNCTION historian.first_combine(internal, internal) IS 'of aggregate first';
COMMENT ON FUNCTION historian.last_combine(internal, internal) IS 'of aggregate last';
COMMENT ON FUNCTION historian.first_last_serialize(internal) IS
    'of aggregates first and last; the bytes: src/planner/first_last_state.h';
COMMENT ON FUNCTION historian.first_last_deserialize(bytea, internal) IS 'of aggregates first and last';
COMMENT ON FUNCTION historian.first_last_final(internal, anyelement, "any") IS 'of aggregates first and last';

CREATE AGGREGATE @extschema@.first(value anyelement, "time" "any") (
    SFUNC = historian.first_step, STYPE = internal, SSPACE = 64, FINALFUNC = historian.first_last_final, FINALFUNC_EXTRA,
    COMBINEFUNC = historian.first_combine, SERIALFUNC = historian.first_last_serialize,
    DESERIALFUNC = historian.first_last_deserialize, PARALLEL = SAFE
);
CREATE AGGREGATE @extschema@.last(value anyelement, "time" "any") (
    SFUNC = historian.last_step, STYPE = internal, SSPACE = 64, FINALFUNC = historian.first_last_final, FINALFUNC_EXTRA,
    COMBINEFUNC = historian.last_combine, SERIALFUNC = historian.first_last_serialize,
    DESERIALFUNC = historian.first_last_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.first(anyelement, "any") IS
    'the value, NULL or not, at the least time; of several rows at that time any one; rows whose time is NULL do not count; NULL '
    'when there is none. The time may be of any type that can be sorted. Errors: 42883 it cannot';
COMMENT ON AGGREGATE @extschema@.last(anyelement, "any") IS 'the value, NULL or not, at the greatest time; otherwise as first';

CREATE FUNCTION historian.locf_step(anyelement, anyelement) RETURNS anyelement
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_locf_step';
COMMENT ON FUNCTION historian.locf_step(anyelement, anyelement) IS 'of aggregate locf';
CREATE AGGREGATE @extschema@.locf(value anyelement) (SFUNC = historian.locf_step, STYPE = anyelement, PARALLEL = SAFE);
COMMENT ON AGGREGATE @extschema@.locf(anyelement) IS
    'last observation carried forward: locf(value) OVER (PARTITION BY name ORDER BY bucket) is the last value that is not NULL, '
    'of this row or one before; the window''s frame says how far back. NULL when there is none';

CREATE FUNCTION @extschema@.interpolate(value double precision, "time" timestamptz) RETURNS double precision
    LANGUAGE C IMMUTABLE WINDOW PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_interpolate_time';
CREATE FUNCTION @extschema@.interpolate(value double precision, "time" double precision) RETURNS double precision
    LANGUAGE C IMMUTABLE WINDOW PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_interpolate_number';
COMMENT ON FUNCTION @extschema@.interpolate(double precision, timestamptz) IS
    'interpolate(value, bucket) OVER (PARTITION BY name ORDER BY bucket): the value; where it is NULL, the one on the line '
    'from the value before to the value after, by their times; NULL before the first and after the last one. The frame does '
    'not matter. Errors: 22023 rows are not in order of time';
COMMENT ON FUNCTION @extschema@.interpolate(double precision, double precision) IS 'the same along numbers';

CREATE TYPE @extschema@.time_value AS ("time" timestamptz, value double precision);
COMMENT ON TYPE @extschema@.time_value IS 'a point of a chart, as lttb gives it';

CREATE FUNCTION historian.lttb_step(internal, timestamptz, double precision, integer) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_lttb_step';
CREATE FUNCTION historian.lttb_final(internal) RETURNS @extschema@.time_value[]
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_lttb_final';
COMMENT ON FUNCTION historian.lttb_step(internal, timestamptz, double precision, integer) IS 'of aggregate lttb';
COMMENT ON FUNCTION historian.lttb_final(internal) IS 'of aggregate lttb';
CREATE AGGREGATE @extschema@.lttb("time" timestamptz, value double precision, threshold integer) (
    SFUNC = historian.lttb_step, STYPE = internal, SSPACE = 4096, FINALFUNC = historian.lttb_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.lttb(timestamptz, double precision, integer) IS
    'so many points, in order of time, that a line through them looks like the line through all (Largest Triangle Three '
    'Buckets); all when there are not more; NULL when there is none; rows with a NULL, NaN or infinite value do not count; '
    'keeps 16 bytes a row in memory. Errors: 22023 a threshold below 2, or not the same for all rows, an infinite time';

CREATE FUNCTION historian.time_weight_step(internal, double precision, timestamptz) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_weight_step';
CREATE FUNCTION historian.time_weight_step(internal, double precision, timestamptz, text) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_weight_step';
CREATE FUNCTION historian.time_weighted_avg_final(internal) RETURNS double precision
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_weighted_avg_final';
COMMENT ON FUNCTION historian.time_weight_step(internal, double precision, timestamptz) IS 'of aggregate time_weighted_avg';
COMMENT ON FUNCTION historian.time_weight_step(internal, double precision, timestamptz, text) IS 'of aggregate time_weighted_avg';
COMMENT ON FUNCTION historian.time_weighted_avg_final(internal) IS 'of aggregate time_weighted_avg';
CREATE AGGREGATE @extschema@.time_weighted_avg(value double precision, "time" timestamptz) (
    SFUNC = historian.time_weight_step, STYPE = internal, SSPACE = 1024, FINALFUNC = historian.time_weighted_avg_final,
    PARALLEL = SAFE
);
CREATE AGGREGATE @extschema@.time_weighted_avg(value double precision, "time" timestamptz, method text) (
    SFUNC = historian.time_weight_step, STYPE = internal, SSPACE = 1024, FINALFUNC = historian.time_weighted_avg_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.time_weighted_avg(double precision, timestamptz) IS
    'the average of a value over the time from its first to its last point, joined by lines; of a single time the mean; '
    'values at one time count as their mean; rows with a NULL do not count; NULL when there is none; keeps 16 bytes a row in '
    'memory, or nothing when called as (value, time ORDER BY time). Errors: 22023 an infinite time, 22003 overflow';
COMMENT ON AGGREGATE @extschema@.time_weighted_avg(double precision, timestamptz, text) IS
    'the same by method: linear, or locf: each value lasts until the next one. Errors: 22023 another method, or several';

CREATE FUNCTION historian.counter_step(internal, double precision, timestamptz) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_counter_step';
CREATE FUNCTION historian.counter_delta_final(internal) RETURNS double precision
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_counter_delta_final';
CREATE FUNCTION historian.counter_rate_final(internal) RETURNS double precision
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_counter_rate_final';
COMMENT ON FUNCTION historian.counter_step(internal, double precision, timestamptz) IS
    'of aggregates counter_delta and counter_rate';
COMMENT ON FUNCTION historian.counter_delta_final(internal) IS 'of aggregate counter_delta';
COMMENT ON FUNCTION historian.counter_rate_final(internal) IS 'of aggregate counter_rate';
CREATE AGGREGATE @extschema@.counter_delta(value double precision, "time" timestamptz) (
    SFUNC = historian.counter_step, STYPE = internal, SSPACE = 1024, FINALFUNC = historian.counter_delta_final, PARALLEL = SAFE
);
CREATE AGGREGATE @extschema@.counter_rate(value double precision, "time" timestamptz) (
    SFUNC = historian.counter_step, STYPE = internal, SSPACE = 1024, FINALFUNC = historian.counter_rate_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.counter_delta(double precision, timestamptz) IS
    'by how much a counter increased from its first to its last point; a decrease means that it began again from 0; 0 of a '
    'single point; rows with a NULL do not count; NULL when there is none; memory and errors as time_weighted_avg';
COMMENT ON AGGREGATE @extschema@.counter_rate(double precision, timestamptz) IS
    'counter_delta a second of the time from the first to the last point; NULL when all points have one time';

-- ------------------------------------------------------------------------------------------------ tag tables in short

CREATE FUNCTION @extschema@.tags(relation regclass, OUT tag text) RETURNS SETOF text
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'historian_tags';
COMMENT ON FUNCTION @extschema@.tags(regclass) IS
    'the tags of a tag table, or of a partitioned one''s partitions, in their order, as text; NULL is one; needs SELECT on the '
    'table. Errors: 42809 no tag table, 22004 a NULL';

CREATE FUNCTION @extschema@.tag_stat(relation regclass, names text[] DEFAULT NULL, value_column name DEFAULT NULL,
        OUT tag text, OUT row_count bigint, OUT value_count bigint, OUT first_time timestamptz, OUT last_time timestamptz,
        OUT first_value double precision, OUT last_value double precision, OUT min_value double precision,
        OUT min_time timestamptz, OUT max_value double precision, OUT max_time timestamptz, OUT sum_value double precision,
        OUT avg_value double precision)
    RETURNS SETOF record LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'historian_tag_stat';
COMMENT ON FUNCTION @extschema@.tag_stat(regclass, text[], name) IS
    'one row a tag of a tag table, in their order, of all tags or of names: how many rows and values that are not NULL, the '
    'first and last time and the values there, the least and greatest value and a time of each, sum and average; of '
    'value_column, or the first column of numbers that is neither tag nor time; needs SELECT on the table. Errors: 42809 no '
    'tag table, 42703 no such column, 42804 no column of numbers';

CREATE FUNCTION @extschema@.latest(relation regclass, names text[] DEFAULT NULL, value_column name DEFAULT NULL,
        OUT tag text, OUT "time" timestamptz, OUT value double precision)
    RETURNS SETOF record LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'historian_latest';
COMMENT ON FUNCTION @extschema@.latest(regclass, text[], name) IS
    'the newest row of each tag of a tag table, or of each of names that has one: tag, time and value; rows without a time do '
    'not count; value_column and errors as tag_stat';

CREATE FUNCTION @extschema@.gapfill(relation regclass, bucket_width interval, from_ timestamptz, to_ timestamptz,
        names text[] DEFAULT NULL, fill text DEFAULT 'null', aggregate text DEFAULT 'avg', value_column name DEFAULT NULL,
        timezone text DEFAULT NULL, OUT tag text, OUT bucket timestamptz, OUT value double precision)
    RETURNS SETOF record LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'historian_gapfill';
COMMENT ON FUNCTION @extschema@.gapfill(regclass, interval, timestamptz, timestamptz, text[], text, text, name, text) IS
    'every bucket of time_buckets(bucket_width, from_, to_, timezone) of every tag that has points then, or of names: the '
    'avg, min, max, sum, count, first or last of its values from from_ until before to_; what has none is null, or filled by '
    'locf or linear; value_column and errors as tag_stat, and 22023 other words, 22004 a NULL for an argument without default';

CREATE FUNCTION @extschema@.silent_tags(relation regclass, longer_than interval, as_of timestamptz DEFAULT NULL,
        names text[] DEFAULT NULL, value_column name DEFAULT NULL, OUT tag text, OUT last_time timestamptz,
        OUT last_value double precision, OUT silent_for interval)
    RETURNS SETOF record LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'historian_silent_tags';
COMMENT ON FUNCTION @extschema@.silent_tags(regclass, interval, timestamptz, text[], name) IS
    'the tags of a tag table whose newest point is older than an interval, in their order, with the time and value of that point '
    'and its age; as_of: what it would have said then, now by default; names: only these, and those of them that have no point '
    'at all, with NULLs; value_column as tag_stat, NULL where there is no column of numbers; needs SELECT on the table. '
    'Errors: 42809 no tag table, 42703 no such column, 42804 no column of numbers, 22023 a negative interval, 22004 a NULL';

CREATE FUNCTION @extschema@.sequence_gaps(relation regclass, sequence name DEFAULT 'sequence', key name DEFAULT NULL,
        from_ timestamptz DEFAULT NULL, to_ timestamptz DEFAULT NULL, names text[] DEFAULT NULL, reordered bigint DEFAULT 0,
        time_column name DEFAULT NULL, OUT tag text, OUT kind text, OUT previous bigint, OUT next bigint, OUT missing bigint,
        OUT duplicates bigint, OUT time_before timestamptz, OUT time_after timestamptz)
    RETURNS SETOF record LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'historian_sequence_gaps';
COMMENT ON FUNCTION @extschema@.sequence_gaps(regclass, name, name, timestamptz, timestamptz, text[], bigint, name) IS
    'what the devices'' own counters, in column sequence, say is missing between from_ and before to_, tag by tag in order of '
    'time: kind missing: no row has a number between previous and next, missing of them; restart: the counter went back from '
    'previous to next; duplicates: so many rows more than numbers, the first and last of them at time_before and time_after. '
    'key: the column of the tag, by default that of a tag table; reordered: a number up to so much lower than the highest came '
    'late or twice, lower ones are a restart; time_column: by default that of the table. For tables of any kind, and views; '
    'needs SELECT on them. Errors: 42703 no such column, 42804 of the wrong type, 22023 a negative number, 22004 a NULL';

-- ------------------------------------------------------------------------------------------------ retention

-- What is to be kept of tables. The policy of a table that is dropped goes with it.
CREATE TABLE historian.retention (
    relation regclass PRIMARY KEY,
    keep interval,                                       -- null: as long as the others leave it
    rows bigint CHECK (rows > 0),
    size bigint CHECK (size > 0),                        -- bytes
    every interval,                                      -- null: historian.retention_interval
    shrink boolean NOT NULL,                             -- give free space at the file's end back to the file system
    set_at timestamptz NOT NULL DEFAULT now()
) USING heap;
REVOKE ALL ON historian.retention FROM PUBLIC;

-- What the worker has done about it; not dumped.
CREATE TABLE historian.retention_run (
    relation regclass PRIMARY KEY,
    last_run timestamptz,
    last_rows_deleted bigint,
    total_rows_deleted bigint NOT NULL DEFAULT 0,
    held_until timestamptz,                              -- nothing is deleted before: see historian.retention_warn_share
    warning text,
    last_error text,
    shrink_waits boolean NOT NULL DEFAULT false          -- there may be space to give back
) USING heap;
REVOKE ALL ON historian.retention_run FROM PUBLIC;

-- A number in place of a name would be that of some other table after a restore.
SELECT pg_catalog.pg_extension_config_dump('historian.retention',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) relation)');

CREATE FUNCTION @extschema@.set_retention(relation regclass, keep interval DEFAULT NULL, rows bigint DEFAULT NULL,
        size text DEFAULT NULL, every interval DEFAULT NULL, shrink boolean DEFAULT false)
    RETURNS void LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'historian_set_retention';
COMMENT ON FUNCTION @extschema@.set_retention(regclass, interval, bigint, text, interval, boolean) IS
    'from now on the maintenance worker deletes, as the table''s owner, rows older than keep, the oldest ones beyond a number of '
    'rows (log tables), and the oldest ones while the table takes more than a size (''10 GB''); every: how often; shrink: give '
    'free space back to the file system; replaces the table''s policy. For the table''s owner. '
    'Errors: 42501 not the owner, 22023 a value out of range, 42809 the wrong kind of table';

CREATE FUNCTION @extschema@.set_retention(relation regclass, size bigint, keep interval DEFAULT NULL, rows bigint DEFAULT NULL,
        every interval DEFAULT NULL, shrink boolean DEFAULT false)
    RETURNS void LANGUAGE sql VOLATILE
    AS 'SELECT @extschema@.set_retention($1, keep => $3, rows => $4, size => $2::pg_catalog.text, every => $5, shrink => $6)';
COMMENT ON FUNCTION @extschema@.set_retention(regclass, bigint, interval, bigint, interval, boolean) IS
    'the same with the size in bytes';

CREATE FUNCTION @extschema@.drop_retention(relation regclass) RETURNS void
    LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'historian_drop_retention';
COMMENT ON FUNCTION @extschema@.drop_retention(regclass) IS
    'ends the retention policy of a table; for its owner. Errors: 42704 it has none, 42501 not the owner';

CREATE FUNCTION historian.run_retention(relation regclass) RETURNS bigint
    LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_run_retention';
REVOKE ALL ON FUNCTION historian.run_retention(regclass) FROM PUBLIC;
COMMENT ON FUNCTION historian.run_retention(regclass) IS
    'what the maintenance worker calls: deletes what the table''s policy wants deleted, as its owner, and returns how many rows; '
    'NULL when it has no policy or is locked by DDL';

CREATE FUNCTION historian.shrink_step(relation regclass, first boolean) RETURNS bigint
    LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'historian_shrink_step';
REVOKE ALL ON FUNCTION historian.shrink_step(regclass, boolean) FROM PUBLIC;
COMMENT ON FUNCTION historian.shrink_step(regclass, boolean) IS
    'what the maintenance worker calls until it returns 0: gives the file''s free end back, or moves segments away from there; '
    'first: the first of several calls; NULL: it cannot now, try again later';

CREATE VIEW historian.retention_state AS
    SELECT p.relation, p.keep, p.rows, p.size, e.every, p.shrink, r.last_run, r.last_rows_deleted,
        coalesce(r.total_rows_deleted, 0) AS total_rows_deleted,
        CASE WHEN r.held_until IS NOT NULL THEN r.held_until
            WHEN r.last_run < p.set_at OR r.last_run IS NULL THEN p.set_at
            ELSE r.last_run + e.every END AS next_run,
        r.warning, r.last_error, coalesce(r.shrink_waits, false) AND p.shrink AS shrink_waits
    FROM historian.retention AS p JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) p.relation
        LEFT JOIN historian.retention_run AS r ON r.relation OPERATOR(pg_catalog.=) p.relation,
        LATERAL (SELECT coalesce(p.every, pg_catalog.current_setting('historian.retention_interval')::interval) AS every) AS e;
REVOKE ALL ON historian.retention_state FROM PUBLIC;

CREATE VIEW @extschema@.retention_policies WITH (security_barrier) AS
    SELECT relation, keep, rows, size, every, shrink, last_run, last_rows_deleted, total_rows_deleted, next_run, warning,
        last_error
    FROM historian.retention_state
    WHERE pg_catalog.has_table_privilege(relation, 'SELECT') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW @extschema@.retention_policies IS
    'The retention policies of tables that you may read, and how they fare. size is in bytes; warning: a large deletion waits '
    'until next_run; last_error is NULL after a run that succeeded.';
GRANT SELECT ON @extschema@.retention_policies TO PUBLIC;

-- ------------------------------------------------------------------------------------------------ search

-- Kept as its text, so that it is dumped as it was written.
CREATE TYPE @extschema@.search_query;

CREATE FUNCTION historian.search_query_in(cstring) RETURNS @extschema@.search_query
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_search_query_in';
CREATE FUNCTION historian.search_query_out(@extschema@.search_query) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textout';
CREATE FUNCTION historian.search_query_recv(internal) RETURNS @extschema@.search_query
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_search_query_recv';
CREATE FUNCTION historian.search_query_send(@extschema@.search_query) RETURNS bytea
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textsend';
COMMENT ON FUNCTION historian.search_query_in(cstring) IS 'I/O of search_query; errors as those of search(text)';
COMMENT ON FUNCTION historian.search_query_out(@extschema@.search_query) IS 'I/O of search_query';
COMMENT ON FUNCTION historian.search_query_recv(internal) IS 'I/O of search_query; errors as those of search(text)';
COMMENT ON FUNCTION historian.search_query_send(@extschema@.search_query) IS 'I/O of search_query';

CREATE TYPE @extschema@.search_query (
    INPUT = historian.search_query_in, OUTPUT = historian.search_query_out,
    RECEIVE = historian.search_query_recv, SEND = historian.search_query_send,
    LIKE = pg_catalog.text, CATEGORY = 'U'
);
COMMENT ON TYPE @extschema@.search_query IS
    'what to search texts for, for the operator @@: words, phrases, patterns, AND, OR, NOT';

CREATE FUNCTION @extschema@.search(query text) RETURNS @extschema@.search_query
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_search';
COMMENT ON FUNCTION @extschema@.search(text) IS
    'a query for msg @@ search(''...''): all of these words, whole and in any case; "a phrase"; err* *base a*z; a OR b, a | b; '
    'NOT a, -a; parentheses; a term of several words such as 10.0.0.3 is a phrase; a query without any word matches nothing. '
    'Errors: 42601 a quote or parenthesis that is not closed, an operator without a term, 54000 more than 1 MB';

-- COST: of a message of 100 bytes one and a half times what LIKE takes when it is ASCII, several times when it is not.
CREATE FUNCTION @extschema@.search_matches(message text, query @extschema@.search_query) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 3 AS 'MODULE_PATHNAME', 'historian_search_matches';
COMMENT ON FUNCTION @extschema@.search_matches(text, @extschema@.search_query) IS
    'whether a text matches a query: message @@ query';

CREATE FUNCTION historian.search_matches_commuted(query @extschema@.search_query, message text) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 3 AS 'MODULE_PATHNAME', 'historian_search_matches_commuted';
COMMENT ON FUNCTION historian.search_matches_commuted(@extschema@.search_query, text) IS
    'whether a text matches a query: query @@ message';

CREATE OPERATOR @extschema@.@@ (
    LEFTARG = text, RIGHTARG = @extschema@.search_query, FUNCTION = @extschema@.search_matches,
    COMMUTATOR = OPERATOR(@extschema@.@@), RESTRICT = pg_catalog.matchingsel, JOIN = pg_catalog.matchingjoinsel
);
CREATE OPERATOR @extschema@.@@ (
    LEFTARG = @extschema@.search_query, RIGHTARG = text, FUNCTION = historian.search_matches_commuted,
    COMMUTATOR = OPERATOR(@extschema@.@@), RESTRICT = pg_catalog.matchingsel, JOIN = pg_catalog.matchingjoinsel
);
COMMENT ON OPERATOR @extschema@.@@ (text, @extschema@.search_query) IS 'text matches search query';
COMMENT ON OPERATOR @extschema@.@@ (@extschema@.search_query, text) IS 'search query matches text';

CREATE FUNCTION @extschema@.tokens(message text) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20 AS 'MODULE_PATHNAME', 'historian_tokens';
COMMENT ON FUNCTION @extschema@.tokens(text) IS
    'how search cuts a text: its words in order, mapped as they are compared; CJK runs as pairs of neighbouring letters';

-- ------------------------------------------------------------------------------------------------ MQTT

-- Holds passwords: nobody but the extension's owner reads it. mqtt_status shows the rest. A new version of a row restarts the
-- subscription's workers.
CREATE TABLE historian.mqtt_subscription (
    id bigint GENERATED BY DEFAULT AS IDENTITY UNIQUE,   -- part of the client id: a new subscription never meets an old session
    name text PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 63),
    owner regrole NOT NULL,
    broker text NOT NULL,                                -- mqtt[s]://host:port, several separated by commas
    topic text NOT NULL,                                 -- filters, separated by commas
    target regclass,                                     -- null: the topic names the table
    username text,
    password text,
    cafile text,
    certfile text,
    keyfile text,
    keypassword text,
    insecure boolean NOT NULL,
    qos integer NOT NULL CHECK (qos IN (0, 1)),
    workers integer NOT NULL CHECK (workers BETWEEN 1 AND 32),
    protocol integer NOT NULL CHECK (protocol IN (3, 5)),
    keepalive integer NOT NULL CHECK (keepalive BETWEEN 5 AND 65535),
    client_id text,
    in_schema name NOT NULL,
    format text,                                         -- these five: of payloads that do not say it themselves
    timeformat text,
    tz text,
    header text,
    delimiter text,
    enabled boolean NOT NULL,
    mapping jsonb,                                       -- bgworker/mapping.h
    transform text,                                      -- schema.function(argument types)
    former_topics text[] NOT NULL DEFAULT '{}',          -- of before mqtt_alter: sessions are unsubscribed from these
    created_at timestamptz NOT NULL DEFAULT now()
) USING heap;
REVOKE ALL ON historian.mqtt_subscription FROM PUBLIC;

-- Sessions that brokers hold for us. Not dumped: the client id has the system identifier and the database in it, so that a
-- restored database is another client.
CREATE TABLE historian.mqtt_session (
    subscription bigint NOT NULL,
    client_id text NOT NULL,
    broker text NOT NULL,                                -- host:port
    topic text NOT NULL,                                 -- to which it was last subscribed
    PRIMARY KEY (subscription, client_id, broker)
) USING heap;
REVOKE ALL ON historian.mqtt_session FROM PUBLIC;

CREATE TABLE historian.mqtt_dead_letter (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    subscription text NOT NULL,
    owner regrole NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL,                              -- the first 1 kB when it was larger than historian.mqtt_payload_max
    payload_bytes bigint NOT NULL,                       -- as published
    qos smallint NOT NULL,
    retained boolean NOT NULL,
    error text NOT NULL,                                 -- of the last attempt
    sqlstate text NOT NULL,
    attempts integer NOT NULL DEFAULT 1,
    last_attempt timestamptz NOT NULL DEFAULT now(),
    properties jsonb,                                    -- user properties of MQTT 5; an array where a name repeats
    content_type text
) USING heap;
CREATE INDEX ON historian.mqtt_dead_letter (subscription, id);
REVOKE ALL ON historian.mqtt_dead_letter FROM PUBLIC;

-- What the workers of a subscription have stored, counted in the transactions that store it: exact across crashes. Not dumped: a
-- restored database is a new client of the broker.
CREATE TABLE historian.mqtt_progress (
    subscription bigint NOT NULL REFERENCES historian.mqtt_subscription (id) ON DELETE CASCADE,
    worker smallint NOT NULL,                            -- from 1; 0: mqtt_replay()
    messages bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,                     -- of payloads, as published
    batches bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    redelivered bigint NOT NULL DEFAULT 0,
    connects bigint NOT NULL DEFAULT 0,
    sessions_lost bigint NOT NULL DEFAULT 0,
    gaps bigint NOT NULL DEFAULT 0,
    last_commit timestamptz,
    newest_time timestamptz,                             -- of a row; one that is yet to come counts as of its arrival
    last_seen timestamptz,                               -- when the connection was known to be there
    session_expiry bigint,                               -- seconds that the broker keeps a session without us; null: for ever
    broker text,                                         -- of the last connection
    PRIMARY KEY (subscription, worker)
) USING heap WITH (fillfactor = 20);                     -- room for new versions: one a batch, without touching the index
REVOKE ALL ON historian.mqtt_progress FROM PUBLIC;

-- When messages may have been lost. The newest thousand of a subscription.
CREATE TABLE historian.mqtt_gap (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    subscription text NOT NULL,
    owner regrole NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL,
    detail text NOT NULL,
    since timestamptz,                                   -- null: not known
    until timestamptz NOT NULL,
    times bigint NOT NULL DEFAULT 1                      -- of one kind within an hour
) USING heap;
CREATE INDEX ON historian.mqtt_gap (subscription, id);
REVOKE ALL ON historian.mqtt_gap FROM PUBLIC;

-- pg_dump keeps subscriptions, dead letters and gaps.
SELECT pg_catalog.pg_extension_config_dump('historian.mqtt_subscription', '');
SELECT pg_catalog.pg_extension_config_dump('historian.mqtt_subscription_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('historian.mqtt_dead_letter', '');
SELECT pg_catalog.pg_extension_config_dump('historian.mqtt_dead_letter_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('historian.mqtt_gap', '');
SELECT pg_catalog.pg_extension_config_dump('historian.mqtt_gap_id_seq', '');

CREATE VIEW @extschema@.mqtt_dead_letter WITH (security_barrier) AS
    SELECT id, received_at, subscription, topic, payload, payload_bytes, qos, retained, error, sqlstate, attempts,
        last_attempt, properties, content_type
    FROM historian.mqtt_dead_letter
    WHERE pg_catalog.pg_has_role(owner, 'USAGE');
COMMENT ON VIEW @extschema@.mqtt_dead_letter IS
    'Messages that could not be stored, and why: of the subscriptions whose owner''s rights you have. mqtt_replay tries them '
    'again; delete what is dealt with.';
GRANT SELECT, DELETE ON @extschema@.mqtt_dead_letter TO PUBLIC;

CREATE VIEW @extschema@.mqtt_gap WITH (security_barrier) AS
    SELECT subscription, at, kind, detail, since, until, times
    FROM historian.mqtt_gap
    WHERE pg_catalog.pg_has_role(owner, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW @extschema@.mqtt_gap IS
    'When messages of MQTT subscriptions may have been lost, as far as it can be known: published between the times since and '
    'until, or waiting at the broker at the first. kind: session_lost, session_expired, session_taken_over, not_connected '
    '(quality of service 0), session_left (by mqtt_alter). The newest thousand of a subscription.';
GRANT SELECT ON @extschema@.mqtt_gap TO PUBLIC;

CREATE FUNCTION @extschema@.mqtt_subscribe(name text, broker text, topic text, target regclass DEFAULT NULL,
    username text DEFAULT NULL, password text DEFAULT NULL, cafile text DEFAULT NULL, certfile text DEFAULT NULL,
    keyfile text DEFAULT NULL, keypassword text DEFAULT NULL, insecure boolean DEFAULT false, qos integer DEFAULT 1,
    workers integer DEFAULT 1, protocol integer DEFAULT 5, keepalive integer DEFAULT 60, client_id text DEFAULT NULL,
    in_schema name DEFAULT current_schema(), format text DEFAULT NULL, timeformat text DEFAULT NULL, tz text DEFAULT NULL,
    header text DEFAULT NULL, delimiter text DEFAULT NULL, enabled boolean DEFAULT true, mapping jsonb DEFAULT NULL,
    transform text DEFAULT NULL)
    RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'historian_mqtt_subscribe';
COMMENT ON FUNCTION @extschema@.mqtt_subscribe IS
    'Stores what arrives at an MQTT broker, from COMMIT on and whenever the server runs, with the rights of the caller. '
    'Topics db/append/TABLE name tables of in_schema that belong to the caller or to a role with the caller''s rights; '
    'with target, every message goes there, whoever owns it. broker: mqtt://host:port or mqtts://host:port, several separated by '
    'commas are tried in order; topic: filters, separated by commas; keepalive in seconds; protocol 5, or 3 for MQTT 3.1.1; '
    'mapping: columns of target and where their values are in a message; transform: a function (payload, topic [, properties]) '
    'that returns rows for target. '
    'Errors: 42710 the name is taken, 22023 an option, 42501 rights, 55000 not preloaded or the caller may not log in.';
REVOKE ALL ON FUNCTION @extschema@.mqtt_subscribe FROM PUBLIC;

CREATE FUNCTION @extschema@.mqtt_alter(name text, broker text DEFAULT NULL, topic text DEFAULT NULL, target regclass DEFAULT NULL,
    username text DEFAULT NULL, password text DEFAULT NULL, cafile text DEFAULT NULL, certfile text DEFAULT NULL,
    keyfile text DEFAULT NULL, keypassword text DEFAULT NULL, insecure boolean DEFAULT NULL, qos integer DEFAULT NULL,
    workers integer DEFAULT NULL, protocol integer DEFAULT NULL, keepalive integer DEFAULT NULL, client_id text DEFAULT NULL,
    in_schema name DEFAULT NULL, format text DEFAULT NULL, timeformat text DEFAULT NULL, tz text DEFAULT NULL,
    header text DEFAULT NULL, delimiter text DEFAULT NULL, enabled boolean DEFAULT NULL, mapping jsonb DEFAULT NULL,
    transform text DEFAULT NULL, owner regrole DEFAULT NULL)
    RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'historian_mqtt_alter';
COMMENT ON FUNCTION @extschema@.mqtt_alter IS
    'Changes the options of an MQTT subscription that are given; the empty text, the table ''-'' and the mapping ''null'' take '
    'an option away. '
    'At COMMIT its workers finish what they have received and connect again. '
    'Errors: 42704 no such subscription, 42501 not its owner or rights that an option needs, 22023 an option.';

CREATE FUNCTION @extschema@.mqtt_unsubscribe(name text)
    RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'historian_mqtt_unsubscribe';
COMMENT ON FUNCTION @extschema@.mqtt_unsubscribe(text) IS
    'Drops an MQTT subscription and, when its worker runs and the broker can be reached, its session there; warns otherwise. '
    'Errors: 42704 no such subscription, 42501 not its owner.';

CREATE FUNCTION @extschema@.mqtt_enable(name text)
    RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'historian_mqtt_enable';
COMMENT ON FUNCTION @extschema@.mqtt_enable(text) IS
    'Starts a disabled MQTT subscription again; the broker sends what it kept. '
    'Errors: 42704 no such subscription, 42501 not its owner.';

CREATE FUNCTION @extschema@.mqtt_disable(name text)
    RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'historian_mqtt_disable';
COMMENT ON FUNCTION @extschema@.mqtt_disable(text) IS
    'Stops an MQTT subscription; the broker goes on keeping messages for it. '
    'Errors: 42704 no such subscription, 42501 not its owner.';

CREATE FUNCTION @extschema@.mqtt_resume(name text)
    RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'historian_mqtt_resume';
COMMENT ON FUNCTION @extschema@.mqtt_resume(text) IS
    'Makes an MQTT subscription connect now: enables it when it was disabled, ends the wait after a failure, reads its files '
    'again. '
    'Errors: 42704 no such subscription, 42501 not its owner.';

CREATE FUNCTION historian.mqtt_owner_problem(owner oid) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) owner)
            THEN 'its owner was dropped; a superuser can name another: mqtt_alter(name, owner => ...)'
        WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 OPERATOR(pg_catalog.<) 170000
            AND NOT (SELECT r.rolcanlogin FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) owner)
            THEN 'its owner is not permitted to log in'
        WHEN NOT pg_catalog.has_database_privilege(owner, pg_catalog.current_database(), 'CONNECT')
            THEN 'its owner is not permitted to connect to this database'
        END
$$;
COMMENT ON FUNCTION historian.mqtt_owner_problem(oid) IS
    'Why a role cannot have the session of an MQTT worker; null when it can.';

CREATE FUNCTION @extschema@.mqtt_replay(name text, ids bigint[] DEFAULT NULL, OUT stored bigint, OUT failed bigint,
    OUT truncated bigint)
    RETURNS record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'historian_mqtt_replay';
COMMENT ON FUNCTION @extschema@.mqtt_replay(text, bigint[]) IS
    'Tries the dead letters of an MQTT subscription again, all or those of ids, in their order, with its owner''s rights: what '
    'is stored is removed in this transaction, what fails stays with the new error. Returns how many were stored and failed, and '
    'how many hold but the beginning of a payload. Deferred constraints are checked at once, until the transaction ends. '
    'Errors: 42704 no such subscription, 42501 not its owner, and what is the server''s fault (40, 53, 57, 58, 55P03).';

CREATE FUNCTION historian.mqtt_worker_status(OUT id bigint, OUT worker integer, OUT state text, OUT pid integer,
    OUT connected_since timestamptz, OUT protocol text, OUT session_present boolean, OUT last_error text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'historian_mqtt_worker_status';
COMMENT ON FUNCTION historian.mqtt_worker_status() IS
    'Behind mqtt_status: the workers of subscriptions whose owner''s rights the caller has.';

-- One row a subscription, however many workers it has: the state that is farthest from receiving.
CREATE VIEW @extschema@.mqtt_status WITH (security_barrier) AS
    SELECT s.name, s.owner, CASE WHEN w.connected_since IS NULL THEN s.broker ELSE coalesce(p.broker, s.broker) END AS broker,
        s.topic, s.target, s.enabled, coalesce(w.workers, 0) AS workers, coalesce(w.state, 'stopped') AS state, w.pid,
        w.connected_since, w.protocol, w.session_present, coalesce(p.messages, 0) AS messages, coalesce(p.rows, 0) AS rows,
        coalesce(p.bytes, 0) AS bytes, coalesce(p.batches, 0) AS batches, coalesce(p.rejected, 0) AS rejected,
        (SELECT count(*) FROM historian.mqtt_dead_letter d WHERE d.subscription = s.name AND d.owner = s.owner) AS dead_letters,
        CASE WHEN p.newest_time IS NOT NULL THEN greatest(statement_timestamp() - p.newest_time, '0') END AS lag,
        coalesce(p.redelivered, 0) AS redelivered, p.last_commit,
        coalesce(historian.mqtt_owner_problem(s.owner), w.last_error) AS last_error, coalesce(p.gaps, 0) AS gaps,
        coalesce(p.connects, 0) AS connects, coalesce(p.sessions_lost, 0) AS sessions_lost
    FROM historian.mqtt_subscription s
        LEFT JOIN (
            SELECT id, count(*) FILTER (WHERE pid IS NOT NULL) AS workers,
                (array_agg(state ORDER BY array_position(
                    '{waiting,connecting,starting,subscribing,receiving,stopped}', state)))[1] AS state,
                min(pid) AS pid, CASE WHEN bool_and(connected_since IS NOT NULL) THEN max(connected_since) END AS connected_since,
                max(protocol) AS protocol, bool_and(session_present) AS session_present,
                string_agg(DISTINCT last_error, '; ') AS last_error
            FROM historian.mqtt_worker_status() GROUP BY id) w USING (id)
        LEFT JOIN (
            SELECT subscription AS id, sum(messages)::bigint AS messages, sum(rows)::bigint AS rows, sum(bytes)::bigint AS bytes,
                sum(batches)::bigint AS batches, sum(rejected)::bigint AS rejected, sum(redelivered)::bigint AS redelivered,
                sum(connects)::bigint AS connects, sum(sessions_lost)::bigint AS sessions_lost, sum(gaps)::bigint AS gaps,
                max(last_commit) AS last_commit, max(newest_time) AS newest_time, string_agg(DISTINCT broker, ',') AS broker
            FROM historian.mqtt_progress GROUP BY subscription) p USING (id)
    WHERE pg_catalog.pg_has_role(s.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW @extschema@.mqtt_status IS
    'How MQTT subscriptions fare; state is receiving when all is well. Counters count since the subscription was made, in the '
    'transactions that store: exact across crashes. rejected: dead letters ever written, dead_letters: those that are there; '
    'redelivered: messages that the broker said it had sent before; lag: the age of the newest point.';
GRANT SELECT ON @extschema@.mqtt_status TO PUBLIC;

-- ------------------------------------------------------------------------------------------------ workers

CREATE FUNCTION historian.database_worker_status(OUT database oid, OUT pid integer, OUT state text, OUT last_round timestamptz,
    OUT rounds bigint, OUT work bigint, OUT last_error text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'historian_database_worker_status';

CREATE VIEW @extschema@.historian_workers AS
    SELECT d.datname AS database, w.pid, w.state, w.last_round, w.rounds, w.work, w.last_error
    FROM historian.database_worker_status() w JOIN pg_catalog.pg_database d ON d.oid = w.database
    WHERE d.datname = pg_catalog.current_database();
COMMENT ON VIEW @extschema@.historian_workers IS
    'The maintenance worker of this database: rounds of historian.maintain() and the work they did, since the server started.';
GRANT SELECT ON @extschema@.historian_workers TO PUBLIC;

CREATE FUNCTION historian.wake_workers() RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'historian_wake_workers';
REVOKE ALL ON FUNCTION historian.wake_workers() FROM PUBLIC;
SELECT historian.wake_workers();
