-- TSBS's questions of the use case "devops" (test/bench/tsbs) have the same answers on tag tables as on a heap table, with and without
-- what makes them fast; and the plans that make them fast.
\set hosts 12
\set hours 3
\set seed 0.5
\i test/bench/tsbs/tables.sql
\i test/bench/tsbs/questions.sql
\i test/bench/tsbs/compare.sql
SELECT count(*), count(DISTINCT hostname) AS hosts, count(*) FILTER (WHERE usage_user > 90) > 0 AS some_are_busy FROM cpu_heap;

CREATE VIEW difference AS
    SELECT name, form, points, row_count, difference_count
    FROM question AS q, unnest('{cpu_by_id,cpu_by_name}'::text[]) AS points, differences(q, points);
SELECT * FROM difference WHERE difference_count > 0 OR (row_count = 0 AND name <> 'high-cpu-1');
SELECT count(*) AS answers, sum(row_count) > 5000 AS have_rows FROM difference;
SET historian.enable_aggregate = off;
SELECT * FROM difference WHERE difference_count > 0;
SET historian.enable_ordered_scan = off;
SET historian.enable_last_point = off;
SET historian.enable_scan = off;
SELECT * FROM difference WHERE difference_count > 0;
RESET historian.enable_aggregate;
RESET historian.enable_ordered_scan;
RESET historian.enable_last_point;
RESET historian.enable_scan;

-- The nodes of each plan, on the table that the form is for.
CREATE FUNCTION nodes(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    nodes text[] := '{}';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        IF line ~ 'One Row per Tag' THEN nodes := nodes || 'One Row per Tag'::text; END IF;
        IF nodes = '{}' OR line ~ '->' THEN nodes := nodes || regexp_replace(line, '^ *(-> *)?| using .*| on .*', '', 'g'); END IF;
    END LOOP;
    RETURN array_to_string(nodes, ' > ');
END $$;
SET enable_incremental_sort = off;  -- which version 16 takes, over an index scan
SELECT nodes(replace(statement, '{cpu}', CASE form WHEN 'name' THEN 'cpu_by_name' ELSE 'cpu_by_id' END)),
    string_agg(name || ' ' || form, ', ' ORDER BY number) AS questions
    FROM question GROUP BY 1 ORDER BY min(number);
RESET enable_incremental_sort;
DROP TABLE tags, cpu_heap, cpu_by_id, cpu_by_name, question CASCADE;
DROP FUNCTION is_alike, answer, nodes;
