-- Whether a question of questions.sql has the same answer on two tables. For psql.
--
-- Answers are compared row by row and value by value, in the order that the question asks for. Averages are sums of floats, which
-- depend in their last digits on the order in which rows are added: they may differ by one in a million millions. All else is exact.
CREATE FUNCTION is_alike(a jsonb, b jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN a IS NULL OR b IS NULL THEN false WHEN a = b THEN true ELSE NOT EXISTS (
        SELECT FROM jsonb_each(a) AS x FULL JOIN jsonb_each(b) AS y USING (key)
        WHERE x.value IS DISTINCT FROM y.value AND
            CASE WHEN key LIKE 'avg%' AND jsonb_typeof(x.value) = 'number' AND jsonb_typeof(y.value) = 'number'
                THEN abs(x.value::float8 - y.value::float8) > 1e-12 * abs(x.value::float8) ELSE true END) END $$;

CREATE FUNCTION answer(statement text, is_ordered boolean, points text) RETURNS TABLE (place bigint, record jsonb) LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT row_number() OVER (%s), record FROM (SELECT to_jsonb(r) AS record FROM (%s) AS r OFFSET 0) AS a',
                                CASE WHEN is_ordered THEN '' ELSE 'ORDER BY record::text COLLATE "C"' END,
                                replace(statement, '{cpu}', points));
END $$;

CREATE FUNCTION differences(question, points text, OUT row_count bigint, OUT difference_count bigint) LANGUAGE sql AS $$
    SELECT count(*), count(*) FILTER (WHERE NOT is_alike(a.record, b.record))
    FROM answer($1.statement, $1.is_ordered, 'cpu_heap') AS a FULL JOIN answer($1.statement, $1.is_ordered, points) AS b USING (place) $$;
