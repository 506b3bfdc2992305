// Statements for test/bench/queries.sh, run by DuckDB in this process; make bench-peers installs it.
//
//     node duckdb.mjs version
//     node duckdb.mjs DATABASE <sql                runs the statements
//     node duckdb.mjs DATABASE REPETITIONS <sql    runs one statement, prints how many rows it gives, then so often again: prints
//                                                  the milliseconds until all chunks of its result are fetched
import { readFileSync } from 'node:fs';
import duckdb from '@duckdb/node-api';

const [path, repetitions] = process.argv.slice(2);
if (path === 'version') {
    console.log(duckdb.version());
} else {
    const connection = await (await duckdb.DuckDBInstance.create(path)).connect();
    const sql = readFileSync(0, 'utf8');
    const chunks = await (await connection.run(sql)).fetchAllChunks();
    if (repetitions) console.log(chunks.reduce((rows, chunk) => rows + chunk.rowCount, 0));
    for (let repetition = 0; repetition < Number(repetitions ?? 0); ++repetition) {
        const begin = process.hrtime.bigint();
        await (await connection.run(sql)).fetchAllChunks();
        console.log((Number(process.hrtime.bigint() - begin) / 1e6).toFixed(3));
    }
    connection.closeSync();
}
