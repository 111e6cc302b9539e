import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logisticModel, onnxModel } from '../src/testing/onnx.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';
import { runCommand } from './command-line.ts';

const RISK = `name: risk
file: model.onnx
serving:
  fallback:
    - { model: rules }
    - { model: gone }
    - { ref: 1 }
    - default: { outputs: { probability: [1] } }
`;
const NAMED = `name: named
file: model.onnx
signature: { features: [a, b] }
serving: { fallback: [{ model: more }, { model: filled }, { default: { results: { probabilities: 0.5 } } }] }
`;
const more = (name: string, fill: string) =>
  `name: ${name}\nfile: model.onnx\nsignature: { features: [a, b, c]${fill} }\n`;

describe('fallback chains that could not answer', () => {
  let opened: OpenedApp;
  let folder: string;
  beforeAll(async () => {
    opened = await openApp();
    folder = await mkdtemp(join(tmpdir(), 'aios-fallbacks-'));
    await model('risk', RISK, [1, 2]);
    await model('rules', 'name: rules\nfile: model.onnx\n', [1, 2, 3]);
    await model('named', NAMED, [1, 2]);
    await model('more', more('more', ''), [1, 2, 3]);
    await model('filled', more('filled', ', fill: { c: 0 }'), [1, 2, 3]);
  });
  afterAll(async () => {
    await opened?.close();
    await rm(folder, { recursive: true });
  });

  const model = async (name: string, text: string, weights: number[]) => {
    const path = join(folder, 'models', name);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'model.yaml'), text);
    await writeFile(join(path, 'model.onnx'), logisticModel(weights, 0));
  };
  const aios = async (...args: string[]) => {
    const { url, adminKey } = opened.app;
    const { code, said } = await runCommand(['--url', url, '--key', adminKey, ...args]);
    return { code, said, warned: said.split('\n').filter((line) => line.startsWith('! ')) };
  };

  const RULES =
    'champion of risk (version 1) falls back to rules/1, which does not take its calls or answer as it does: /inputs/features: callers send another form (found FP32 [-1, 2]; expected FP32 [-1, 3])';
  const GONE = (version: number) =>
    `champion of risk (version ${version}) falls back to what is not there: There is no model “gone”.`;
  const DEFAULT = (version: number) =>
    `champion of risk (version ${version}) has a default answer that is not whole: The default answer of risk/${version}: the output “probabilities” is not written down.`;
  const MORE =
    'champion of named (version 1) falls back to more/1, which does not take its calls or answer as it does: /features/c: callers need not name it';

  it('are told with their lines before both models are there, when they are applied, and after', async () => {
    const warned = [
      `! models/named/model.yaml:4:23 /serving/fallback/0: ${MORE}`,
      `! models/risk/model.yaml:5:7 /serving/fallback/0: ${RULES}`,
      `! models/risk/model.yaml:6:7 /serving/fallback/1: ${GONE(1)}`,
      `! models/risk/model.yaml:8:7 /serving/fallback/3: ${DEFAULT(1)}`,
    ];
    expect((await aios('plan', folder)).warned).toEqual(warned);
    expect((await aios('apply', folder)).warned).toEqual(warned);
    expect((await aios('plan', folder)).warned).toEqual(warned);
  });

  it('are told again when an alias moves, of the chains that name the model, too', async () => {
    await model('risk', RISK, [1, 2, 3]);
    await aios('apply', folder);
    const refused = await aios('models', 'promote', 'risk', '2');
    expect(refused).toMatchObject({ code: 1, said: expect.stringContaining('models.signature_changed') });
    expect(refused.said).toContain('--force');
    const forced = await aios('models', 'promote', 'risk', '2', '--force');
    expect(forced).toMatchObject({ code: 0, said: expect.stringContaining('now points at version 2') });
    const back =
      'champion of risk (version 2) falls back to risk/1, which does not take its calls or answer as it does: /inputs/features: callers send another form (found FP32 [-1, 3]; expected FP32 [-1, 2])';
    expect(forced.warned).toEqual([
      `! /serving/fallback/1: ${GONE(2)}`,
      `! /serving/fallback/2: ${back}`,
      `! /serving/fallback/3: ${DEFAULT(2)}`,
    ]);
    expect((await aios('models', 'show', 'risk')).warned).toEqual(forced.warned);
    await model('more', more('more', ', fill: 0'), [1, 2, 3]);
    await aios('apply', folder);
    expect((await aios('models', 'promote', 'more', '2')).warned).toEqual([]);
    expect((await aios('models', 'promote', 'more', '1')).warned).toEqual([`! /serving/fallback/0: ${MORE}`]);
  });

  it('for a default answer that its output cannot hold, with the element', async () => {
    const ids = { datatype: 'INT64' as const, shape: ['rows', 1] };
    const path = join(folder, 'models', 'counted');
    await mkdir(path, { recursive: true });
    const text =
      'name: counted\nfile: model.onnx\nserving: { fallback: [{ default: { outputs: { y: [1.5] } } }] }\n';
    await writeFile(join(path, 'model.yaml'), text);
    const onnx = onnxModel({
      inputs: [{ name: 'x', ...ids }],
      outputs: [{ name: 'y', ...ids }],
      nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    });
    await writeFile(join(path, 'model.onnx'), onnx);
    const said = (await aios('plan', folder)).warned.filter((line) => line.includes('counted'));
    expect(said).toEqual([expect.stringContaining('the output “y”, element 0: 1.5 is not a valid INT64.')]);
  });

  it('that name a version which comes with the plan are held to it; those of a model that waits for approvals, once it answers', async () => {
    const chain = (name: string, text: string) => `name: ${name}\nfile: model.onnx\n${text}`;
    await model('next', chain('next', ''), [1, 2]);
    await model(
      'held',
      chain('held', 'promotion: { approvals: 1 }\nserving: { fallback: [{ model: gone }] }\n'),
      [1],
    );
    await aios('apply', folder);
    await model(
      'next',
      chain('next', 'serving: { fallback: [{ ref: 2 }, { ref: 3 }, { model: held }] }\n'),
      [1, 2, 3],
    );
    const said = (await aios('plan', folder)).warned.filter((line) => /next|held/.test(line));
    expect(said.map((line) => line.split(': ')[1])).toEqual([
      expect.stringContaining('falls back to next/2, which does not take its calls'),
      'champion of next (version 1) falls back to what is not there',
      'champion of next (version 1) falls back to what is not there',
    ]);
  });
});
