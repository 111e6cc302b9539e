import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import type { AiosClient } from '../client/client.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { PAGE_ITEMS } from './listing.ts';

/** What opens an entry of the log, as a copy keeps it: a line of JSON each. */
export interface CopiedPayload {
  readonly index: number;
  /** Base64. */
  readonly payloadSalt?: string;
  readonly payloadText?: string;
  readonly erased?: true;
}

/** A version of a definition that a payload names. */
export interface CopiedDefinition {
  readonly kind: string;
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly body: JsonObject;
}

const PAYLOADS = 'payloads.jsonl';

/** Where the versions of what decisions are made with, and of what people answer under, are listed. */
const COLLECTIONS: Readonly<Record<string, string>> = {
  decision: 'decisions',
  queue: 'queues',
  workflow: 'workflows',
  'feature-view': 'feature-views',
  'feature-service': 'feature-services',
};

/**
 * Writes beside a copy of the log what its entries commit to (`payloads.jsonl`), and what these name: definitions (`definitions/`) and the files of
 * models (`models/`), whose digests are those of the files.
 *
 * @param size how many entries the copy has; later ones are left out
 * @returns how many payloads are there, and how many were erased
 * @throws ProblemError `access.forbidden` for a key that may not see payloads
 */
export async function writeEvidence(
  client: AiosClient,
  folder: string,
  size: number,
): Promise<{ payloads: number; erased: number; definitions: number; models: number }> {
  await mkdir(folder, { recursive: true });
  const named = new Set<string>();
  const counted = { payloads: 0, erased: 0 };
  async function* lines() {
    const entries = client.items<CopiedPayload & { payload?: Json }>('/api/v1/audit/entries', {
      payloads: true,
      limit: PAGE_ITEMS,
    });
    for await (const { index, payloadSalt, payloadText, payload, erased } of entries) {
      if (index >= size) continue;
      counted[erased ? 'erased' : 'payloads']++;
      for (const name of namesIn(payload)) named.add(name);
      yield `${JSON.stringify(erased ? { index, erased } : { index, payloadSalt, payloadText })}\n`;
    }
  }
  await pipeline(Readable.from(lines()), createWriteStream(join(folder, PAYLOADS)));
  return {
    ...counted,
    definitions: await writeDefinitions(client, folder, named),
    models: await writeModels(client, folder, named),
  };
}

async function writeModels(client: AiosClient, folder: string, named: ReadonlySet<string>): Promise<number> {
  let written = 0;
  for (const one of named) {
    const [, model, version] = /^model\/(.+)@(\d+)$/.exec(one) ?? [];
    if (model === undefined) continue;
    const name = encodeURIComponent(model);
    const bytes = await client.download(`/api/v1/models/${name}/versions/${version}/file`);
    const path = join(folder, 'models', `${name}@${version}`);
    await mkdir(dirname(path), { recursive: true });
    await pipeline(Readable.fromWeb(bytes as ReadableStream<Uint8Array>), createWriteStream(path));
    written++;
  }
  return written;
}

/** `decision/return-policy@3`, `queue/return-review@1`: what a decision was made by and with, what a person answered under. */
function namesIn(payload: Json | undefined): string[] {
  if (!isObject(payload)) return [];
  const { decision, version, queue, queueVersion, madeWith = [] } = payload;
  const texts = Array.isArray(madeWith) ? madeWith.filter((one) => typeof one === 'string') : [];
  return [
    ...(typeof decision === 'string' ? [`decision/${decision}@${String(version)}`] : []),
    ...(typeof queueVersion === 'number' ? [`queue/${String(queue)}@${queueVersion}`] : []),
    ...texts.map((text) => text.replace(/#.*$/, '')),
  ];
}

async function writeDefinitions(
  client: AiosClient,
  folder: string,
  named: ReadonlySet<string>,
): Promise<number> {
  const subjects = new Set([...named].map((name) => name.slice(0, name.lastIndexOf('@'))));
  let written = 0;
  for (const subject of subjects) {
    const [kind = '', name = ''] = subject.split('/');
    const collection = COLLECTIONS[kind];
    if (collection === undefined) continue;
    const { items } = await client.request<{ items: CopiedDefinition[] }>(
      'GET',
      `/api/v1/${collection}/${encodeURIComponent(name)}/versions`,
    );
    for (const item of items.filter(({ version }) => named.has(`${subject}@${version}`))) {
      const path = definitionPath(folder, item);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, `${JSON.stringify(item, null, 2)}\n`);
      written++;
    }
  }
  return written;
}

function definitionPath(
  folder: string,
  { kind, name, version }: Pick<CopiedDefinition, 'kind' | 'name' | 'version'>,
): string {
  return join(folder, 'definitions', kind, `${encodeURIComponent(name)}@${version}.json`);
}

/** A definition of a copy; undefined where the copy has none. */
export async function copiedDefinition(
  folder: string,
  named: Pick<CopiedDefinition, 'kind' | 'name' | 'version'>,
): Promise<CopiedDefinition | undefined> {
  const path = definitionPath(folder, named);
  return existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as CopiedDefinition) : undefined;
}

/** The payloads of a copy, none where it was made without. */
export async function* copiedPayloads(folder: string): AsyncGenerator<CopiedPayload> {
  const path = join(folder, PAYLOADS);
  if (!existsSync(path)) return;
  for await (const line of createInterface({
    input: createReadStream(path),
    crlfDelay: Number.POSITIVE_INFINITY,
  }))
    if (line !== '') yield JSON.parse(line) as CopiedPayload;
}

/** The digest of a payload in hex, as its entry holds it: over the salt and the text. */
export function payloadDigest(payloadSalt: string, payloadText: string): string {
  return createHash('sha256').update(Buffer.from(payloadSalt, 'base64')).update(payloadText).digest('hex');
}

/** What is read here of an entry. */
interface Leaf {
  readonly kind: string;
  readonly action: string;
  readonly payloadDigest: string;
}

/** Holds the payloads of a copy to the entries of its log. */
export class PayloadCheck {
  agreeing = 0;
  erased = 0;
  readonly #problems: string[] = [];
  #erasures = 0;
  /** By index; null of one that was erased. */
  readonly #digests = new Map<number, string | null>();

  /** Undefined for a copy without payloads. */
  static async open(folder: string): Promise<PayloadCheck | undefined> {
    const check = new PayloadCheck();
    const models = new Set<string>();
    for await (const { index, payloadSalt, payloadText } of copiedPayloads(folder)) {
      if (check.#digests.has(index))
        check.#problems.push(`the copy has more than one payload of entry ${index}`);
      check.#digests.set(
        index,
        payloadSalt === undefined || payloadText === undefined
          ? null
          : payloadDigest(payloadSalt, payloadText),
      );
      const payload = payloadText === undefined ? undefined : (JSON.parse(payloadText) as Json);
      const madeWith = isObject(payload) ? payload.madeWith : undefined;
      for (const one of Array.isArray(madeWith) ? madeWith : []) if (typeof one === 'string') models.add(one);
    }
    await check.#models(folder, models);
    return check.#digests.size > 0 ? check : undefined;
  }

  /** The files of the models that payloads name, by the digests they name. */
  async #models(folder: string, named: ReadonlySet<string>): Promise<void> {
    for (const one of named) {
      const [, model = '', digest] = /^model\/(.+@\d+)#sha256:([0-9a-f]{64})$/.exec(one) ?? [];
      if (digest === undefined) continue;
      const path = join(folder, 'models', model);
      if (!existsSync(path)) {
        this.#problems.push(`the copy has no file of the model ${model}`);
        continue;
      }
      const hash = createHash('sha256');
      await pipeline(createReadStream(path), hash);
      if (hash.digest('hex') !== digest)
        this.#problems.push(`the file of the model ${model} is not the one that was used`);
    }
  }

  /** Once all entries were held to it. That a payload was erased is the word of whoever made the copy: the log has an entry of each erasure, though not of whom. */
  get problems(): readonly string[] {
    if (this.erased === 0 || this.#erasures > 0) return this.#problems;
    return [
      ...this.#problems,
      `${this.erased} payloads are called erased, and the log has no entry of an erasure`,
    ];
  }

  hold(index: number, entry: Uint8Array): void {
    const { kind, action, payloadDigest: held } = JSON.parse(Buffer.from(entry).toString()) as Leaf;
    if (kind === 'subject' && action === 'erased') this.#erasures++;
    const digest = this.#digests.get(index);
    if (digest === undefined) this.#problems.push(`the copy has no payload of entry ${index}`);
    else if (digest === null) this.erased++;
    else if (digest === held) this.agreeing++;
    else this.#problems.push(`the payload of entry ${index} is not the one it commits to`);
  }
}
