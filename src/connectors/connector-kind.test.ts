import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import type { AiosError } from '../kernel/errors.ts';
import { parseConnector } from './connector-kind.ts';
import { connectorVariables } from './secrets.ts';

describe('a connector', () => {
  const operations = 'operations: { a: { method: GET, path: / } }';
  const base = `name: a\ntype: http\nbaseUrl: https://a.example\n`;
  it.each([
    [`${base}operations: { a: { method: GET, path: x } }`, '/operations/a/path', 'pattern'],
    [`${base}operations: { a: { method: GET, path: '/{a b}' } }`, '/operations/a/path', 'names no member'],
    [`${base}operations: { a: { method: GET, path: '/?q=1' } }`, '/operations/a/path', 'query'],
    [`${base}operations: { a: { method: POST, path: /, body: 'a +' } }`, '/operations/a/body', 'a +'],
    [
      `${base}operations: { a: { method: POST, path: /, body: { x: 'a +' } } }`,
      '/operations/a/body/x',
      'a +',
    ],
    [
      `${base}operations: { a: { method: GET, path: /, input: { type: banana } } }`,
      '/operations/a/input',
      'JSON Schema',
    ],
    [`${base}${operations}\nheaders: { host: x }`, '/headers/host', 'set by AIOS'],
    [`${base}${operations}\nheaders: { x: '\${env.HOME}' }`, '/headers/x', 'not allowed here'],
    [`${base}${operations}\nretries: 3`, '/retries', 'not known here'],
    [`name: a\ntype: http\nbaseUrl: ftp://a\n${operations}`, '/baseUrl', 'http://'],
    [`name: a\ntype: http\nbaseUrl: https://u:p@a.example\n${operations}`, '/baseUrl', 'credentials'],
  ])('that is wrong is refused with its place: %s', (text, path, message) => {
    try {
      parseConnector(readDocument(text, 'connectors/a.yaml'));
      expect.unreachable();
    } catch (error) {
      expect((error as AiosError).issues[0]).toMatchObject({
        path,
        file: 'connectors/a.yaml',
        line: expect.any(Number),
        message: expect.stringContaining(message),
      });
    }
  });

  it('finds secrets in the environment first, then in the file of secrets as it is now', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aios-secrets-'));
    const file = join(folder, 'secrets');
    const variables = connectorVariables({ env: { AIOS_SECRET_A: 'environment' }, file });
    expect(variables('secrets', 'B')).toBe(undefined);
    await writeFile(file, 'A=file\nB = b=1 \n');
    expect([variables('secrets', 'A'), variables('secrets', 'B')]).toEqual(['environment', 'b=1']);
    await rm(folder, { recursive: true });
  });

  it('reads what is meant for it, and nothing else of the environment', () => {
    const variables = connectorVariables({
      env: { AIOS_ADMIN_KEY: 'k', PATH: '/bin', AIOS_VAR_SHOP: 's', AIOS_SECRET_A: 'a' },
    });
    expect([variables('env', 'AIOS_ADMIN_KEY'), variables('env', 'PATH')]).toEqual([undefined, undefined]);
    expect([variables('env', 'SHOP'), variables('secrets', 'A')]).toEqual(['s', 'a']);
  });
});
