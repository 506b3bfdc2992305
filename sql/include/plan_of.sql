-- EXPLAIN in the words of version 15. Later ones show decimals of rows, "Disabled" and "Window" (18), what a subquery gave as
-- "(InitPlan 1).col1" for $0 (17), and a column of a scan on the left of a join clause (16).
CREATE OR REPLACE FUNCTION in_one_wording(line text) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(regexp_replace(regexp_replace(replace(replace(line,
        '(InitPlan 1).col1', '$0'),
        '(InitPlan 2).col1', '$1'),
        '\n *"?Disabled"?: false,?', '', 'g'),
        ' \(returns \$\d+\)', ''),
        '\((\w+\.\w+) = (\w+|"\w+")\)', '(\2 = \1)', 'g')
$$;
CREATE OR REPLACE FUNCTION plan_of(statement text, options text DEFAULT 'ANALYZE') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    rows text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF, ' || options || ') ' || statement LOOP
        IF line ~ '^ *Window: ' THEN CONTINUE; END IF;
        FOR rows IN SELECT (regexp_matches(line, '(?:rows=|Actual Rows"?: )(\d+\.\d+)', 'g'))[1] LOOP
            line := replace(line, rows, round(rows::float8)::text);
        END LOOP;
        RETURN NEXT in_one_wording(line);
    END LOOP;
END $$;
