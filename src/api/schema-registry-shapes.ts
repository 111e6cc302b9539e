import { type Static, Type } from 'typebox';

export const SubjectParams = Type.Object({ subject: Type.String({ minLength: 1 }) });
// Checked by who looks for it: Confluent's clients go by its own codes.
export const VersionParams = Type.Object({
  subject: Type.String({ minLength: 1 }),
  version: Type.String({ description: 'From 1 on, or “latest”' }),
});
export const SchemaBody = Type.Object({
  schema: Type.String(),
  schemaType: Type.Optional(
    Type.String({ description: '`AVRO`, which is meant where it is left out, or `JSON`' }),
  ),
  references: Type.Optional(
    Type.Union([
      Type.Null(),
      Type.Array(
        Type.Object({
          name: Type.String({ description: 'What `$ref` calls it; of Avro, the full name of its type' }),
          subject: Type.Optional(Type.String()),
          version: Type.Optional(Type.Integer({ description: 'Its number; -1 for the latest' })),
        }),
      ),
    ]),
  ),
});
export type SentSchema = Static<typeof SchemaBody>;
/** `True` is what the Python client writes. */
export const Flag = Type.Optional(Type.String({ description: '`true`, in any case' }));
export const isSet = (flag: string | undefined): boolean => flag?.toLowerCase() === 'true';
export const root = '/schema-registry';
/** Which versions are asked for, by what clients have deleted. */
export const Deleted = Type.Object({
  deleted: Type.Optional(Type.String({ description: '`true`: softly deleted ones, too' })),
  deletedOnly: Type.Optional(Type.String({ description: '`true`: only softly deleted ones' })),
});
export function whichOf({ deleted, deletedOnly }: Static<typeof Deleted>): Which {
  if (isSet(deletedOnly)) return 'only-deleted';
  return isSet(deleted) ? 'deleted' : 'live';
}

/** Which versions are looked at: those that nobody deleted, softly deleted ones too, or these alone. Those that were deleted for good are never. */
export type Which = 'live' | 'deleted' | 'only-deleted';
