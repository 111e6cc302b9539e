import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { digestOf } from '../../kernel/canonical.ts';
import { readDocument, validateDocument } from '../../kernel/document.ts';
import { parseDuration } from '../../kernel/duration.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import { compileSchema } from '../../kernel/schema.ts';

/** A command that the operator allows flows to train with. */
export interface Trainer {
  readonly name: string;
  /** The command and its arguments; no shell reads them. */
  readonly command: readonly string[];
  /** Where it runs; a folder of its own where none is named. */
  readonly folder?: string;
  /** Values may hold `${secrets.NAME}`, filled in when the command starts. */
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number | undefined;
  readonly costPerHourUsd: number;
  /** Of the processor, from -20 to 19: what trains gives way to what serves. */
  readonly niceness: number;
  /** Of the command and of what its folder holds. */
  readonly codeDigest: string;
}

const FILES_MAX = 5_000; // of a trainer's folder, in its digest
const SKIPPED: ReadonlySet<string> = new Set(['.git', 'node_modules', '__pycache__', '.venv']);
const NICENESS = 10;

const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['trainers'],
  properties: {
    trainers: {
      type: 'object',
      propertyNames: { pattern: '^[a-z0-9][a-z0-9._-]{0,99}$' },
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['command'],
        properties: {
          command: { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
          folder: { type: 'string', pattern: '^/' },
          environment: {
            type: 'object',
            propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
            additionalProperties: { type: 'string' },
          },
          timeout: { type: 'string' },
          costPerHourUsd: { type: 'number', minimum: 0 },
          niceness: { type: 'integer', minimum: -20, maximum: 19 },
        },
      },
    },
  },
} as unknown as JsonObject);

/**
 * Reads the trainer of a name from the operator's file, as it stands now. It is a file of the machine and not a definition of a project: who may apply flows may
 * not thereby run commands.
 *
 * @throws AiosError `training.not_allowed` for one that is not there, `definition.invalid` for a file that is wrong, with its place
 * @example (await readTrainer('/etc/aios/trainers.yaml', 'return-risk')).command // ['python3', 'train.py']
 */
export async function readTrainer(file: string | undefined, name: string): Promise<Trainer> {
  const all = file === undefined ? {} : await readAll(file);
  const found = Object.hasOwn(all, name) ? (all[name] as JsonObject) : undefined;
  if (!found) {
    const allowed = Object.keys(all).join(', ') || 'none';
    const where = file === undefined ? 'AIOS_TRAINERS is not set.' : `Allowed by ${file}: ${allowed}.`;
    throw new AiosError('training.not_allowed', { detail: `There is no trainer “${name}”. ${where}` });
  }
  const { command, folder, environment = {}, timeout, costPerHourUsd = 0, niceness = NICENESS } = found;
  return {
    name,
    command: command as string[],
    ...(folder !== undefined && { folder: folder as string }),
    environment: environment as Record<string, string>,
    timeoutMs: timeout === undefined ? undefined : parseDuration(timeout as string),
    costPerHourUsd: costPerHourUsd as number,
    niceness: niceness as number,
    codeDigest: await codeDigest(command as Json, folder as string | undefined),
  };
}

/**
 * How long it may run, and by whose word: an operator's limit holds for all trainers.
 *
 * @example timeOf({ ...trainer, timeoutMs: 7_200_000 }, { trainingMs: 3_600_000 }) // { ms: 3_600_000, by: 'the limit trainingMs' }
 */
export function timeOf(
  { timeoutMs = Number.POSITIVE_INFINITY }: Pick<Trainer, 'timeoutMs'>,
  { trainingMs }: Pick<Limits, 'trainingMs'>,
): { ms: number; by: string } {
  return timeoutMs < trainingMs
    ? { ms: timeoutMs, by: 'its timeout' }
    : { ms: trainingMs, by: 'the limit trainingMs' };
}

async function readAll(file: string): Promise<JsonObject> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new AiosError('training.not_allowed', { detail: `${file} could not be read.`, cause });
  }
  const document = readDocument(text, file);
  validateDocument(document, validate);
  return document.value.trainers as JsonObject;
}

/** What a version was trained with is told by it: another line of code is another digest. */
async function codeDigest(command: Json, folder: string | undefined): Promise<string> {
  if (folder === undefined) return digestOf({ command });
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw new AiosError('training.not_allowed', { detail: `${folder} could not be read.`, cause });
  });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !path.split('/').some((part) => SKIPPED.has(part)))
    .sort()
    .slice(0, FILES_MAX);
  const files: JsonObject = {};
  for (const path of paths)
    files[path] = createHash('sha256')
      .update(await readFile(join(folder, path)))
      .digest('hex');
  return digestOf({ command, files });
}
