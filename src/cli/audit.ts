import { isDeepStrictEqual } from 'node:util';
import type { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import { writeLog } from './audit-copy.ts';
import {
  type AuditEntry,
  type AuditSource,
  copySource,
  type Decision,
  serverSource,
} from './audit-sources.ts';
import type { Action } from './command-row.ts';
import { payloadDigest as payloadDigestOf, writeEvidence } from './evidence.ts';
import { listText } from './listing.ts';
import { countOf, EXIT, print, table } from './output.ts';
import { openClient } from './session.ts';

/** No more are named at once: `keyNamesMax` of the server is 200. */
const NAMES_ASKED = 100;

export const audit: Action = async (options, [index], host) => {
  const { limit, of: object, export: folder, from, logKey } = options as Record<string, string | undefined>;
  const client = from === undefined ? await openClient(options) : undefined;
  const source = client
    ? serverSource(client)
    : await copySource(from!, logKey, (body, input) => host.evaluateTable(body, input));
  const namesIn = async (entries: readonly AuditEntry[]) =>
    client && !options.json ? await namesOf(client, entries) : new Map<string, string>();
  if (index !== undefined) return one(source, indexOf(index), options, namesIn);
  if (folder !== undefined) return copy(options, folder);
  const page = await source.list({ object, limit: countOf('--limit', limit) });
  const { items } = page;
  if (client && items.length === 0 && object !== undefined) await requireObject(client, object);
  const by = await namesIn(items);
  print(page, options.json, () =>
    listText(
      page,
      table(
        ['index', 'at', 'what', 'of', 'by'],
        items.map((entry) => [
          String(entry.index),
          entry.at,
          `${entry.kind} ${entry.action}`,
          entry.object,
          actorOf(entry, by),
        ]),
      ),
      '--of',
    ),
  );
  return EXIT.ok;
};

/** Copies the log, and with `--payloads` what opens it. */
async function copy(options: Parameters<Action>[0], folder: string): Promise<number> {
  const client = await openClient(options);
  const copied = await writeLog(client, folder, (told) => process.stderr.write(`${told}\n`));
  const evidence = options.payloads ? await writeEvidence(client, folder, copied.size) : undefined;
  print({ ...copied, ...evidence }, options.json, () => {
    const more =
      evidence &&
      ` with ${evidence.payloads} payloads, ${evidence.definitions} definitions and ${evidence.models} models`;
    return `${copied.size} entries${more ?? ''} in ${folder}: aios verify --from ${folder}`;
  });
  return EXIT.ok;
}

/** Things of which no entry tells until something is decided about them. */
const OBJECTS: Readonly<Record<string, string>> = { run: '/api/v1/runs', task: '/api/v1/tasks' };

/** Of what has no entry: it must be written as the log does, and a run or task be there. @throws AiosError, ProblemError of what is not */
async function requireObject(client: AiosClient, object: string): Promise<void> {
  const colon = object.indexOf(':');
  if (colon < 0)
    throw new AiosError('request.invalid', {
      detail: `“${object}” is not an object of the log: write kind:name, as in run:run_… or model:NAME.`,
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

function indexOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new AiosError('request.invalid', {
    detail: `“${text}” is not an index of an entry; \`aios audit\` lists them, \`aios verify\` verifies the log.`,
  });
}

async function one(
  source: AuditSource,
  index: number,
  options: Parameters<Action>[0],
  namesIn: (entries: readonly AuditEntry[]) => Promise<Map<string, string>>,
): Promise<number> {
  const entry = await source.entry(index);
  const proof = await source.proof(index);
  const agrees = payloadAgrees(entry);
  const names = await namesIn([entry]);
  const decided = options.again === true ? await decideAgain(source, entry) : undefined;
  print({ entry, proof, payloadAgrees: agrees, ...(decided && { again: decided }) }, options.json, () =>
    [
      `${entry.kind} ${entry.action}  ${entry.object}  by ${actorOf(entry, names)}  ${entry.at}`,
      ...(agrees === undefined
        ? [
            entry.erased
              ? 'payload erased'
              : options.from
                ? 'payload not in this copy'
                : 'payload not shown to this key',
          ]
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

/** The version of the table that decided is given what it was given. @throws AiosError `request.invalid` for an entry of something else */
async function decideAgain(source: AuditSource, { kind, index, payload }: AuditEntry) {
  const decision = (payload ?? {}) as Decision;
  if (kind !== 'decision' || decision.decision === undefined)
    throw new AiosError('request.invalid', {
      detail: `Entry ${index} holds no decision of a table that can be seen here.`,
    });
  const found = await source.decide(decision);
  const { version, output, rule } = decision;
  const same = isDeepStrictEqual(found.output, output) && (found.rule ?? null) === (rule ?? null);
  return { version, output: found.output, rule: found.rule ?? null, same };
}

/** Recomputed here: the digest is of the salt and the text. Undefined where the payload is not shown. */
function payloadAgrees({ payloadText, payloadSalt, payloadDigest }: AuditEntry): boolean | undefined {
  if (payloadText === undefined || payloadSalt === undefined) return undefined;
  return payloadDigestOf(payloadSalt, payloadText) === payloadDigest;
}
