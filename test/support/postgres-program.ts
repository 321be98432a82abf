/**
 * A program on its own PostgreSQL, for tests that kill it: `node postgres-program.ts DIR [durable]`. Says in lines of JSON what
 * happens; on SIGINT it still writes to the database, as a draining program does, and then stops it.
 */
import { once } from 'node:events';
import pg from 'pg';
import { startPostgres } from '../../adapters/postgres/index.ts';

const say = (what: object) => console.log(JSON.stringify(what));

const server = await startPostgres({ dir: process.argv[2] ?? '', isDurable: process.argv[3] === 'durable' });
const keepAlive = setInterval(() => {}, 60_000);
const interrupted = once(process, 'SIGINT');
say({ kind: 'started', isAdopted: server.isAdopted, url: server.url('admin', 'postgres') });

await interrupted;
const client = new pg.Client({ connectionString: server.url('admin', 'postgres') });
await client.connect();
await client.query('CREATE TABLE drained (n int)');
await client.end();
say({ kind: 'drained' });
await server.stop();
say({ kind: 'stopped' });
clearInterval(keepAlive);
