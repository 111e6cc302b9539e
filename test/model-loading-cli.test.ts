import { expect, it, vi } from 'vitest';
import { openInferenceUnderTest } from '../src/api/inference-under-test.ts';
import { runCli } from '../src/cli/program.ts';

it('models are loaded and unloaded from the command line, on record', async () => {
  const door = await openInferenceUnderTest();
  const printed: string[] = [];
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi
      .spyOn(stream, 'write')
      .mockImplementation(((text: unknown) => printed.push(String(text)) > 0) as typeof stream.write),
  );
  const aios = (...args: string[]) =>
    runCli(['--url', door.url, '--key', 'all', 'models', ...args], async () => 0);
  const codes = [await aios('load', 'add-sub'), await aios('unload', 'add-sub'), await aios('load', 'none')];
  const isReady = door.serving.isReady('add-sub');
  for (const spy of spies) spy.mockRestore();
  await door.close();
  expect(codes).toEqual([0, 0, 1]);
  expect(printed.join('')).toMatch(/add-sub is loaded\nadd-sub is unloaded.*models\.unknown_model/s);
  expect(isReady).toBe(false);
  expect(door.audited.map(({ action }) => action)).toEqual(['loaded', 'unloaded']);
});
