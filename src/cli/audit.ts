import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import { writeLog } from './audit-copy.ts';
import { EXIT, print, table } from './output.ts';
import type { Action } from './program.ts';
import { openClient } from './session.ts';

interface AuditEntry {
  index: number;
  id: string;
  kind: string;
  action: string;
  actor: { kind: string; id: string };
  object: string;
  at: string;
  payloadDigest: string;
  payload?: unknown;
  payloadText?: string;
  payloadSalt?: string;
  erased?: boolean;
}

interface Proof {
  index: number;
  size: number;
  leafHash: string;
  hashes: string[];
}

/** No more are named at once: `keyNamesMax` of the server is 200. */
const NAMES_ASKED = 100;

export const audit: Action = async (options, [index]) => {
  const { limit, of: object, export: folder } = options as Record<string, string | undefined>;
  const client = await openClient(options);
  if (index !== undefined) return one(client, index, options.json, options.again === true);
  if (folder !== undefined) {
    const copied = await writeLog(client, folder, (told) => process.stderr.write(`${told}\n`));
    print(copied, options.json, () => `${copied.size} entries in ${folder}: aios verify --from ${folder}`);
    return EXIT.ok;
  }
  const page = await client.request<{ items: AuditEntry[] }>('GET', '/api/v1/audit/entries', {
    query: { limit, object },
  });
  if (page.items.length === 0 && object !== undefined) await requireObject(client, object);
  const by = options.json ? new Map<string, string>() : await namesOf(client, page.items);
  print(page, options.json, () =>
    table(
      ['index', 'at', 'what', 'of', 'by'],
      page.items.map((entry) => [
        String(entry.index),
        entry.at,
        `${entry.kind} ${entry.action}`,
        entry.object,
        actorOf(entry, by),
      ]),
    ),
  );
  return EXIT.ok;
};

/** Things of which no entry tells until something is decided about them. */
const OBJECTS: Readonly<Record<string, string>> = { run: '/api/v1/runs', task: '/api/v1/tasks' };

/** Of what has no entry: it must be written as the log does, and a run or task be there. @throws AiosError, ProblemError of what is not */
async function requireObject(client: AiosClient, object: string): Promise<void> {
  const colon = object.indexOf(':');
  if (colon < 0)
    throw new AiosError('request.invalid', {
      detail: `“${object}” is no object of the log: write kind:name, as in run:run_… or model:NAME.`,
    });
  const path = OBJECTS[object.slice(0, colon)];
  if (path !== undefined)
    await client.request('GET', `${path}/${encodeURIComponent(object.slice(colon + 1))}`);
}

/** What the keys of entries are called, revoked ones too: an id alone tells nobody who it was. */
async function namesOf(client: AiosClient, entries: readonly AuditEntry[]): Promise<Map<string, string>> {
  const ids = [...new Set(entries.map(({ actor }) => actor.id).filter((id) => id.startsWith('key_')))];
  if (ids.length === 0) return new Map();
  const names: { id: string; name: string }[] = [];
  for (let from = 0; from < ids.length; from += NAMES_ASKED) {
    const query = { ids: ids.slice(from, from + NAMES_ASKED).join(',') };
    names.push(
      ...(await client.request<{ items: typeof names }>('GET', '/api/v1/key-names', { query })).items,
    );
  }
  return new Map(names.map(({ id, name }) => [id, name]));
}

/** `key admin (key_…)`, as far as its name is known. */
function actorOf({ actor: { kind, id } }: AuditEntry, names: ReadonlyMap<string, string>): string {
  const name = names.get(id);
  return name === undefined ? `${kind} ${id}` : `${kind} ${name} (${id})`;
}

async function one(client: AiosClient, index: string, asJson: boolean, again: boolean): Promise<number> {
  if (!/^\d+$/.test(index))
    throw new AiosError('request.invalid', {
      detail: `“${index}” is no index of an entry; \`aios audit\` lists them, \`aios verify\` verifies the log.`,
    });
  const entry = await client.request<AuditEntry>('GET', `/api/v1/audit/entries/${index}`);
  const proof = await client.request<Proof>('GET', '/api/v1/audit/proof', { query: { index } });
  const agrees = payloadAgrees(entry);
  const names = asJson ? new Map<string, string>() : await namesOf(client, [entry]);
  const decided = again ? await decideAgain(client, entry) : undefined;
  print({ entry, proof, payloadAgrees: agrees, ...(decided && { again: decided }) }, asJson, () =>
    [
      `${entry.kind} ${entry.action}  ${entry.object}  by ${actorOf(entry, names)}  ${entry.at}`,
      ...(agrees === undefined
        ? [entry.erased ? 'payload erased' : 'payload not shown to this key']
        : [
            JSON.stringify(entry.payload, null, 2),
            `payload ${agrees ? 'agrees' : 'does NOT agree'} with the digest in the entry`,
          ]),
      ...(decided
        ? [
            `decided again by version ${decided.version}: ${decided.same ? 'the same' : `NOT the same: ${JSON.stringify(decided.output)} by rule ${decided.rule}`}`,
          ]
        : []),
      `leaf ${proof.leafHash}, in a tree of ${proof.size} with ${proof.hashes.length} hashes as its proof`,
    ].join('\n'),
  );
  return agrees === false || decided?.same === false ? EXIT.failed : EXIT.ok;
}

interface Decision {
  decision: string;
  version: number;
  input: Json;
  output: Json;
  rule?: string;
}

/** The version of the table that decided is given what it was given. @throws AiosError `request.invalid` for an entry of something else */
async function decideAgain(client: AiosClient, { kind, index, payload }: AuditEntry) {
  const { decision, version, input, output, rule } = (payload ?? {}) as Decision;
  if (kind !== 'decision' || decision === undefined)
    throw new AiosError('request.invalid', {
      detail: `Entry ${index} holds no decision of a table that this key may see.`,
    });
  const found = await client.request<Decision>('POST', `/api/v1/decisions/${decision}/evaluate`, {
    body: { input, version },
  });
  const same = isDeepStrictEqual(found.output, output) && found.rule === rule;
  return { version, output: found.output, rule: found.rule ?? null, same };
}

/** Recomputed here: the digest is of the salt and the text. Undefined where the payload is not shown. */
function payloadAgrees({ payloadText, payloadSalt, payloadDigest }: AuditEntry): boolean | undefined {
  if (payloadText === undefined || payloadSalt === undefined) return undefined;
  const digest = createHash('sha256').update(Buffer.from(payloadSalt, 'base64')).update(payloadText);
  return digest.digest('hex') === payloadDigest;
}
