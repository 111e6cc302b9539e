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
    'lineage model:return-risk --up --kinds queue',
  ])('are told apart from those of which there is nothing: aios %s', async (command) => {
    expect(await aios(...command.replace('KEY', keyId).split(' '))).toEqual({
      code: 0,
      said: expect.stringContaining('nothing'),
    });
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
