-- Search in databases whose encoding is not UTF-8: the same answers; in SQL_ASCII, bytes that are not UTF-8 are letters as they are.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT current_database() AS home \gset
CREATE DATABASE search_euc_kr ENCODING 'EUC_KR' LOCALE 'C' TEMPLATE template0;
CREATE DATABASE search_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
CREATE DATABASE search_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0;

\connect search_euc_kr
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION historian;
CREATE TABLE logs (id int, msg text);
INSERT INTO logs VALUES (1, '대한민국 서버 오류'), (2, 'ＥＲＲＯＲ 102'), (3, 'Error 102');
SELECT query, (SELECT string_agg(id::text, ' ' ORDER BY id) FROM logs WHERE msg @@ search(query)) AS found
FROM (VALUES ('한'), ('민국'), ('오류 | error'), ('ｅｒｒ＊'), ('-error')) v(query);
SELECT tokens(msg) FROM logs ORDER BY id;
SELECT search('오류 (');

\connect search_latin1
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION historian;
SELECT 'CAFÉ Straße' @@ search('café strasse') AS found, tokens('CAFÉ Straße x²');
-- The micro sign is mapped to the Greek letter mu: found, but not to be shown here.
SELECT '5 µm' @@ search('µm') AS found;
SELECT tokens('5 µm');

\connect search_ascii
SET client_encoding = 'SQL_ASCII';
SET client_min_messages = warning;
CREATE EXTENSION historian;
SELECT E'caf\xe9 open' @@ search(E'Caf\xe9') AS same_bytes, E'caf\xe9 open' @@ search(E'caf\xc9') AS other_case, E'\xff\xfe' @@ search('*') AS any,
    '대한민국' @@ search('민국') AS utf8, convert_to(array_to_string(tokens(E'CAF\xe9 x'), ' '), 'SQL_ASCII') AS tokens;

\connect :home
SET client_min_messages = warning;
DROP DATABASE search_euc_kr WITH (FORCE);
DROP DATABASE search_latin1 WITH (FORCE);
DROP DATABASE search_ascii WITH (FORCE);
