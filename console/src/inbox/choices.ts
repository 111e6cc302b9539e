import type { FormSchema, Json } from '../api/shapes.ts';

export interface Choice {
  value: Json;
  label: string;
  /** The key that chooses it. */
  key: string;
  refuses: boolean;
}

const REFUSES = /^(refus|reject|den(y|ied)|declin|no$)/i;

/** The field of a form whose values are the ways to answer: the first with an enumeration. */
export function answerField(form: FormSchema): string | undefined {
  return Object.entries(form.properties ?? {}).find(([, { enum: values }]) => values !== undefined)?.[0];
}

/** Its values with their keys: `a` for the first that says yes, `r` for the first that says no, numbers for others. */
export function choicesOf(form: FormSchema): Choice[] {
  const name = answerField(form);
  const values = (name === undefined ? undefined : form.properties?.[name]?.enum) ?? [];
  const used = new Set<string>();
  return values.map((value, index) => {
    const label = String(value);
    const refuses = REFUSES.test(label);
    const wished = refuses ? 'r' : 'a';
    const key = used.has(wished) ? String(index + 1) : wished;
    used.add(key);
    return { value, label, key, refuses };
  });
}

/** What the form still asks for, in words; empty when it may be sent. The server checks the whole schema. */
export function missing(form: FormSchema, answer: Record<string, Json | undefined>): string[] {
  return Object.entries(form.properties ?? {}).flatMap(([name, { title, minLength }]) => {
    const value = answer[name];
    const asked = title ?? name;
    const required = form.required?.includes(name) ?? false;
    if (value === undefined || value === '') return required ? [`${asked} is missing`] : [];
    if (typeof value === 'string' && minLength !== undefined && value.trim().length < minLength)
      return [`${asked} needs at least ${minLength} characters`];
    return [];
  });
}
