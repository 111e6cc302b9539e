import { Type } from 'typebox';

export const SubjectParams = Type.Object({ subject: Type.String({ minLength: 1 }) });
// Checked by who looks for it: Confluent's clients go by its own codes.
export const VersionParams = Type.Object({
  subject: Type.String({ minLength: 1 }),
  version: Type.String({ description: 'From 1 on, or “latest”' }),
});
export const SchemaBody = Type.Object({
  schema: Type.String(),
  schemaType: Type.Optional(Type.String()),
});
/** `True` is what the Python client writes. */
export const Flag = Type.Optional(Type.String({ description: '`true`, in any case' }));
export const isSet = (flag: string | undefined): boolean => flag?.toLowerCase() === 'true';
export const root = '/schema-registry';
