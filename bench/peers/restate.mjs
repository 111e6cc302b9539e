// A Restate service as its documentation shows it: a handler of recorded steps. The server runs beside it; calls come over its ingress.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import * as restate from '@restatedev/restate-sdk';

const [folder, ...ports] = process.argv.slice(2);
const [ingress, admin, node, service] = ports;
const STEPS = [1, 2, 3, 4, 5];
const steps = (names) => async (ctx, index) => {
  for (const step of names) await ctx.run(`step${step}`, () => index + step);
};
const bench = restate.service({
  name: 'bench',
  handlers: { effects: steps(STEPS), pure: steps([...STEPS, 6]) },
});
await restate.serve({ services: [bench], port: Number(service) });
const packageOf = createRequire(import.meta.url).resolve(
  `@restatedev/restate-server-${process.platform}-${process.arch}/package.json`,
);
const server = spawn(packageOf.replace('package.json', 'bin/restate-server'), ['--base-dir', folder], {
  stdio: ['ignore', 'ignore', 'inherit'],
  env: {
    ...process.env,
    RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
    RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
    RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
    RESTATE_LOG_FILTER: 'error',
  },
});
for (let registered = false; !registered; await sleep(100)) {
  registered = await fetch(`http://127.0.0.1:${admin}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${service}` }),
  }).then(
    (response) => response.ok,
    () => false,
  );
}
console.log(JSON.stringify({ ready: true }));
process.stdin.resume();
await once(process.stdin, 'end');
server.kill('SIGTERM');
await once(server, 'exit');
process.exit(0);
