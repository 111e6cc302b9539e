import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError } from '../kernel/errors.ts';
import type { Action } from './command-row.ts';
import type { FlowTestReport } from './flow-test-report.ts';
import { EXIT, print } from './output.ts';
import { type RecordedRun, recordedTest } from './recording.ts';
import { openClient } from './session.ts';

export const test: Action = async (options, [folder = '.'], { testFlows }) => {
  await readdir(folder).catch(() => {
    throw new AiosError('request.invalid', { detail: `There is no project folder ${folder}.` });
  });
  const files = [...(await readYaml(folder, 'workflows')), ...(await readYaml(folder, 'tests'))];
  const reports = await testFlows(files);
  print(reports, options.json, () => describe(reports, folder));
  // None at all is most often a folder or an ending that was not meant: a script that holds flows to their tests must not pass.
  const passed = reports.length > 0 && reports.every(({ faults }) => faults.length === 0);
  return passed ? EXIT.ok : EXIT.failed;
};

async function readYaml(folder: string, name: string): Promise<{ path: string; text: string }[]> {
  const found = await readdir(join(folder, name)).catch(() => []);
  const names = found.filter((file) => /\.ya?ml$/.test(file)).sort();
  return Promise.all(
    names.map(async (file) => ({
      path: `${name}/${file}`,
      text: await readFile(join(folder, name, file), 'utf8'),
    })),
  );
}

function describe(reports: readonly FlowTestReport[], folder: string): string {
  if (reports.length === 0) {
    return `There are no tests in ${join(folder, 'tests')}. “aios workflows record RUN_ID” makes one of a run.`;
  }
  const lines = reports.flatMap(({ name, workflow, faults, steps, tookMs }) => {
    const head = `${faults.length > 0 ? '✗' : '✓'} ${workflow}: ${name} (${tookMs} ms)`;
    if (faults.length === 0) return [head];
    const way = steps.length > 0 ? [`    steps: ${steps.join(' → ')}`] : [];
    return [head, ...faults.map((fault) => `    ${fault}`), ...way];
  });
  const failed = reports.filter(({ faults }) => faults.length > 0).length;
  return [...lines, '', `${reports.length - failed} passed, ${failed} failed`].join('\n');
}

export const record: Action = async (options, [id]) => {
  if (!id) throw new AiosError('request.invalid', { detail: 'Which run? aios workflows record RUN_ID' });
  const client = await openClient(options);
  const run = await client.request<RecordedRun>('GET', `/api/v1/runs/${encodeURIComponent(id!)}`);
  const { text, replaced } = recordedTest(run);
  const { out } = options as { out?: string };
  if (out) await writeFile(out, text, { flag: 'wx' });
  else process.stdout.write(text);
  const note =
    replaced === 0
      ? 'Nothing looked personal or secret'
      : `${replaced} values that looked personal or secret were replaced`;
  process.stderr.write(`${note}. Read the file before you share it.\n`);
  return EXIT.ok;
};

export const graph: Action = async (options, [name]) => {
  if (!name) throw new AiosError('request.invalid', { detail: 'Of which flow? aios workflows graph NAME' });
  const client = await openClient(options);
  const { format = 'mermaid' } = options as { format?: string };
  const asJson = options.json || format === 'json';
  const query = { format: asJson ? 'json' : 'mermaid' };
  const answer = await client.request<{ mermaid?: string }>(
    'GET',
    `/api/v1/workflows/${encodeURIComponent(name!)}/graph`,
    {
      query,
    },
  );
  print(answer, asJson, () => (answer.mermaid ?? '').trimEnd());
  return EXIT.ok;
};
