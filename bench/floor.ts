// The floor that a path is measured against: the same HTTP server and the same group commit, doing nothing but one insert of
// the body. Prints its port as JSON; ends when its input ends.
import fastify from 'fastify';
import { limitsFrom } from '../src/kernel/limits.ts';
import { openDatabase } from '../src/store/database.ts';
import { startEmbeddedPostgres } from '../src/store/embedded.ts';
import { GroupCommit } from '../src/store/group-commit.ts';
import { plannedLane, write } from '../src/store/lane.ts';
import { columns } from '../src/store/rows.ts';

interface Row {
  id: string;
  body: string;
}

const floorLane = plannedLane<Row>({
  name: 'floor',
  order: 10,
  plan: (items) => ({
    statements: [
      {
        text: 'insert into floor select * from unnest($1::text[], $2::json[]) on conflict (id) do nothing',
        values: columns(items, (row) => [row.id, row.body]),
      },
    ],
  }),
});

const postgres = await startEmbeddedPostgres({ dataDir: `${process.argv[2]}/postgres` });
const limits = limitsFrom();
const db = await openDatabase(postgres.target, limits.connectionsMax);
await db.queryDynamic('create table if not exists floor (id text primary key, body json not null)');
const commit = new GroupCommit(db, limits);
const server = fastify({ logger: false });
server.post('/floor', async (request, reply) => {
  const body = request.body as { id: string };
  await commit.commit([write(floorLane, { id: body.id, body: JSON.stringify(body) })]);
  return reply.send({ id: body.id, stored: true });
});
await server.listen({ port: 0, host: '127.0.0.1' });
const { port } = server.server.address() as { port: number };
console.log(JSON.stringify({ port }));

process.stdin.resume();
process.stdin.once('end', async () => {
  await server.close();
  await commit.close();
  await db.close();
  await postgres.stop();
});
