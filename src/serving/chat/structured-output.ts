import { LRUCache } from 'lru-cache';
import { AiosError, type Issue } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { compileSchema, type Validator } from '../../kernel/schema.ts';

const SCHEMAS_MAX = 200; // compiled schemas that are kept; compiling one takes 1 to 5 ms

const anyObject: Validator = (value) =>
  isObject(value) ? [] : [{ path: '', message: 'must be an object', expected: 'object' }];

/** Holds answers to the `response_format` of a request. */
export class StructuredOutput {
  readonly #validators = new LRUCache<string, Validator>({ max: SCHEMAS_MAX });

  /**
   * What checks the answers to a request; undefined when it asks for plain text.
   *
   * @throws AiosError `request.invalid` for an invalid format
   */
  validatorOf({ response_format: format }: JsonObject): Validator | undefined {
    if (format === undefined || format === null) return undefined;
    const type = isObject(format) ? format.type : undefined;
    if (type === 'text') return undefined;
    if (type === 'json_object') return anyObject;
    const schema = isObject(format) && isObject(format.json_schema) ? format.json_schema.schema : undefined;
    if (type !== 'json_schema' || !isObject(schema)) {
      const found = JSON.stringify(type ?? format);
      throw invalid({
        path: '/response_format',
        message: 'must be text, json_object, or json_schema with a schema',
        found,
      });
    }
    const text = JSON.stringify(schema);
    const known = this.#validators.get(text);
    if (known) return known;
    try {
      const validator = compileSchema(schema);
      this.#validators.set(text, validator);
      return validator;
    } catch (error) {
      throw invalid({ path: '/response_format/json_schema/schema', message: (error as Error).message });
    }
  }
}

function invalid(issue: Issue): AiosError {
  return new AiosError('request.invalid', { issues: [issue] });
}

/** The faults of a text that should be JSON. A fence around it is a fault too: whoever asks for JSON parses the text as it is. */
export function faultsOf(text: string, validator: Validator): Issue[] {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    return [{ path: '', message: (error as Error).message, found: text.slice(0, 80) }];
  }
  return validator(value);
}

/** The faults of each choice that ended by itself: one that was cut short, refused or calls tools is not held to the format. */
export function faultsOfChoices({ choices }: JsonObject, validator: Validator): Issue[] {
  if (!Array.isArray(choices)) return [];
  return choices.flatMap((choice, index) => {
    const { finish_reason: reason, message } = isObject(choice) ? choice : {};
    if ((reason !== 'stop' && reason != null) || !isObject(message)) return [];
    if (message.refusal || (Array.isArray(message.tool_calls) && message.tool_calls.length > 0)) return [];
    const prefix = `/choices/${index}/message/content`;
    return faultsOf(String(message.content ?? ''), validator).map((issue) => ({
      ...issue,
      path: `${prefix}${issue.path}`,
    }));
  });
}

/** The request again, with the answer that did not fit and what was wrong with it. */
export function repairRequest(request: JsonObject, answer: JsonObject, issues: readonly Issue[]): JsonObject {
  const [first] = Array.isArray(answer.choices) ? answer.choices : [];
  const said = isObject(first) && isObject(first.message) ? String(first.message.content ?? '') : '';
  const faults = issues.map(({ path, message, expected }) =>
    expected === undefined ? `${path}: ${message}` : `${path}: ${message} (expected ${expected})`,
  );
  return {
    ...request,
    messages: [
      ...(request.messages as Json[]),
      { role: 'assistant', content: said },
      {
        role: 'user',
        content: `That is not the JSON that was asked for. Faults:\n${faults.join('\n')}\nAnswer with the corrected JSON alone, without a fence or other text.`,
      },
    ],
  };
}
