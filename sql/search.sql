-- Search: how texts are cut, what each form of a query means, what is refused. Works on any table; doc/search.md says the same in words.
\set SHOW_CONTEXT never

-- words: runs of letters, marks and digits
SELECT tokens('Error 102: pump/7 failed_at 10.0.0.3');
SELECT what, tokens(what) FROM (VALUES
    ('10.0.0.3:8080'), ('2001:db8::ff00:42:8329'), ('550e8400-e29b-41d4-a716-446655440000'), ('/var/log/syslog.1'),
    ('C:\Windows\System32'), ('user.name@example.com'), ('https://host/a?b=c&d=e'), ('0xDEADBEEF'), ('-12.5e3'), ('1,234,567'),
    ('snake_case'), ('camelCase'), ('don''t'), ('C++'), ('#tag'), ('100%'), ('2026-01-02T03:04:05.678Z')) v(what);
-- mapped: case, composition, width, ligatures, invisible characters (which psql knows in version 16 only: not aligned)
\pset format unaligned
SELECT what, tokens(what) FROM (VALUES
    ('ＥＲＲＯＲ　１０２'), ('Straße'), ('ﬁle'), (U&'cafe\0301'), ('CAFÉ'), (U&'soft\00adware'), ('x²'), ('№ ①'), ('ｶﾞｽ'),
    (U&'\1103\1162\1112\1161\11ab')) v(what);
\pset format aligned
SELECT tokens(U&'\1103\1162\1112\1161\11ab') = tokens('대한') AS decomposed_hangul, tokens(U&'cafe\0301') = tokens('café') AS accent;
-- CJK runs: pairs of neighbours, cut where the script changes
SELECT what, tokens(what) FROM (VALUES
    ('대한민국'), ('한 국어'), ('Machbaseは円柱状のDBMSです'), ('서버3호기 재시작'), ('エラー・警告'), ('数据库，错误。')) v(what);
SELECT tokens(''), tokens(' ,.;:!? '), tokens(NULL);
SELECT length((tokens(repeat('x', 100000)))[1]) AS bytes, array_length(tokens(repeat('a b ', 100000)), 1) AS words;

CREATE TABLE logs (id int, msg text);
INSERT INTO logs VALUES
    (1, 'Error 102: connection refused'),
    (2, 'error 1020: connection to 10.0.0.3 refused'),
    (3, 'ERROR-102 at 10.0.0.31'),
    (4, 'pump/7 errno=5 in database'),
    (5, '대한민국 서버 오류'),
    (6, '대한 민국'),
    (7, 'Machbaseは円柱状のDBMSです'),
    (8, ''),
    (9, '... --- ...'),
    (10, NULL);

-- every form next to its meaning
SELECT query, meaning, (SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '-') FROM logs WHERE msg @@ search(query)) AS found
FROM (VALUES
    (1, 'Error 102', 'both words, whole, in any case and order'),
    (2, 'error', 'not errors, errno'),
    (3, '102 ERROR', 'order does not matter'),
    (4, '"error 102"', 'a phrase: the words follow one another'),
    (5, '"102 error"', 'in this order'),
    (6, 'error-102', 'a term of several words is a phrase'),
    (7, '10.0.0.3', 'so is an address'),
    (8, '10.0.0.*', 'each word of a phrase may be a pattern'),
    (9, '"connection * 10"', 'a * alone is any word'),
    (10, 'err*', 'begins with'),
    (11, '*base', 'ends with'),
    (12, 'e*r', 'begins and ends with'),
    (13, '*rno*', 'has in it'),
    (14, '*', 'has a word'),
    (15, 'pump OR pumps OR 102', 'one of them'),
    (16, 'pump | 102', 'the same'),
    (17, 'error NOT 102', 'one, and not the other'),
    (18, 'error -102', 'the same'),
    (19, '-error', 'all that have it not'),
    (20, 'NOT (error OR 서버)', 'a group'),
    (21, 'connection 102 | pump', 'AND binds stronger than OR'),
    (22, 'connection (102 | pump)', 'unless grouped'),
    (23, 'connection AND refused', 'AND may be written'),
    (24, 'error -"connection refused"', 'a phrase that must not be there'),
    (25, 'or', 'in lower case an ordinary word'),
    (26, '"OR"', 'so is a quoted one'),
    (27, '대한', 'CJK: found inside a run'),
    (28, '민국', 'wherever it stands'),
    (29, '한민', 'not across a blank'),
    (30, '대한민국', 'all its letters, joined'),
    (31, '"대한 민국"', 'apart here, apart there'),
    (32, '한', 'one letter'),
    (33, '대*국', 'letters between, in one run'),
    (34, '대한*', 'the same as without'),
    (35, 'Machbase DBMS', 'words in mixed text'),
    (36, 'DBMSです', 'neighbours across scripts'),
    (37, 'ｅｒｒｏｒ　１０２', 'full-width, with an ideographic space'),
    (38, '', 'nothing'),
    (39, '... --- / : *!', 'the * is a word: any'),
    (40, '--- ...', 'no word: matches nothing'),
    (41, 'NOT ...', 'likewise'),
    (42, 'pump | ---', 'what has no word is left out'),
    (43, '- 5', 'a single - is punctuation'),
    (44, '--pump', 'so are two'),
    (45, 'pump()', 'an empty group is left out'),
    (46, 'NOT NOT pump', 'twice is not at all')) v(n, query, meaning) ORDER BY n;

-- NULL, types, the commutator, one query for each row
SELECT NULL @@ search('a') AS text_null, 'a' @@ search(NULL) AS query_null;
CREATE DOMAIN message AS text;
CREATE TABLE typed (v varchar(20), d message, c char(10), n name);
INSERT INTO typed VALUES ('disk full', 'disk full', 'disk full', 'disk full');
SELECT v @@ search('disk') AS varchar, d @@ search('disk') AS domain, c @@ search('disk') AS char, n @@ search('disk') AS name,
    'disk full' @@ search('disk') AS literal, search('disk') @@ v AS commuted, search('disk') @@ 'disk full' AS commuted_literal,
    search_matches(v, 'disk') AS function, v @@ 'disk'::search_query AS cast
FROM typed;
SELECT id, q, msg @@ q AS found
FROM logs, (VALUES (search('pump')), (search('error')), (search('pump'))) v(q) WHERE id IN (1, 4) ORDER BY id, q::text;
PREPARE find(text) AS SELECT count(*) FROM logs WHERE msg @@ search($1);
EXECUTE find('error');
EXECUTE find('대한');
SET plan_cache_mode = force_generic_plan;
EXECUTE find('error -102');
RESET plan_cache_mode;
-- PostgreSQL's own @@ stays
SELECT to_tsvector('simple', 'disk full') @@ to_tsquery('simple', 'disk') AS tsvector, 'disk full'::text @@ 'disk'::text AS text;

-- dumped as written, restored the same; binary too
CREATE TABLE queries (q search_query);
INSERT INTO queries VALUES (search(' Error  -102 | "a (b" ')), ('대한*'), ('');
SELECT q, quote_literal(q::text), q::text::search_query::text = q::text AS same FROM queries ORDER BY q::text;
SELECT encode(historian.search_query_send(q), 'escape') FROM queries ORDER BY q::text;
COPY queries TO STDOUT;

-- cheap conditions come first; a query of thousands of words; a search path without the extension's schema
EXPLAIN (COSTS OFF) SELECT * FROM logs WHERE msg @@ search('error') AND id = 3;
SELECT count(*) FROM logs WHERE msg @@ search((SELECT string_agg('word' || i, ' | ') || ' | pump' FROM generate_series(1, 5000) i));
SELECT count(*) FROM logs WHERE msg @@ search(repeat('(', 100000) || 'pump' || repeat(')', 100000));
SET search_path = pg_catalog;
SELECT 'disk full'::text OPERATOR(public.@@) public.search('disk') AS found, public.tokens('a b');
RESET search_path;

-- long texts and words: compressed, out of line, not ASCII
CREATE TABLE long (id int, msg text);
INSERT INTO long VALUES
    (1, repeat('filler text ', 100000) || 'needle'), (2, repeat('대한민국 ', 100000) || 'needle'), (3, repeat('가', 300000) || '나'),
    (4, repeat('x', 300000) || 'y'), (5, 'needles');
SELECT id FROM long WHERE msg @@ search('needle') ORDER BY id;
SELECT id FROM long WHERE msg @@ search('가나') ORDER BY id;
SELECT id FROM long WHERE msg @@ search('x*y') ORDER BY id;
SELECT id FROM long WHERE msg @@ search(repeat('X', 300000) || 'Y') ORDER BY id;
SELECT id FROM long WHERE msg @@ search('-needle') ORDER BY id;

-- refused
SELECT search('say "hello');
SELECT search('오류 (a | b');
SELECT search('a) b');
SELECT search('OR a');
SELECT search('a |');
SELECT search('a AND OR b');
SELECT search('NOT');
SELECT '(a'::search_query;
INSERT INTO queries VALUES ('a OR');
SELECT search(repeat('x', 1048577));
SELECT search(repeat('x', 1000) || ' "');
\set VERBOSITY sqlstate
SELECT search('(');
SELECT search(repeat('x', 1048577));
SELECT logs.msg @@ search('(' || id) FROM logs WHERE id = 1;
\set VERBOSITY default

DROP TABLE logs, typed, queries, long;
DROP DOMAIN message;
