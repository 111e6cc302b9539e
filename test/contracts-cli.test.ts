import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openedApi } from '../src/api/opened-api-under-test.ts';
import { runCommand } from './command-line.ts';

const contract = (version: string, total: string) =>
  `name: order.placed\nversion: ${version}\nowner: shop\nonInvalid: quarantine\nschema: { type: object, properties: { total: { type: ${total} } } }\n`;

describe('aios contracts and aios quarantine', () => {
  const { api } = openedApi();
  let url = '';
  let folder = '';
  beforeAll(async () => {
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    folder = await mkdtemp(join(tmpdir(), 'aios-contracts-'));
    for (const [version, total] of [
      ['1.0.0', 'number'],
      ['1.1.0', '[number, "null"]'],
    ] as const) {
      const body = { files: [{ path: 'contracts/order.yaml', text: contract(version, total) }] };
      expect(
        (await api.request({ method: 'POST', url: '/api/v1/apply', role: 'operator', body })).statusCode,
      ).toBe(200);
    }
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  async function aios(...args: string[]) {
    const { code, said } = await runCommand(['--url', url, '--key', api.keys.admin, ...args]);
    return { code, text: said };
  }

  it('list, show, compare and deprecate versions', async () => {
    expect((await aios('contracts', 'list')).text).toContain('order.placed');
    const deprecated = await aios(
      'contracts',
      'deprecate',
      'order.placed',
      '1.0.0',
      '--message',
      'Use 1.1.0.',
    );
    expect(deprecated).toMatchObject({ code: 0, text: expect.stringContaining('Use 1.1.0.') });
    const shown = (await aios('contracts', 'show', 'order.placed')).text;
    expect(shown).toMatch(/1\.1\.0 .*BACKWARD[\s\S]*1\.0\.0 .*Use 1\.1\.0\./);
    const { text } = await aios('contracts', 'diff', 'order.placed', '1.0.0');
    expect(text).toContain('+ /schema/properties/total/type: ["number","null"]');
    expect(text).toContain('TYPE_NARROWED');
    expect((await aios('contracts', 'quality', 'order.placed')).code).toBe(0);
  });

  it('default-compatibility shows and changes the mode of contracts that name none', async () => {
    expect((await aios('contracts', 'default-compatibility')).text).toContain('BACKWARD');
    expect((await aios('contracts', 'default-compatibility', 'full')).text).toContain('FULL');
    expect((await aios('contracts', 'list')).text).toMatch(/order\.placed .*FULL/);
    expect((await aios('contracts', 'default-compatibility', 'sideways')).code).not.toBe(0);
    await aios('contracts', 'default-compatibility', 'BACKWARD');
  });

  it('asyncapi prints the document', async () => {
    expect((await aios('contracts', 'asyncapi')).text).toMatch(/^asyncapi: 3\.0\.0/);
    expect(JSON.parse((await aios('--json', 'contracts', 'asyncapi')).text)).toMatchObject({
      asyncapi: '3.0.0',
    });
  });

  it('check says what a file would come to', async () => {
    const file = join(folder, 'order.yaml');
    await writeFile(file, contract('1.2.0', 'integer'));
    expect(await aios('contracts', 'check', file)).toMatchObject({
      code: 1,
      text: expect.stringMatching(/breaks BACKWARD, checked against 1\.1\.0: a major change, as 2\.0\.0/),
    });
    await writeFile(file, contract('1.2.0', '[number, "null", string]'));
    expect(await aios('contracts', 'check', file, '--against', '1.0.0')).toMatchObject({
      code: 0,
      text: expect.stringContaining('keeps BACKWARD, checked against 1.0.0'),
    });
  });

  it('plan says of a contract that breaks its promise where, why, and which version to give', async () => {
    await mkdir(join(folder, 'contracts'));
    await writeFile(join(folder, 'contracts', 'order.yaml'), contract('1.2.0', 'integer'));
    const { code, text } = await aios('plan', folder);
    expect(code).toBe(1);
    expect(text).toMatch(
      /contracts\/order\.yaml:5:\d+ \/schema\/properties\/total\/type: .*TYPE_NARROWED, against 1\.1\.0/,
    );
    expect(text).toContain('Keep the types that were allowed');
    expect(text).toContain('Suggested version: 2.0.0');
  });

  it('quarantine lists, tries and discards', async () => {
    const body = { specversion: '1.0', id: 'e1', source: 's', type: 'order.placed', data: { total: 'x' } };
    const headers = { 'content-type': 'application/cloudevents+json' };
    await api.request({ method: 'POST', url: '/api/v1/events', role: 'operator', body, headers });
    const [id] = /qtn_\w+/.exec((await aios('quarantine')).text)!;
    expect((await aios('quarantine', id)).code).toBe(1);
    expect((await aios('quarantine', '--release')).code).not.toBe(0);
    const released = await aios('quarantine', '--release', '--type', 'order.placed');
    expect(released).toMatchObject({ code: 1, text: expect.stringMatching(/0 released\n.*must be/) });
    expect(await aios('quarantine', id, '--discard', 'a test')).toMatchObject({ code: 0 });
    expect((await aios('quarantine', '--status', 'discarded')).text).toContain(id);
  });
});
