import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openedApi } from '../src/api/opened-api-under-test.ts';
import { runCommand } from './command-line.ts';

describe('a name that a command filters by and that is not there', () => {
  const { api } = openedApi();
  let url = '';
  beforeAll(async () => {
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
  });
  const aios = (...args: string[]) => runCommand(['--url', url, '--key', api.keys.admin, ...args]);

  it.each([
    ['runs --workflow retruns', 'There is no flow “retruns”; did you mean returns?'],
    ['runs --workflow returns --attr amuont=3', 'There is no attribute “amuont”; did you mean amount?'],
    ['runs cancel --workflow nothing-alike', 'There is no flow “nothing-alike”.'],
    ['inbox --queue reveiw', 'There is no queue “reveiw”; did you mean review?'],
    [
      'events search --type return.requestd',
      'There is no contract “return.requestd”; did you mean return.requested?',
    ],
    [
      'quarantine --type return.requestd',
      'There is no contract “return.requestd”; did you mean return.requested?',
    ],
    ['quarantine --type return.requestd --release', 'did you mean return.requested?'],
    ['quarantine --status opne', 'must be one of open, released, discarded'],
    ['contracts quality return.requestd', 'did you mean return.requested?'],
    ['keys the-admin', 'There is no key “the-admin”; did you mean '],
    ['run ../greet', 'There is no flow “../greet”'],
    ['runs ../keys', 'There is no such run: ../keys'],
    ['run greet --input @', 'Name a file behind the @'],
    ['inbox --claim', 'Name the task: aios inbox TASK --claim.'],
    ['inbox --queue review --hand-back', 'Name the task: aios inbox TASK --hand-back.'],
    ['run-queues none', 'There is no queue of runs “none”.'],
    ['audit --of run:run_none', 'There is no such run: run_none'],
    ['audit --of run_none', '“run_none” is not an object of the log: write kind:name'],
  ])('aios %s', async (command, said) => {
    expect(await aios(...command.split(' '))).toEqual({ code: 1, said: expect.stringContaining(said) });
    const asJson = await aios('--json', ...command.split(' '));
    expect([asJson.code, JSON.parse(asJson.said)]).toEqual([
      1,
      expect.objectContaining({ code: expect.any(String) }),
    ]);
  });

  it.each([
    'runs --workflow greet',
    'runs --workflow returns --attr amount=3',
    'inbox --queue review',
    'events search --type return.requested',
    'events search --type io.serverlessworkflow.workflow.completed.v1',
    'quarantine --type return.requested',
    'contracts quality return.requested',
  ])('is told apart from one of which there is nothing yet: aios %s', async (command) => {
    expect(await aios(...command.split(' '))).toEqual({
      code: 0,
      said: expect.stringMatching(/nothing|has no measured/),
    });
  });

  it('is not looked for by who may not list the names', async () => {
    const asReviewer = ['--url', url, '--key', api.keys.reviewer];
    const { code } = await runCommand([...asReviewer, 'inbox', '--queue', 'reveiw']);
    expect([0, 1]).toContain(code);
  });
});

it('a usage that is wrong is JSON, too, where that was asked for', async () => {
  const { code, said } = await runCommand(['--json', 'runs', '--wrkflow', 'x']);
  expect([code, JSON.parse(said)]).toMatchObject([
    64,
    { code: 'request.invalid', detail: expect.stringContaining('--workflow') },
  ]);
  expect((await runCommand(['runs', '--wrkflow', 'x'])).said).toContain('(Did you mean --workflow?)');
});

it('a reader that goes away is no fault', () => {
  const main = join(import.meta.dirname, '..', 'src', 'main.ts');
  const script = `'${process.execPath}' '${main}' --help 2>&1 >/dev/full | cat; '${process.execPath}' '${main}' models --help | head -1; echo "\${PIPESTATUS[0]}"`;
  const said = execFileSync('bash', ['-c', script], { encoding: 'utf8' });
  expect(said).not.toContain('EPIPE');
  expect(said).toMatch(/^Usage: aios models.*\n(?:0|13)\n$/);
});
