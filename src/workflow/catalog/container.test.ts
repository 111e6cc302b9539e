import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { memoryFixture } from '../engine/stores-under-test.ts';
import { CallsUnderTest } from './calls-under-test.ts';

const IMAGE = 'alpine:3';

function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8', stdio: 'pipe', timeout: 60_000 });
}

/** A daemon answers, and the image is there or can be had. */
function hasDocker(): boolean {
  try {
    docker('version', '--format', '{{.Server.Version}}');
    docker('run', '--rm', IMAGE, 'true');
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasDocker())(`containers by a real engine (needs a docker daemon and ${IMAGE})`, () => {
  const suffix = `${process.pid}`;
  let subject: CallsUnderTest;
  const run = async (members: string, of = '') =>
    (await subject.run(`do: [ { s: { run: { container: { image: '${IMAGE}', ${members} }, ${of} } } } ]`))
      .result!;

  beforeAll(async () => {
    subject = await CallsUnderTest.open(memoryFixture, [], 'processMs=60000', {
      isShellAllowed: false,
      containerEngine: 'docker',
    });
  });
  afterAll(async () => {
    await subject.close();
    docker('volume', 'rm', '--force', `aios-test-${suffix}`);
  });

  it('runs with its input, arguments and environment', async () => {
    const members = `command: 'cat; echo " $1 $KEY"', stdin: in, arguments: [ arg ], environment: { KEY: value }`;
    expect(await run(members)).toEqual({ output: 'in arg value\n' });
    expect(await run('command: "exit 7"', 'return: code')).toEqual({ output: 7 });
  });

  it('shares a volume between two containers', async () => {
    const volumes = `volumes: { aios-test-${suffix}: /data }`;
    await run(`command: "echo kept > /data/note", ${volumes}`);
    expect(await run(`command: "cat /data/note", ${volumes}`)).toEqual({ output: 'kept\n' });
  });

  it('publishes its ports on the loopback alone', async () => {
    const name = `aios-ports-${suffix}`;
    const ran = run(`name: ${name}, command: "sleep 5", ports: { 18089: 80 }`);
    await vi.waitFor(() => expect(docker('port', name).trim()).toBe('80/tcp -> 127.0.0.1:18089'), 20_000);
    docker('kill', name);
    await ran;
  });

  it('is gone at once, stays, or goes some time after its end', async () => {
    const there = (name: string) =>
      docker('ps', '--all', '--quiet', '--filter', `name=^${name}$`).trim() !== '';
    const [always, never, later] = ['always', 'never', 'later'].map((each) => `aios-${each}-${suffix}`) as [
      string,
      string,
      string,
    ];
    await run(`name: ${always}, command: "true"`);
    await run(`name: ${never}, command: "true", lifetime: { cleanup: never }`);
    await run(`name: ${later}, command: "true", lifetime: { cleanup: eventually, after: PT1S }`);
    expect([there(always), there(never), there(later)]).toEqual([false, true, true]);
    await vi.waitFor(() => expect(there(later)).toBe(false), 20_000);
    docker('rm', never);
  });
});
