// DBOS Transact as its documentation shows it, on the same embedded Postgres with the same settings: a workflow of recorded steps, called in process.
import { DBOS } from '@dbos-inc/dbos-sdk';
import { startEmbeddedPostgres } from '../../src/store/embedded.ts';
import { serveLoad } from '../engine-load.ts';

const STEPS = [1, 2, 3, 4, 5];
const postgres = await startEmbeddedPostgres({ dataDir: `${process.argv[2]}/postgres` });
const { host, port, user, password } = postgres.target;
const at = host.startsWith('/')
  ? `localhost/dbos?host=${encodeURIComponent(host)}&port=${port}`
  : `${host}:${port}/dbos`;
DBOS.setConfig({
  name: 'bench',
  systemDatabaseUrl: `postgresql://${user}:${encodeURIComponent(password ?? '')}@${at}`,
  logLevel: 'error',
});
const flows = {
  effects: DBOS.registerWorkflow(
    async (index) => {
      for (const step of STEPS) await DBOS.runStep(async () => index + step, { name: `step${step}` });
    },
    { name: 'effects' },
  ),
  // DBOS has one kind of step; what is computed between steps is not recorded, but a workflow must be deterministic, so that a model's answer has to be a step.
  pure: DBOS.registerWorkflow(
    async (index) => {
      for (const step of [...STEPS, 6]) await DBOS.runStep(async () => index + step, { name: `step${step}` });
    },
    { name: 'pure' },
  ),
};
await DBOS.launch();
await serveLoad((flow, index) => {
  const run = flows[flow]; // called without an object: DBOS takes `this` for a configured instance
  return run(index);
});
await DBOS.shutdown();
await postgres.stop();
