import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openExample } from '../examples/returns/example-under-test.ts';
import { NODE_KINDS } from '../src/ledger/lineage-graph/node-kinds.ts';
import type { OpenedApp } from './app-under-test.ts';
import { runCommand } from './command-line.ts';

describe('ids, versions and kinds that a command filters by and that are not there', () => {
  let example: OpenedApp;
  let keyId = '';
  const aios = (...args: string[]) =>
    runCommand(['--url', example.app.url, '--key', example.app.adminKey, ...args]);

  beforeAll(async () => {
    example = await openExample();
    keyId = JSON.parse((await aios('--json', 'keys', '--create', 'Rita')).said).id;
  }, 60_000);
  afterAll(() => example.close());

  it.each([
    ['models requests return-risk --of-version 9', 'There is no version 9 of return-risk; it has 1.'],
    ['models requests return-risk --run run_none', 'There is no such run: run_none'],
    ['models requests return-risk --caller Rita', 'The key “Rita” is asked for by its id, key_'],
    ['models requests return-risk --caller NEAR', 'did you mean KEY?'],
    ['models requests return-rsk', 'models.unknown_model'],
    ['runs --workflow returns --of-version 9', 'There is no version 9 of returns; it has 1.'],
    ['costs --focus - --of-run run_none', 'There is no such run: run_none'],
    [
      'lineage model:return-risk --kinds modle,field',
      'The graph has no kind of node “modle”; did you mean model?',
    ],
    ['events replay --workflow returns --type return.requestd', 'did you mean return.requested?'],
    ['runs --of-version 1', '--of-version goes with --workflow'],
    ['runs cancel --of-version 1', '--of-version goes with --workflow'],
    ['runs --workflow returns --of-version x', '--of-version takes a number; “x” is not.'],
    ['models requests return-risk --trace abc', '--trace takes the id of a trace, 32 hexadecimal digits'],
    ['models requests return-risk --of-version x', '--of-version takes a number; “x” is not.'],
    ['models rollout return-risk strat', '“strat” is not an action: start, step'],
    ['events replay --workflow returns --offsets 1,x', '--offsets takes one whole number for each partition'],
    ['datasets diff return-requests 1 x', '<to> takes a number; “x” is not.'],
    ['datasets show return-requests --of-version x', '--of-version takes a number; “x” is not.'],
    // What only the server knows is told by the name of the option, too.
    ['costs --by moon', '--by: must be one of service, resource, workflow, day, by\n'],
    ['runs --status bad', '--status: must be one of pending, running'],
    ['budgets all --usd 5 --period week', '--period: must be one of hour, day, month\nRun the command'],
    ['lineage model:return-risk --depth x', '--depth: must be a whole number in decimal digits'],
    ['lineage model:return-risk@9', 'Near it: model:return-risk@1'],
  ])('aios %s', async (command, said) => {
    const near = `${keyId.slice(0, -1)}${keyId.endsWith('x') ? 'y' : 'x'}`;
    const found = await aios(...command.replace('NEAR', near).split(' '));
    expect(found).toEqual({ code: 1, said: expect.stringContaining(said.replace('KEY', keyId)) });
  });

  it.each([
    'models requests return-risk --of-version 1',
    'models requests return-risk --caller KEY',
    'runs --workflow returns --of-version 1',
    `models requests return-risk --trace ${'0'.repeat(31)}A`,
    'lineage model:return-risk --up --kinds queue',
  ])('are told apart from those of which there is nothing: aios %s', async (command) => {
    expect(await aios(...command.replace('KEY', keyId).split(' '))).toEqual({
      code: 0,
      said: expect.stringContaining('nothing'),
    });
  });

  it('a model of which no request is kept says how they would be', async () => {
    expect((await aios('models', 'requests', 'return-risk')).said).toMatch(
      /^nothing: no request of this model is kept\. `log: \{ sample: 0\.01 \}`/,
    );
  });

  it('the kinds are those that the graph has and that the documents tell', async () => {
    const rows = await example.database.db.query<{ kind: string }>('select distinct kind from lineage_nodes');
    expect(NODE_KINDS).toEqual(expect.arrayContaining(rows.map(({ kind }) => kind)));
    const text = await readFile(join(import.meta.dirname, '..', 'docs', 'lineage.md'), 'utf8');
    const table = text.split('\n').filter((line) => line.startsWith('| `'));
    const told = table.flatMap((line) =>
      [...line.split('|')[1]!.matchAll(/`([^`]+)`/g)].map(([, kind]) => kind),
    );
    expect(told.sort()).toEqual([...NODE_KINDS]);
  });
});

it('the help begins with what somebody new needs', async () => {
  const { said } = await runCommand(['--help']);
  const parts = [...said.matchAll(/^([A-Z][a-z]+):$/gm)].map(([, part]) => part);
  expect(parts.slice(0, 5)).toEqual(['Options', 'Server', 'Project', 'Flows', 'People']);
});

it('what is taken when an option is left out stands in the help as it is typed', async () => {
  expect((await runCommand(['--help'])).said).not.toContain('default: false');
  const { said } = await runCommand(['runs', '--help']);
  expect(said).toMatch(/--limit <count> +how many \(default: 20\)/);
});
