import { vi } from 'vitest';
import { runCli } from '../src/cli/program.ts';
import { compileTable } from '../src/decisions/table.ts';

/**
 * Runs the command line in this process.
 *
 * @returns its exit code, and what it wrote to standard output and standard error
 * @example await runCommand(['--url', app.url, '--key', app.adminKey, 'runs']) // { code: 0, said: 'RUN …\n' }
 */
export async function runCommand(argv: readonly string[]): Promise<{ code: number; said: string }> {
  let said = '';
  const hear = (text: unknown) => {
    said += String(text);
    return true;
  };
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockImplementation(hear),
  );
  try {
    const code = await runCli(argv, async () => 1, {
      testFlows: async () => [],
      evaluateTable: async (body, input) => compileTable(body).evaluate(input),
    });
    return { code, said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
