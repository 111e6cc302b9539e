import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openedApi } from '../src/api/opened-api-under-test.ts';
import { runCommand } from './command-line.ts';

const FLOW = `document: { dsl: 1.0.0, namespace: test, name: shipping, version: 1.0.0 }
evaluate: { language: cel }
schedule: { on: { any: [{ with: { type: parcel.sent } }, { with: { type: return.requestd } }] } }
do:
  - ask:
      call: human-task:1@default
      with: { queue: revew, title: Weigh it, context: {} }
  - made:
      call: human-task:1@default
      with: { queue: '\${ "rev" + "iew" }', title: Weigh it, context: {} }
  - hear:
      listen: { to: { any: [{ with: { type: io.serverlessworkflow.workflow.completed.v1 } }, { with: { type: aios.contract.quality.failed.v1 } }] } }
  - other:
      run: { workflow: { namespace: test, name: retrns, version: 1.0.0 } }
`;

describe('what a plan warns of', () => {
  const { api } = openedApi();
  let url: string;
  let folder: string;
  beforeAll(async () => {
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    folder = await mkdtemp(join(tmpdir(), 'aios-project-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });
  const aios = (...args: string[]) => runCommand(['--url', url, '--key', api.keys.admin, ...args]);
  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };

  it('is a folder without definitions, told before anything is sent', async () => {
    const { code, said } = await aios('plan', folder);
    expect([code, said]).toEqual([
      1,
      expect.stringMatching(/There are no definitions in .*contracts, entities/),
    ]);
  });

  it('are names that nothing has, each at its line with the one that was meant', async () => {
    await put('workflows/shipping.yaml', FLOW);
    const { code, said } = await aios('plan', folder);
    expect([code, said]).toEqual([2, expect.any(String)]);
    const warned = said.split('\n').filter((line) => line.startsWith('! '));
    const at = (line: string, path: string, text: string) =>
      `! workflows/shipping.yaml:${line} ${path}: ${text}`;
    const fails = 'define it before this is used';
    expect(warned).toEqual([
      at('3:35', '/schedule/on/any/0/with/type', `there is no contract “parcel.sent” yet: ${fails}`),
      at(
        '3:68',
        '/schedule/on/any/1/with/type',
        `there is no contract “return.requestd” yet: ${fails} (did you mean “return.requested”?)`,
      ),
      at('7:15', '/do/0/ask/with/queue', `there is no queue “revew” yet: ${fails} (did you mean “review”?)`),
      at(
        '14:43',
        '/do/3/other/run/workflow/name',
        `there is no workflow “retrns” yet: ${fails} (did you mean “returns”?)`,
      ),
    ]);
    const applied = await aios('--json', 'apply', folder);
    expect(JSON.parse(applied.said)).toMatchObject({ applied: true, warnings: { length: warned.length } });
  });

  it('are slips in the keywords of schemas, and not the words of other vocabularies', async () => {
    const schema =
      '{ type: object, requird: [id], properties: { id: { type: string, unit: kg, example: a } } }';
    await put(
      'contracts/parcel.yaml',
      `name: parcel.weighed\nversion: 1.0.0\nowner: post\nschema: ${schema}\n`,
    );
    const connector = 'name: scales\ntype: http\nbaseUrl: http://127.0.0.1:9';
    const operation = '{ method: GET, path: /, input: { type: object, propertis: {} } }';
    await put('connectors/scales.yaml', `${connector}\noperations:\n  weigh: ${operation}\n`);
    const { said } = await aios('plan', folder);
    const none = 'is not a keyword of JSON Schema, so nothing is held to it';
    expect(said.split('\n').filter((line) => line.includes('keyword'))).toEqual([
      `! contracts/parcel.yaml:4:25 /schema/requird: “requird” ${none} (did you mean “required”?)`,
      `! connectors/scales.yaml:5:57 /operations/weigh/input/propertis: “propertis” ${none} (did you mean “properties”?)`,
    ]);
  });

  it('are files that a slip keeps from being read', async () => {
    await put('workflow/one.yaml', FLOW);
    await put('workflows/two.txt', FLOW);
    await put('workflows/README.md', 'notes');
    await put('features/risk.ts', 'export const risk = () => 1;');
    await put('aios.yml', 'name: x');
    await put('notes/any.yaml', 'a: 1');
    const { said } = await aios('plan', folder);
    expect(said.split('\n').filter((line) => line.includes('is not read'))).toEqual([
      '! aios.yml is not read; did you mean aios.yaml?',
      '! workflow/one.yaml is not read; did you mean workflows/?',
      '! workflows/two.txt is not read: a definition ends in .yaml, .yml or .json',
    ]);
  });
});
