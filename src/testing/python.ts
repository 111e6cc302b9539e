import { execFile, type PromiseWithChild } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { madeOnce } from './made-once.ts';

/*
 * Stock Python clients against our doors. An environment lies in a temporary folder, named after its packages, and is used again by
 * the next run.
 */
const run = promisify(execFile);
const INSTALL_MS = 300_000;
const SCRIPT_MS = 120_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/**
 * The interpreter of an environment that holds the packages; nothing where there is no python3 or they cannot be installed: then the
 * test is skipped, with the reason in its name.
 *
 * @example const python = await pythonEnvironment(['tritonclient[http]==2.73.0'])
 * describe.skipIf(!python)(`tritonclient${python ? '' : ' (skipped: no python3 here, or no PyPI)'}`, …)
 */
export async function pythonEnvironment(packages: readonly string[]): Promise<string | undefined> {
  const interpreter = (base: string) =>
    process.platform === 'win32' ? join(base, 'Scripts', 'python.exe') : join(base, 'bin', 'python');
  const folder = await madeOnce('python', packages, async (building) => {
    await run('python3', ['-m', 'venv', building], { timeout: INSTALL_MS });
    const pip = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--retries',
      '1',
      ...packages,
    ];
    await run(interpreter(building), pip, { timeout: INSTALL_MS });
  });
  return folder && interpreter(folder);
}

/**
 * Runs a script with its arguments and answers with what it printed, read as JSON.
 *
 * @throws Error with the script's own words when it fails
 * @example (await runPython(python, 'test/clients/http.py', 'localhost:7700', key)).outputs
 */
export async function runPython(
  python: string,
  script: string,
  ...args: readonly string[]
): Promise<unknown> {
  const running: PromiseWithChild<{ stdout: string; stderr: string }> = run(python, [script, ...args], {
    timeout: SCRIPT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  const { stdout } = await running.catch((error: Error & { stderr?: string }) => {
    throw new Error(`${script}: ${error.stderr?.trim() || error.message}`);
  });
  return JSON.parse(stdout) as unknown;
}
