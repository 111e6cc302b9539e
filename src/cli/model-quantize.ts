import type { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Action } from './command-row.ts';
import { EXIT, numberOf, print, table } from './output.ts';
import { readRows } from './rows.ts';
import { openClient } from './session.ts';

interface Pair {
  parent: number;
  child: number;
}

interface Quantized {
  version: { version: number } | null;
  isNew: boolean;
  quantization: {
    operators: Record<string, number>;
    left: Record<string, number>;
    bytes: Pair;
    residentBytes: Pair;
    data: { source: string; rows: number };
    agreement: number;
    outputs: Record<string, { meanDifference: number; maxDifference: number; spread: number }>;
    speed: { batchRows: number; p50Ms: Pair; rowsPerSecond: Pair }[];
    accuracy: (Pair & { metric: string }) | null;
    batchable: { parent: boolean; child: boolean };
  };
}

const ROWS_MAX = 10_000; // as `quantizationRowsMax`: of more, every so-manieth is sent

/** `aios models quantize NAME[:VERSION|@ALIAS]` */
export const quantize: Action = async (options, [reference]) => {
  const client = await openClient(options);
  const { name, version } = await resolve(client, reference!);
  const rows = typeof options.data === 'string' ? await readRows(options.data) : undefined;
  const body: JsonObject = {
    ...(rows && { rows: thinned(rows) }),
    ...(typeof options.label === 'string' && { label: options.label }),
    ...(options.perChannel === true && { perChannel: true }),
    ...(options.reduceRange === true && { reduceRange: true }),
    ...(typeof options.operators === 'string' && { operators: options.operators.split(',') }),
    ...(options.weightBytesMin !== undefined && {
      weightBytesMin: numberOf('--weight-bytes-min', options.weightBytesMin),
    }),
    ...(options.agreementMin !== undefined && {
      agreementMin: numberOf('--agreement-min', options.agreementMin),
    }),
    ...(options.dryRun === true && { dryRun: true }),
  };
  const path = `/api/v1/models/${encodeURIComponent(name)}/versions/${version}/quantize`;
  const quantized = await client.request<Quantized>('POST', path, { body });
  print(quantized, options.json, () => describe(quantized, name, version));
  return EXIT.ok;
};

/** `name`, `name:3` or `name@challenger`; the champion, or without one the newest version, when it says no more. */
async function resolve(client: AiosClient, reference: string): Promise<{ name: string; version: number }> {
  const [, name, , number, alias] = /^([^:@]+)(:(\d+)|@(.+))?$/.exec(reference) ?? [];
  if (name === undefined)
    throw new AiosError('models.unknown_model', {
      detail: `“${reference}” is not a NAME, NAME:VERSION or NAME@ALIAS.`,
    });
  if (number !== undefined) return { name, version: Number(number) };
  const model = await client.request<{ aliases: Record<string, number>; versions: { version: number }[] }>(
    'GET',
    `/api/v1/models/${encodeURIComponent(name)}`,
  );
  const version =
    model.aliases[alias ?? 'champion'] ?? (alias === undefined ? model.versions[0]?.version : undefined);
  if (version === undefined)
    throw new AiosError('models.unknown_version', { detail: `${name} has no alias “${alias}”.` });
  return { name, version };
}

function thinned(rows: readonly JsonObject[]): JsonObject[] {
  const step = Math.ceil(rows.length / ROWS_MAX);
  return rows.filter((_, i) => i % step === 0);
}

function describe({ version, isNew, quantization }: Quantized, name: string, parent: number): string {
  const { operators, left, bytes, residentBytes, speed, accuracy, data, agreement, outputs, batchable } =
    quantization;
  const counts = Object.entries(operators).map(([operator, count]) => `${count} × ${operator}`);
  const ratio = ({ parent: a, child: b }: Pair, less: string, more: string) =>
    a >= b ? `${(a / b).toFixed(2)} × ${less}` : `${(b / a).toFixed(2)} × ${more}`;
  const megabytes = ({ parent: a, child: b }: Pair) =>
    [a, b].map((count) => `${(count / 1e6).toFixed(2)} MB`);
  const figures = [
    ['file', ...megabytes(bytes), ratio(bytes, 'smaller', 'larger')],
    ['memory', ...megabytes(residentBytes), ratio(residentBytes, 'smaller', 'larger')],
    ...speed.flatMap(({ batchRows, p50Ms, rowsPerSecond: { parent: a, child: b } }) => [
      [`p50, ${batchRows} rows`, `${p50Ms.parent} ms`, `${p50Ms.child} ms`, ratio(p50Ms, 'faster', 'slower')],
      [`rows/s, ${batchRows} rows`, String(a), String(b), ''],
    ]),
    ...(accuracy ? [[accuracy.metric, String(accuracy.parent), String(accuracy.child), '']] : []),
  ];
  const done = version
    ? `${name}/${version.version} ${isNew ? 'is registered' : 'was there already'}: ${name}/${parent} with weights of 8 bits`
    : `${name}/${parent} with weights of 8 bits (dry run: nothing is kept)`;
  return [
    done,
    `computes with whole numbers: ${counts.join(', ')}`,
    ...Object.entries(left).map(([reason, count]) => `left as it is: ${count} × ${reason}`),
    table(['', 'parent', 'quantized', ''], figures),
    `agrees on ${Number((100 * agreement).toFixed(2))} % of ${data.rows} rows (${SOURCES[data.source] ?? data.source})`,
    ...Object.entries(outputs).map(
      ([output, { meanDifference, maxDifference, spread }]) =>
        `${output} differs by ${meanDifference} on average, ${maxDifference} at most, over a spread of ${spread}`,
    ),
    ...(batchable.parent && !batchable.child
      ? ['its rows depend on each other: it will not be batched']
      : []),
  ].join('\n');
}

const SOURCES: Record<string, string> = {
  rows: 'of the data given',
  'request-log': 'samples of the request log',
  random: 'random numbers: give --data to know how it does on real ones',
};
