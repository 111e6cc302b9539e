import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/** Libraries that only some flows need: together 0.9 s to load on 2 shared cores. */
const HEAVY = [
  '@grpc/grpc-js',
  '@grpc/proto-loader',
  '@modelcontextprotocol/',
  '@a2a-js/sdk',
  'mqtt',
  'ioredis',
  '@duckdb/node-api',
  '@platformatic/kafka',
  'amqplib',
  '@nats-io/',
];

it('the libraries of protocols are loaded by the first call that needs them, not by a start', () => {
  const folder = join(import.meta.dirname, '..');
  const loading = globSync('**/*.ts', { cwd: folder })
    .filter((file) => !/(\.test|-under-test)\.ts$/.test(file))
    .flatMap((file) => {
      const text = readFileSync(join(folder, file), 'utf8');
      const imported = [...text.matchAll(/^(?:import|export) (?!type\b)[^;]*?from '([^']+)';/gm)];
      return imported
        .map(([, from = '']) => `${file}: ${from}`)
        .filter((line) => HEAVY.some((name) => line.includes(`: ${name}`)));
    });
  expect(loading).toEqual([]);
});
