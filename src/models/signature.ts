import { AiosError, type Issue } from '../kernel/errors.ts';

/** The element types of the Open Inference Protocol. */
const DATATYPES = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'BF16',
  'FP32',
  'FP64',
  'BYTES',
] as const;
const MATRIX_DATATYPES: readonly string[] = ['FP16', 'FP32', 'FP64'];

/** A tensor of the Open Inference Protocol; -1 is a dimension that the caller chooses. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: (typeof DATATYPES)[number];
  readonly shape: readonly number[];
}

type Fill = number | 'nan';

/** A version's tensors, and how named features become its one input matrix. */
export interface Signature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** The columns of the input matrix, in order. */
  readonly features?: readonly string[] | undefined;
  /** Stands for absent features: one value for all, or one for each that may be absent. `nan` is the missing value of tree models. */
  readonly fill?: Fill | Readonly<Record<string, Fill>> | undefined;
  /** Names for outputs or columns of them: `score: { output: probabilities, column: 1 }`. */
  readonly results?: Readonly<Record<string, { output: string; column?: number | undefined }>> | undefined;
}

/** What a definition or a caller declares: inputs and outputs may be left to the file. */
export type DeclaredSignature = Partial<Signature>;

/** JSON Schema of a declared signature. */
export const SIGNATURE_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: {
    inputs: { type: 'array', minItems: 1, items: { $ref: '#/$defs/tensor' } },
    outputs: { type: 'array', minItems: 1, items: { $ref: '#/$defs/tensor' } },
    features: { type: 'array', minItems: 1, uniqueItems: true, items: { type: 'string', minLength: 1 } },
    fill: {
      anyOf: [{ $ref: '#/$defs/fill' }, { type: 'object', additionalProperties: { $ref: '#/$defs/fill' } }],
    },
    results: {
      type: 'object',
      minProperties: 1,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['output'],
        properties: { output: { type: 'string' }, column: { type: 'integer', minimum: 0 } },
      },
    },
  },
  $defs: {
    fill: { anyOf: [{ type: 'number' }, { const: 'nan' }] },
    tensor: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'datatype', 'shape'],
      properties: {
        name: { type: 'string', minLength: 1 },
        datatype: { enum: DATATYPES },
        shape: { type: 'array', items: { type: 'integer', minimum: -1 } },
      },
    },
  },
};

/**
 * The signature that is kept: the file's own tensors with what was declared about them.
 *
 * @throws AiosError `models.signature_mismatch` naming each place where the two differ
 * @example settleSignature({ features: ['a', 'b'] }, { inputs: own.inputs, outputs: own.outputs })
 */
export function settleSignature(
  declared: DeclaredSignature,
  own: Pick<Signature, 'inputs' | 'outputs'>,
): Signature {
  const issues = [
    ...compareTensors('inputs', declared.inputs, own.inputs),
    ...compareTensors('outputs', declared.outputs, own.outputs),
    ...checkFeatures(declared, own.inputs),
    ...checkResults(declared.results, own.outputs),
  ];
  if (issues.length > 0) throw new AiosError('models.signature_mismatch', { issues });
  const { features, fill, results } = declared;
  return {
    inputs: own.inputs,
    outputs: own.outputs,
    ...(features && { features }),
    ...(fill !== undefined && { fill }),
    ...(results && { results }),
  };
}

const describe = ({ name, datatype, shape }: TensorSpec): string =>
  `${name} ${datatype} [${shape.join(', ')}]`;

/** A declared dimension of -1 fits any of the file's: it says less, not something else. */
function compareTensors(
  side: 'inputs' | 'outputs',
  declared: readonly TensorSpec[] | undefined,
  own: readonly TensorSpec[],
): Issue[] {
  if (!declared) return [];
  const issues = declared.flatMap((tensor, index): Issue[] => {
    const actual = own.find(({ name }) => name === tensor.name);
    const path = `/signature/${side}/${index}`;
    const expected = actual ? describe(actual) : own.map(describe).join('; ');
    const fits =
      actual?.datatype === tensor.datatype &&
      actual.shape.length === tensor.shape.length &&
      tensor.shape.every((size, axis) => size === actual.shape[axis] || size === -1);
    if (fits) return [];
    const message = actual ? 'the file has this tensor in another form' : 'the file has no such tensor';
    return [{ path, message, found: describe(tensor), expected }];
  });
  const undeclared = own.filter((tensor) => !declared.some(({ name }) => name === tensor.name));
  return [
    ...issues,
    ...undeclared.map(
      (tensor): Issue => ({
        path: `/signature/${side}`,
        message: `“${tensor.name}” of the file is not declared`,
        expected: describe(tensor),
      }),
    ),
  ];
}

function checkFeatures({ features, fill }: DeclaredSignature, inputs: readonly TensorSpec[]): Issue[] {
  if (!features) {
    return fill === undefined ? [] : [{ path: '/signature/fill', message: 'a fill needs features to fill' }];
  }
  const [input] = inputs;
  const path = '/signature/features';
  const matrix =
    inputs.length === 1 && input?.shape.length === 2 && MATRIX_DATATYPES.includes(input.datatype);
  if (!matrix) {
    return [
      {
        path,
        message: 'features need one FP16, FP32 or FP64 matrix as input',
        found: inputs.map(describe).join('; '),
      },
    ];
  }
  const width = input.shape[1];
  const issues: Issue[] = [];
  if (width !== -1 && width !== features.length) {
    issues.push({ path, message: `the input has ${width} columns`, found: `${features.length} features` });
  }
  for (const name of typeof fill === 'object' ? Object.keys(fill) : []) {
    if (!features.includes(name))
      issues.push({ path: '/signature/fill', message: `“${name}” is not a feature` });
  }
  return issues;
}

function checkResults(results: Signature['results'], outputs: readonly TensorSpec[]): Issue[] {
  return Object.entries(results ?? {}).flatMap(([name, { output, column }]): Issue[] => {
    const path = `/signature/results/${name}`;
    const actual = outputs.find((candidate) => candidate.name === output);
    if (!actual) {
      return [
        { path, message: `the file has no output “${output}”`, expected: outputs.map(describe).join('; ') },
      ];
    }
    const width = actual.shape.slice(1).reduce((product, size) => product * size, 1);
    const known = actual.shape.slice(1).every((size) => size !== -1);
    if (column === undefined || !known || column < width) return [];
    return [{ path, message: `the output has ${width} columns, counted from 0`, found: `column ${column}` }];
  });
}
