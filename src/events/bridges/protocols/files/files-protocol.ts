import type { JsonObject } from '../../../../kernel/json.ts';
import type { BridgeProtocol } from '../../port/protocol.ts';
import { type FileSinkSettings, fileSink } from './file-sink.ts';
import { type FileSourceSettings, fileSource } from './file-source.ts';

const folder: JsonObject = {
  description: 'A folder of this machine, in one of AIOS_BRIDGE_FOLDERS.',
  type: 'string',
  minLength: 1,
};

/** Files in a folder: CSV, JSON lines and Parquet in, JSON lines and Parquet out. */
export const filesProtocol: BridgeProtocol = {
  name: 'files',
  attributePrefixes: [''],
  formats: ['structured', 'raw'],
  source: {
    settings: {
      type: 'object',
      additionalProperties: false,
      required: ['folder'],
      properties: {
        folder,
        pattern: { description: 'Names with * and ?; all when left out.', type: 'string', minLength: 1 },
        format: {
          description: 'By the end of the name when left out.',
          enum: ['csv', 'json-lines', 'parquet'],
        },
        delimiter: {
          description: 'Of CSV; a comma when left out.',
          type: 'string',
          pattern: '^[ -!#-~\\t]$',
        },
        columns: {
          description: 'Names of the columns of CSV without a header.',
          type: 'array',
          minItems: 1,
          uniqueItems: true,
          items: { type: 'string', minLength: 1 },
        },
        after: {
          description: 'What becomes of a file that was read: move puts it into done/, keep leaves it.',
          enum: ['move', 'keep'],
        },
        settleSeconds: {
          description: 'How long a file has to be as it is before it is read; 2 when left out.',
          type: 'number',
          minimum: 0,
          maximum: 86_400,
        },
      },
    },
    position: {
      type: 'object',
      additionalProperties: false,
      required: ['taken'],
      properties: {
        taken: {
          type: 'array',
          items: {
            type: 'array',
            prefixItems: [{ type: 'string' }, { type: 'integer' }, { type: 'string' }],
            minItems: 3,
            items: false,
          },
        },
        current: {
          type: 'object',
          required: ['file', 'digest', 'byte', 'line'],
          properties: {
            file: { type: 'string' },
            digest: { type: 'string' },
            byte: { type: 'integer', minimum: 0 },
            line: { type: 'integer', minimum: 0 },
          },
        },
      },
    },
    open: (context, settings) => fileSource(context, settings as unknown as FileSourceSettings),
  },
  sink: {
    settings: {
      type: 'object',
      additionalProperties: false,
      required: ['folder'],
      properties: {
        folder,
        format: { description: 'json-lines when left out.', enum: ['json-lines', 'parquet'] },
        everySeconds: {
          description: 'How long a file is written before it appears; 3600 when left out.',
          type: 'integer',
          minimum: 1,
          maximum: 604_800,
        },
      },
    },
    open: (context, settings) => fileSink(context, settings as unknown as FileSinkSettings),
  },
};
