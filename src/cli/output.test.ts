import { describe, expect, it, vi } from 'vitest';
import { ProblemError } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import { describeError, errorAsJson, numberOf, numberText, pastTime, table, timeOf } from './output.ts';
import { runCli } from './program.ts';

describe('what the command line prints', () => {
  it('is a table with figures at the right and words at the left', () => {
    const rows = [
      ['a', '5', '$1.50', '1.0.0', '20 min ago', '3.5 ms'],
      ['bc', '1200', '$0.000002', '1.10.0', '1 s ago', ''],
    ];
    expect(table(['name', 'rows', 'cost', 'version', 'made', 'p95'], rows).split('\n')).toEqual([
      'NAME  ROWS       COST  VERSION  MADE           P95',
      'a        5      $1.50  1.0.0    20 min ago  3.5 ms',
      'bc    1200  $0.000002  1.10.0   1 s ago',
    ]);
    expect(table(['name'], [])).toBe('nothing');
  });

  it('is as wide as the terminal: long texts are cut, the last columns left out, ids stay whole', () => {
    const id = `run_${'0'.repeat(26)}`;
    const headings = ['run', 'flow', 'status', 'title', 'of'];
    const rows = [[id, 'returns 1', 'completed', 'a title that is longer than there is room', `run:${id}`]];
    const lines = (charsMax: number) => table(headings, rows, charsMax).split('\n');
    expect(lines(131)[1]).toBe(`${rows[0]!.join('  ')}`);
    expect(lines(108)).toEqual([
      expect.stringMatching(/ OF$/),
      `${id}  returns 1  completed  a title that is l…  run:${id}`,
    ]);
    const narrow = lines(80);
    expect(narrow.slice(1)).toEqual([
      `${id}  returns 1  completed  a title that is longer th…`,
      'No room for of: a wider window or --json shows all.',
    ]);
    expect(narrow.every(({ length }) => length <= 80)).toBe(true);
    const known = [['why', 'a reason that is longer than the line has room for']];
    expect(table(['what', ''], known, 20)).toContain(known[0]![1]); // what is known of one thing is told whole
  });

  it.each([
    [42, '42'],
    [12_345_678, '12345678'],
    [11.75, '11.75'],
    [0.0000174, '< 0.001  (0.0000174)'],
    [-1e-7, '> -0.001  (-1e-7)'],
    [0.06851154565811157, '0.0685  (0.06851154565811157)'],
    [30.000000011574073, '30  (30.000000011574073)'],
    [12_345_678.901, '12,345,678.9  (12345678.901)'],
  ])('shows the number %d as %s', (value, said) => expect(numberText(value)).toBe(said));

  it.each([
    [
      'the name alone of what is not there',
      new AiosError('workflow.run_not_found', { detail: 'run_1' }),
      /^There is no such run: run_1\n/,
    ],
    [
      'a usage that is wrong',
      new AiosError('request.invalid', { detail: 'Name a run.' }),
      /^Name a run\.\nRun the command with --help to see how to use it\. \(request\.invalid\)$/,
    ],
    [
      'a key that is missing, by what the command line takes',
      new AiosError('access.unauthenticated', { detail: 'There is no key.' }),
      /^There is no key\.\nSet AIOS_API_KEY or give --key; [^`]*\(access\.unauthenticated\)$/,
    ],
    [
      'faults that stand above, without the name of the field that holds them',
      new AiosError('definition.syntax', { issues: [{ path: '', message: 'is odd' }] }),
      /^[^`]*is odd\nThe usual cause is a line with [^`]*\(definition\.syntax\)$/,
    ],
    [
      'each fault of a request with its place',
      new ProblemError(
        new AiosError('request.invalid', { issues: [{ path: '/a', message: 'is odd' }] }).toProblem(),
      ),
      /^The request does not fit its schema\n {2}\/a: is odd\n/,
    ],
    [
      'a file that is not there',
      Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT', path: 'order.json' }),
      /^order\.json: there is no such file\.\nCheck the path: .*\(client\.file\)$/,
    ],
    [
      'the limit that was met',
      new AiosError('request.too_large', {
        detail: 'It has 2 MB.',
        extensions: { limitName: 'requestBytesMax', limit: 1_048_576 },
      }),
      /^It has 2 MB\.\nLimit: requestBytesMax, 1048576\nSend less\. \(request\.too_large\)$/,
    ],
    ['what is no problem of AIOS', new Error('boom'), /^boom$/],
  ])('tells %s', (_, error, said) => {
    expect(describeError(error)).toMatch(said);
  });

  it('is for a script the problem itself, on one line', () => {
    const refused = new AiosError('workflow.run_not_found', { detail: 'run_1' });
    expect(JSON.parse(errorAsJson(refused))).toEqual(refused.toProblem());
    expect(JSON.parse(errorAsJson(new ProblemError(refused.toProblem())))).toEqual(refused.toProblem());
    const usage = new AiosError('request.invalid', { detail: 'There is no folder shop.' });
    expect(JSON.parse(errorAsJson(usage))).toMatchObject({ hint: expect.stringContaining('--help') });
    const file = Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT', path: 'order.json' });
    expect(JSON.parse(errorAsJson(file))).toMatchObject({ code: 'client.file' });
    expect(JSON.parse(errorAsJson(new Error('boom')))).toEqual({ code: 'internal', detail: 'boom' });
  });

  it.each([
    [[], /^“verify” is not an index of an entry; `aios audit` lists them/],
    [['--json'], /^\{.*“verify” is not an index.*\}\n$/],
  ])('an index that is none, with %j', async (more, said) => {
    let told = '';
    const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      told += String(text);
      return true;
    });
    const argv = ['--key', 'aios_key_x', ...more, 'audit', 'verify'];
    const code = await runCli(argv, async () => 1).finally(() => err.mockRestore());
    expect({ code, told }).toEqual({ code: 1, told: expect.stringMatching(said) });
  });

  it('is given a time as a duration from now or as a date', () => {
    expect(Date.parse(timeOf('1h')) - Date.now()).toBeGreaterThan(3_500_000);
    expect(timeOf('2027-01-31T00:00:00+01:00')).toBe('2027-01-30T23:00:00.000Z');
    for (const wrong of ['soon', '2027-99-01', '9999999999d'])
      expect(() => timeOf(wrong)).toThrow(expect.objectContaining({ code: 'definition.duration' }));
  });

  it('is given a time of the past as a date or as how long ago', () => {
    expect(pastTime('2026-01-31')).toBe('2026-01-31T00:00:00.000Z');
    expect(pastTime('2027-01-31T00:00:00+01:00')).toBe('2027-01-30T23:00:00.000Z');
    expect(Date.now() - Date.parse(pastTime('7d'))).toBeGreaterThan(6.9 * 86_400_000);
    expect(pastTime(undefined)).toBeUndefined();
    for (const wrong of ['yesterday', '2027-99-01', '5', '99999999999d'])
      expect(() => pastTime(wrong)).toThrow(`“${wrong}” is not a time: write 2026-01-31`);
  });

  it('is help in which each command stands in a part, with what it is for', async () => {
    let said = '';
    const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      said += String(text);
      return true;
    });
    await runCli(['--help'], async () => 1).finally(() => out.mockRestore());
    expect(said).toMatch(
      /\nServer:\n {2}start .*\nProject:\n {2}init .*\nData:\n.*\nProof:\n.*\nCommands:\n {2}help .*\n$/s,
    );
    expect(said).not.toMatch(/^ {2}[a-z-]+(?: \[options\])?$/m); // a name without a description
  });

  it('refuses what is not a number, with the option it was given for', () => {
    expect(numberOf('--tokens', '5e3')).toBe(5000);
    for (const text of ['many', ' ', '', 'Infinity'])
      expect(() => numberOf('--tokens', text)).toThrow(`--tokens takes a number; “${text}” is not.`);
  });
});
