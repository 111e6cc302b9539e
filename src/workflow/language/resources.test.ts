// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { describe, expect, it } from 'vitest';
import { digestOfBytes } from '../../kernel/canonical.ts';
import { readDocument } from '../../kernel/document.ts';
import { AiosError } from '../../kernel/errors.ts';
import { isObject, type JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { catalogOf } from '../catalog/primitive.ts';
import { scriptPrimitive } from '../catalog/script.ts';
import { compileFlow } from './compile.ts';
import { runJq } from './jq-evaluator.ts';
import { workflowKind } from './workflow-kind.ts';

const HEAD = `document: { dsl: '1.0.3', namespace: test, name: flow, version: '1.0.0' }\n`;
const catalog = catalogOf([
  {
    name: 'echo',
    version: 1,
    kind: 'pure',
    inputSchema: { type: 'object' },
    run: (input) => ({ output: input }),
  },
  scriptPrimitive(limitsFrom()),
]);

/** Applies a flow among files and addresses. */
async function apply(text: string, elsewhere: { [uri: string]: string }) {
  const asked: { uri: string; secretsAt: readonly string[]; authentication?: JsonObject }[] = [];
  const kind = workflowKind(catalog, async (endpoint, secretsAt) => {
    asked.push({ ...endpoint, secretsAt });
    const found = elsewhere[endpoint.uri];
    if (found === undefined) throw new AiosError('connectors.unreachable', { detail: `no ${endpoint.uri}` });
    return found;
  });
  const files = new Map(
    Object.entries(elsewhere).map(([path, content]) => [
      path,
      { path, bytes: new TextEncoder().encode(content) },
    ]),
  );
  const document = await kind.prepare!(readDocument(HEAD + text, 'workflows/flow.yaml'), files);
  const { body } = kind.parse(document, files);
  return { body, asked, flow: compileFlow(body, catalog, runJq) };
}
const kept = ({ body }: { body: JsonObject }) => {
  const { metadata } = body.document as JsonObject;
  const aios = isObject(metadata) ? metadata.aios : undefined;
  return isObject(aios) ? (aios.resources as { [key: string]: JsonObject }) : {};
};

describe('what a flow names from elsewhere', () => {
  it('is read when the flow is applied and kept with its digest; the flow itself shows it not', async () => {
    const schema = '{"type":"object","required":["a"]}';
    const applied = await apply(
      'input: { schema: { resource: { endpoint: https://a.example/schema.json } } }\ndo: [ { s: { set: { x: 1 } } } ]',
      { 'https://a.example/schema.json': schema },
    );
    expect(kept(applied)).toEqual({
      'https://a.example/schema.json': { digest: digestOfBytes(schema), text: schema },
    });
    expect(applied.flow.inputSchema!({})).toMatchObject([{ message: 'a is required' }]);
    expect(applied.flow.definition.document).toEqual(readDocument(HEAD, 'x').value.document);
  });

  it.each(['resources/a.js', 'file://resources/a.js', 'file:///resources/a.js', './resources/a.js'])(
    'a script of the project, as %s',
    async (endpoint) => {
      const { flow, asked } = await apply(
        `do: [ { s: { run: { script: { language: js, source: { endpoint: '${endpoint}' } } } } } ]`,
        { 'resources/a.js': 'console.log(1)' },
      );
      expect(flow.steps[0]).toMatchObject({ type: 'call', primitive: { name: 'script' } });
      expect(asked).toEqual([]);
    },
  );

  it('a function of a catalog by its address, with what that names in turn', async () => {
    const applied = await apply(
      'use: { catalogs: { shared: { endpoint: https://a.example/catalog/ } } }\ndo: [ { c: { call: greet:1.2.0@shared, with: { name: Ada } } } ]',
      {
        'https://a.example/catalog/functions/greet/1.2.0/function.yaml':
          "input: { schema: { resource: { endpoint: https://a.example/in.json } } }\ncall: echo:1@default\nwith: { text: '${ .name }' }",
        'https://a.example/in.json': '{"required":["name"]}',
      },
    );
    expect(Object.keys(kept(applied))).toEqual(['greet:1.2.0@shared', 'https://a.example/in.json']);
    expect(applied.flow.steps[0]).toMatchObject({
      type: 'do',
      steps: [{ type: 'call', primitive: { name: 'echo' } }],
    });
  });

  it('a catalog in the project, and one on GitHub as its raw contents', async () => {
    const call = (endpoint: string) =>
      `use: { catalogs: { c: { endpoint: ${endpoint} } } }\ndo: [ { c: { call: f:1.0.0@c } } ]`;
    const definition = 'set: { x: 1 }';
    await apply(call('resources/catalog'), {
      'resources/catalog/functions/f/1.0.0/function.yaml': definition,
    });
    const raw = 'https://raw.githubusercontent.com/o/r/refs/heads/main/functions/f/1.0.0/function.yaml';
    for (const page of ['https://github.com/o/r', 'https://github.com/o/r/tree/main']) {
      const { asked } = await apply(call(page), { [raw]: definition });
      expect(asked).toMatchObject([{ uri: raw }]);
    }
  });

  it('credentials of a source are references, filled in by whoever reads it', async () => {
    const { asked } = await apply(
      `use: { secrets: [ T ], authentications: { a: { bearer: { use: T } } }, catalogs: { c: { endpoint: { uri: 'https://a.example', authentication: { use: a } } } } }
do: [ { c: { call: f:1.0.0@c } } ]`,
      { 'https://a.example/functions/f/1.0.0/function.yaml': 'set: { x: 1 }' },
    );
    expect(asked).toMatchObject([
      { authentication: { bearer: { use: '{secrets.T}' } }, secretsAt: ['/authentication/bearer/use'] },
    ]);
  });

  it.each([
    [
      'cannot be reached',
      'do: [ { c: { call: f:1.0.0@c } } ]',
      'workflow.resource_unavailable',
      '/do/0/c/call',
    ],
    [
      'is not a file of the project',
      'do: [ { s: { run: { script: { language: js, source: { endpoint: resources/b.js } } } } } ]',
      'workflow.resource_unavailable',
      '/do/0/s/run/script/source/endpoint',
    ],
    [
      'has an address that is an expression',
      "do: [ { s: { set: { x: 1 }, input: { schema: { resource: { endpoint: 'https://a/${ .b }' } } } } } ]",
      'definition.invalid',
      '/do/0/s/input/schema/resource/endpoint',
    ],
  ])('what %s is refused, with the line that names it', async (_, text, code, path) => {
    const refused = apply(`use: { catalogs: { c: { endpoint: https://b.example } } }\n${text}`, {});
    await expect(refused).rejects.toMatchObject({
      code,
      issues: [{ path, line: 3, file: 'workflows/flow.yaml' }],
    });
  });

  it('a function that calls itself is refused', async () => {
    const refused = apply(
      'use: { catalogs: { c: { endpoint: https://a.example } } }\ndo: [ { c: { call: f:1.0.0@c } } ]',
      { 'https://a.example/functions/f/1.0.0/function.yaml': 'do: [ { again: { call: f:1.0.0@c } } ]' },
    );
    await expect(refused).rejects.toThrow(/calls itself/);
  });
});
