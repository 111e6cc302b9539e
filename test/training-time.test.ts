import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { openApp } from './app-under-test.ts';

const FLOW = `
document: { dsl: 1.0.0, namespace: test, name: learn, version: 1.0.0 }
do: [{ train: { call: train:1@default, with: { trainer: patient } } }]
`;

it('A trainer whose timeout is over trainingMs ends at that, and is told so', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'aios-training-'));
  const file = join(folder, 'trainers.yaml');
  await writeFile(file, 'trainers: { patient: { command: [sleep, "600"], timeout: PT10H } }');
  vi.stubEnv('AIOS_TRAINERS', file);
  const { app, close } = await openApp({
    limits: 'trainingMs=500',
    project: { 'workflows/learn.yaml': FLOW },
  });
  try {
    const answer = await fetch(`${app.url}/api/v1/workflows/learn/runs?wait=30s`, {
      method: 'POST',
      headers: { authorization: `Bearer ${app.adminKey}` },
    });
    const run = JSON.stringify(await answer.json());
    expect(run).toContain('training.failed');
    expect(run).toContain('patient did not end within 500 ms (the limit trainingMs) and was ended');
  } finally {
    await close();
    await rm(folder, { recursive: true, force: true });
    vi.unstubAllEnvs();
  }
});
