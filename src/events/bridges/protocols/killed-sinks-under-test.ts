import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { JsonObject } from '../../../kernel/json.ts';

const PROGRAM = join(import.meta.dirname, 'sink-process-under-test.ts');
const KILLS = 6;

/**
 * Sends events by processes that are killed at any moment, each beginning with the first event, until one has come to the end.
 *
 * @returns how many were killed
 */
export async function sendThroughKills(
  protocol: string,
  settings: JsonObject,
  name: string,
  count: number,
): Promise<number> {
  let killed = 0;
  for (;;) {
    const child = spawn(
      process.execPath,
      [PROGRAM, protocol, JSON.stringify(settings), name, String(count)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const ended = once(child, 'exit');
    if (killed < KILLS) {
      // Once it has sent something more, at a moment of its own.
      await Promise.race([once(child.stdout, 'data'), ended]);
      await new Promise((done) => setTimeout(done, Math.random() * 15));
      if (child.kill('SIGKILL')) killed++;
      await ended;
      continue;
    }
    const [code] = (await ended) as [number | null];
    if (code !== 0) throw new Error(`The process that sends ended with ${code}.`);
    return killed;
  }
}
