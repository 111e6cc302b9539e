import type { JsonObject } from '../../kernel/json.ts';
import { SAYS } from '../../kernel/schema.ts';

/**
 * The part of the Open Workflow Specification 1.0 that AIOS runs, as JSON Schema, written from dsl-reference.md. What the specification
 * has and AIOS does not run is let through here and refused by `compile.ts`, which says what to write instead.
 */
const name = {
  type: 'string',
  pattern: '^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$',
  [SAYS]: 'letters, digits and - between them, at most 63',
};
const semver = {
  type: 'string',
  pattern: '^\\d+\\.\\d+\\.\\d+(?:-[0-9A-Za-z.-]+)?(?:\\+[0-9A-Za-z.-]+)?$',
  [SAYS]: 'a text of three numbers: 1.0.0',
};
const text = { type: 'string', minLength: 1 };
const open = { type: 'object' };
const steps = { $ref: '#/$defs/steps' };
const duration = { $ref: '#/$defs/duration' };
const templated = { type: ['string', 'object'] };

const object = (properties: JsonObject, required: string[] = []): JsonObject => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});

const dataSchema = object({ format: text, document: { type: ['object', 'boolean'] }, resource: open });
const input = object({ schema: dataSchema, from: templated });
const output = object({ schema: dataSchema, as: templated });
const timeout = {
  type: ['object', 'string'],
  properties: { after: duration },
  required: ['after'],
  additionalProperties: false,
};

const base: JsonObject = {
  if: text,
  input,
  output,
  export: output,
  timeout,
  // biome-ignore lint/suspicious/noThenProperty: `then` is the specification's name for where a flow goes next
  then: text,
  metadata: open,
};

const eventFilter = object(
  {
    with: { type: 'object', minProperties: 1 },
    correlate: { type: 'object', additionalProperties: object({ from: text, expect: text }, ['from']) },
  },
  ['with'],
);
const consumption: JsonObject = {
  type: 'object',
  properties: {
    one: eventFilter,
    any: { type: 'array', items: eventFilter },
    all: { type: 'array', items: eventFilter, minItems: 1 },
    until: { $ref: '#/$defs/until' },
  },
  additionalProperties: false,
  oneOf: [{ required: ['one'] }, { required: ['any'] }, { required: ['all'] }],
};

const retry: JsonObject = {
  type: ['object', 'string'],
  properties: {
    when: text,
    exceptWhen: text,
    delay: duration,
    backoff: object({
      constant: open,
      linear: object({ increment: duration }),
      exponential: object({ multiplier: { type: 'number', minimum: 1 } }),
    }),
    limit: object({
      attempt: object({ count: { type: 'integer', minimum: 0 }, duration }),
      duration,
    }),
    jitter: object({ from: duration, to: duration }, ['from', 'to']),
  },
  additionalProperties: false,
};

const iterator = object({ item: text, at: text, do: steps, output, export: output });

/** What each kind of step holds besides the members that all have; the first is the one that names the kind. */
export const STEP_MEMBERS: { readonly [type: string]: JsonObject } = {
  call: { call: text, with: open },
  do: { do: steps },
  emit: {
    emit: object(
      {
        event: object({ with: { type: 'object', required: ['type'], properties: { type: text } } }, ['with']),
      },
      ['event'],
    ),
  },
  for: {
    for: object({ each: text, in: { type: ['string', 'array'] }, at: text }, ['in']),
    while: text,
    do: steps,
  },
  fork: { fork: object({ branches: steps, compete: { type: 'boolean' } }, ['branches']) },
  listen: {
    listen: object({ to: consumption, read: { enum: ['data', 'envelope', 'raw'] } }, ['to']),
    foreach: iterator,
  },
  raise: { raise: object({ error: { type: ['object', 'string'] } }, ['error']) },
  run: {
    run: object({
      await: { type: 'boolean' },
      return: { enum: ['stdout', 'stderr', 'code', 'all', 'none'] },
      workflow: open,
      script: open,
      shell: open,
      container: open,
    }),
  },
  set: { set: { type: ['object', 'string'], minProperties: 1 } },
  switch: {
    switch: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        minProperties: 1,
        maxProperties: 1,
        // biome-ignore lint/suspicious/noThenProperty: as above
        additionalProperties: object({ when: text, then: text }, ['then']),
      },
    },
  },
  try: {
    try: steps,
    catch: object({
      errors: object({
        with: object({
          type: text,
          status: { type: 'integer' },
          instance: text,
          title: text,
          detail: text,
          code: text,
        }),
      }),
      as: text,
      when: text,
      exceptWhen: text,
      retry,
      do: steps,
      // biome-ignore lint/suspicious/noThenProperty: as above
      then: text,
    }),
  },
  wait: { wait: duration },
};

const REQUIRED: { readonly [type: string]: string[] } = { for: ['for', 'do'], try: ['try', 'catch'] };

/** The schema of one kind of step: chosen by the member that names it, so that faults speak of that kind only. */
export function stepSchema(type: string): JsonObject {
  return { ...object({ ...base, ...STEP_MEMBERS[type] }, REQUIRED[type] ?? [type]), $defs };
}

/** dsl-reference.md, "Subscription Iterator": of a call, whose `with` is the function's own. */
export function iteratorSchema(): JsonObject {
  return { ...iterator, $defs };
}

const $defs: JsonObject = {
  until: { anyOf: [{ type: ['string', 'boolean'] }, consumption] },
  // Each step is held to the schema of its own kind when it is compiled: here only the shape of the list.
  steps: {
    type: 'array',
    minItems: 1,
    items: { type: 'object', minProperties: 1, maxProperties: 1, additionalProperties: { type: 'object' } },
  },
  duration: {
    type: ['string', 'object'],
    properties: {
      days: { type: 'number' },
      hours: { type: 'number' },
      minutes: { type: 'number' },
      seconds: { type: 'number' },
      milliseconds: { type: 'number' },
    },
    additionalProperties: false,
    minProperties: 1,
  },
};

export const workflowSchema: JsonObject = {
  ...object(
    {
      document: object(
        {
          dsl: {
            type: 'string',
            pattern: '^1\\.\\d+\\.\\d+',
            [SAYS]: 'a version of the specification: 1.0.3',
          },
          namespace: name,
          name,
          version: semver,
          title: text,
          summary: text,
          tags: open,
          metadata: open,
        },
        ['dsl', 'namespace', 'name', 'version'],
      ),
      input,
      output,
      use: object({
        authentications: open,
        errors: { type: 'object', additionalProperties: open },
        extensions: {
          type: 'array',
          items: {
            type: 'object',
            minProperties: 1,
            maxProperties: 1,
            additionalProperties: object({ extend: text, when: text, before: steps, after: steps }, [
              'extend',
            ]),
          },
        },
        functions: { type: 'object', additionalProperties: open },
        retries: { type: 'object', additionalProperties: retry },
        secrets: { type: 'array' },
        timeouts: { type: 'object', additionalProperties: timeout },
        catalogs: open,
      }),
      do: steps,
      timeout,
      schedule: object({ every: duration, cron: text, after: duration, on: consumption }),
      evaluate: object({ language: text, mode: { enum: ['strict', 'loose'] } }),
    },
    ['document', 'do'],
  ),
  $defs,
};
