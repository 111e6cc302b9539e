import { again, type ErrorRow, row } from './error-row.ts';

/** Errors on the path from an event to a decision. */
export const PATH_ERRORS = {
  'models.unknown_model': row(
    404,
    'There is no such model',
    'Register a version first, or apply the project that holds it.',
  ),
  'models.unknown_version': row(
    404,
    'The model has no such version or alias',
    'List the versions and aliases: aios models show, or /api/v1/models/{name}.',
  ),
  'models.invalid': row(
    400,
    'The registration does not fit',
    'See `issues` or the detail for what was expected.',
  ),
  'models.not_onnx': row(
    422,
    'The bytes are not an ONNX model that can be loaded',
    'Export the model again; the detail is what ONNX Runtime said.',
  ),
  'models.not_runnable': row(
    422,
    'The model loads but fails its warm-up',
    'The detail is what the runtime said. It runs one row of zeros, or what serving.warmUp of its definition says.',
  ),
  'models.endpoint_unavailable': again(
    503,
    'The server that runs the model does not answer',
    'Start it or correct the url of the endpoint, then try again; the detail says what happened.',
  ),
  'models.endpoint_refused': row(
    422,
    'The server that runs the model does not serve it as the endpoint describes',
    'Compare model, version and mapping of the endpoint with what that server serves; the detail is what it said.',
  ),
  'models.flow_needs_run': row(
    422,
    'The flow does what an inference cannot: it acts on outside systems, waits for somebody, or emits lifecycle events of its run',
    'Start it as a run (POST /api/v1/workflows/{name}/runs), or leave out the steps that the issues name.',
  ),
  'models.flow_cycle': row(
    422,
    'The ensemble would call itself',
    'Follow the models in the detail: one of them has to call another one.',
  ),
  'models.signature_mismatch': row(
    422,
    'The declared signature is not that of the model',
    'See `issues`: declare what the file has, or leave inputs and outputs out to take its own.',
  ),
  'models.not_quantizable': row(
    422,
    'The version cannot be quantized',
    'The detail says why; docs/quantization.md lists the operators and weights that can be.',
  ),
  'models.quantization_data': row(
    400,
    'The rows do not fit the model',
    'See `issues` or the detail: a row names the features of the signature, or the inputs of the model.',
  ),
  'models.quantization_disagrees': row(
    422,
    'The quantized model agrees too little with its parent',
    'Try scales per channel, or rows that are like the real ones; a lower `agreementMin` keeps it anyway, and `dryRun` shows all figures.',
  ),
  'models.no_rollout': row(
    404,
    'The model has no such rollout',
    'List them: aios models rollout, or /api/v1/models/{name}/rollouts.',
  ),
  'models.rollout_active': row(
    409,
    'The alias has a rollout under way',
    'Promote the rollout or roll it back; then the alias may move, or another rollout may begin.',
  ),
  'models.rollout_ended': row(
    409,
    'The rollout has ended',
    'Its status says how it ended; start another one to try the version again.',
  ),
  'models.rollout_invalid': row(
    400,
    'The rollout does not fit',
    'See `issues` or the detail; docs/rollouts.md shows a plan of each kind.',
  ),
  'models.signature_changed': row(
    409,
    'The version does not accept the calls that the version before it did',
    'Those who call by the alias would be refused: see `issues`. Register it as a model of another name; or change the callers with it and promote it, or try it under a rollout, all the same: aios models promote {name} {version} --force (`force` in the API).',
  ),
  'models.approval_needed': row(
    409,
    'The version needs approvals before it gets traffic',
    'Those whom the detail names approve it: aios models approve {name} {version}. A shadow needs none.',
  ),
  'models.not_an_approver': row(
    403,
    'Your approval does not count here',
    'The detail says whose does; the policy stands in the definition of the model.',
  ),
  'models.check_failed': row(
    409,
    'A check of the promotion policy failed',
    'The detail names it; correct the card or metadata in a new version, or try the version under a rollout first.',
  ),
  'models.nothing_to_roll_back': row(
    409,
    'There is nothing to roll back to',
    'Promote the version that should answer.',
  ),
  'serving.unknown_input': row(400, 'The model has no such input', 'Use the names at /v2/models/{name}.'),
  'serving.no_tensors': row(
    400,
    'The model takes no tensors',
    'Ask a language model at /v1/chat/completions, or at /v1/embeddings.',
  ),
  'serving.missing_input': row(
    400,
    'An input of the model is missing',
    'Send each input named at /v2/models/{name} once.',
  ),
  'serving.unknown_output': row(
    400,
    'The model has no such output',
    'Ask for outputs named at /v2/models/{name}, or for none to get all.',
  ),
  'serving.tensor_type': row(
    400,
    'The tensor has a different datatype from the one that the model takes',
    'Send the datatype at /v2/models/{name}.',
  ),
  'serving.tensor_shape': row(
    400,
    'The tensor does not have the shape that it should',
    'The detail names both shapes; -1 stands for any size.',
  ),
  'serving.tensor_value': row(
    400,
    'An element is not a value of its datatype',
    'The detail names the input and the element.',
  ),
  'serving.tensor_bytes': row(
    400,
    'The bytes of a tensor are not what they claim to be',
    'The detail says where they differ; compare the declared sizes, shape and datatype with what was sent.',
  ),
  'serving.parameter_refused': row(
    400,
    'A parameter asks for something that is not supported',
    'Leave it out; the detail says what to do instead.',
  ),
  'serving.extension_unserved': row(
    501,
    'An extension of the protocol is not supported',
    'Do what the detail says instead; the metadata of the server lists the extensions that are supported.',
  ),
  'serving.raw_input': row(
    400,
    'A body without a header does not fit the model',
    'Send a JSON header with Inference-Header-Content-Length: the shape does not follow from the bytes alone.',
  ),
  'serving.feature_invalid': row(
    422,
    'A feature of the model is missing or not a number',
    'Supply it, or give the signature a fill for it; see `issues`.',
  ),
  'serving.no_features': row(
    422,
    'The signature names no features',
    'Add features (the columns of the one FP16, FP32 or FP64 input) to the signature, or send tensors.',
  ),
  'serving.model_failed': row(
    422,
    'The model failed on these values',
    'The detail is what the runtime said; check the values and shapes.',
  ),
  'serving.upstream_failed': again(
    502,
    'The server that runs the model failed',
    'Look at that server: the detail is what it said, `upstreamStatus` its status. A fallback in the model definition answers meanwhile.',
  ),
  'serving.upstream_limited': again(
    429,
    'The server that runs the model takes no more for now',
    'Wait as long as Retry-After says; a fallback in the model definition answers meanwhile.',
  ),
  'serving.timeout': again(
    504,
    'The model did not answer in time',
    'Try again; if it persists, raise timeoutMs or replicas in the model definition.',
  ),
  'serving.canceled': again(
    499,
    'The caller canceled the inference',
    'Send it again if the answer is still wanted.',
  ),
  'serving.replica_lost': again(
    503,
    'The process that ran the model died during the request, twice',
    'Try again; if it persists, the input or the memory of the machine is the cause.',
  ),
  'serving.unavailable': again(
    503,
    'No replica of the model can be started',
    'See the detail; AIOS keeps trying to start one.',
  ),
  'serving.circuit_open': again(
    503,
    'The version failed or was slow too often, and is not called for a while',
    'Try again after Retry-After; a fallback in the model definition answers meanwhile.',
  ),
  'serving.rate_limited': again(
    429,
    'The key calls the model more often than its definition allows',
    'Try again after Retry-After; the limit is rateLimit in the model definition.',
  ),
  'serving.depth_exceeded': row(
    422,
    'Ensembles call each other without end',
    'An alias was moved so that they form a cycle: roll it back, or let the ensemble name a version.',
  ),
  'serving.memory_exceeded': row(
    507,
    'The model needs more memory than all models may hold',
    'Raise modelMemoryBytesMax, lower its replicas, or serve a smaller (quantized) version.',
  ),
  'decisions.unknown': row(404, 'There is no such decision', 'Apply the project that defines it.'),
  'decisions.input_invalid': row(
    422,
    'The input does not fit the inputs of the decision',
    'See `issues`: each names an input, what was found and what was expected.',
  ),
  'decisions.output_invalid': row(
    422,
    'The rule gave an output that the decision does not declare',
    'See `issues`; correct the rule or the declared outputs.',
  ),
  'decisions.ambiguous': row(
    422,
    'More than one rule fits where one may',
    'Make the named rules exclusive, or use the hit policy first or priority.',
  ),
  'decisions.no_rule': row(
    422,
    'No rule fits and there is no default',
    'Add a default, or a rule for this input.',
  ),
  'decisions.test_failed': row(
    400,
    'A test of the decision failed',
    'See `issues`: correct the rules or what the test expects.',
  ),
  'contracts.unknown_type': row(
    422,
    'No contract covers this type of event',
    'Apply a contract for the type first; the detail names it.',
  ),
  'contracts.unknown_version': row(
    422,
    'The contract has no such version',
    'Leave out dataversion to use the newest, or name one that the detail lists.',
  ),
  'contracts.data_invalid': row(
    422,
    'The data does not fit the contract',
    'See `issues`: each names a path, what was found and what was expected.',
  ),
  'contracts.unknown_quarantined': row(
    404,
    'No such event is in quarantine',
    'List the quarantine; the event may have been released or discarded already.',
  ),
  'contracts.incompatible': row(
    409,
    'The new version breaks the compatibility that the contract promises',
    'See `issues`, each with what to do instead; or publish it as a type of its own, or as `suggestedVersion` with `compatibility: NONE`.',
  ),
} as const satisfies Record<string, ErrorRow>;
