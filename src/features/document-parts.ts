/** What people say of a definition: it is shown, and changes nothing. */
export interface Described {
  description?: string;
  owner?: string;
  tags?: Record<string, string>;
}

/** Schemas that the documents of features share. */
export const text = { type: 'string', minLength: 1 };
export const name = { type: 'string', pattern: '^[A-Za-z][A-Za-z0-9_.-]*$' };
export const identifier = '^[A-Za-z_][A-Za-z0-9_]*$';
export const described = {
  description: { type: 'string' },
  owner: { type: 'string' },
  tags: { type: 'object', additionalProperties: { type: 'string' } },
};
