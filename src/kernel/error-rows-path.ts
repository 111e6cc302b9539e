import { again, type ErrorRow, row } from './error-row.ts';

/** Errors on the path from an event to a decision. */
export const PATH_ERRORS = {
  'models.unknown_model': row(
    404,
    'There is no such model',
    'Register a version first, or apply the project that holds it.',
    'The page “Models” lists those that there are; or apply the project that holds it.',
  ),
  'models.unknown_version': row(
    404,
    'The model has no such version or alias',
    'List the versions and aliases: aios models show, or /api/v1/models/{name}.',
    'The page of the model lists its versions and aliases.',
  ),
  'models.invalid': row(
    400,
    'The registration is not valid',
    'See `issues` or the detail for what was expected.',
    'Correct what is named here.',
  ),
  'models.not_onnx': row(
    422,
    'The bytes are not an ONNX model that can be loaded',
    'Export the model again; the detail is the error of ONNX Runtime.',
  ),
  'models.not_runnable': row(
    422,
    'The model loads but fails its warm-up',
    'The detail is the error of the runtime. The warm-up runs one row of zeros, or the rows in serving.warmUp of the definition.',
  ),
  'models.endpoint_unavailable': again(
    503,
    'The server that runs the model does not answer',
    'Start the server or correct the url of the endpoint, then try again; the detail says what happened.',
  ),
  'models.endpoint_refused': row(
    422,
    'The server that runs the model does not serve it as the endpoint describes',
    'Compare model, version and mapping of the endpoint with what that server serves; the detail is its answer.',
  ),
  'models.flow_needs_run': row(
    422,
    'The flow has steps that an ensemble cannot run: it acts on outside systems, waits for somebody, or emits lifecycle events',
    'Start it as a run (POST /api/v1/workflows/{name}/runs), or remove the steps that `issues` names.',
    'Start it as a run, or leave out the steps that are named here.',
  ),
  'models.flow_cycle': row(
    422,
    'The ensemble would call itself',
    'The detail lists the models of the cycle: change one of them to call another model.',
  ),
  'models.signature_mismatch': row(
    422,
    'The declared signature does not match the model',
    'See `issues`: declare the inputs and outputs of the file, or leave them out to use those of the file.',
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
    'The quantized model differs too much from its parent',
    'Try per-channel scales, or rows that are more like real ones; a lower `agreementMin` keeps it anyway, and `dryRun` shows all figures.',
  ),
  'models.no_rollout': row(
    404,
    'The model has no such rollout',
    'List them: aios models rollout, or /api/v1/models/{name}/rollouts.',
    'The page of the model shows its rollouts.',
  ),
  'models.rollout_active': row(
    409,
    'The alias has a rollout in progress',
    'Promote the rollout or roll it back first; then move the alias or start another rollout.',
  ),
  'models.rollout_ended': row(
    409,
    'The rollout has ended',
    'Its status says how it ended; start another one to try the version again.',
  ),
  'models.rollout_invalid': row(
    400,
    'The rollout is not valid',
    'See `issues` or the detail; a plan of each kind is shown in docs/rollouts.md.',
  ),
  'models.signature_changed': row(
    409,
    'The version does not accept the calls that the previous version accepted',
    'Callers of the alias would be refused: see `issues`. Register it under another model name; or, if you change the callers at the same time, promote it or start its rollout with --force (`force` in the API): aios models promote {name} {version} --force.',
    'Those who call by the alias would be refused. Register it as a model of another name; or change the callers with it and promote it, or try it under a rollout, all the same.',
  ),
  'models.approval_needed': row(
    409,
    'The version needs approvals before it gets traffic',
    'The people whom the detail names approve it with: aios models approve {name} {version}. A shadow rollout needs no approval.',
    'Those whom the detail names approve it in the page of the model. A shadow needs none.',
  ),
  'models.not_an_approver': row(
    403,
    'Your approval does not count here',
    'The detail says whose does; the policy is in the definition of the model.',
  ),
  'models.check_failed': row(
    409,
    'A check of the promotion policy failed',
    'The detail names it; correct the card or metadata in a new version, or try the version under a rollout first.',
  ),
  'models.nothing_to_roll_back': row(
    409,
    'There is nothing to roll back to',
    'Promote the version that you want to serve.',
  ),
  'serving.unknown_input': row(
    400,
    'The model has no such input',
    'Use the names at /v2/models/{name}.',
    'Use the names of the signature, which the page of the model shows.',
  ),
  'serving.no_tensors': row(
    400,
    'The model does not accept tensors',
    'Call a language model at /v1/chat/completions or /v1/embeddings.',
    'It is a language model: it takes messages or texts.',
  ),
  'serving.missing_input': row(
    400,
    'An input of the model is missing',
    'Send each input named at /v2/models/{name} once.',
    'Send each input of the signature once: the page of the model shows it.',
  ),
  'serving.unknown_output': row(
    400,
    'The model has no such output',
    'Ask for outputs named at /v2/models/{name}, or name none to get all.',
    'Ask for outputs of the signature, which the page of the model shows, or for none to get all.',
  ),
  'serving.tensor_type': row(
    400,
    'The tensor has the wrong datatype',
    'Send the datatype that /v2/models/{name} names.',
    'Send the datatype of the signature, which the page of the model shows.',
  ),
  'serving.tensor_shape': row(
    400,
    'The tensor has the wrong shape',
    'The detail names both shapes; -1 stands for any size.',
  ),
  'serving.tensor_value': row(
    400,
    'An element is not a value of its datatype',
    'The detail names the input and the element.',
  ),
  'serving.tensor_bytes': row(
    400,
    'The bytes of a tensor do not match their declaration',
    'The detail says where they differ; compare the declared sizes, shape and datatype with the bytes that were sent.',
  ),
  'serving.parameter_refused': row(
    400,
    'A parameter is not supported',
    'Leave it out; the detail says what to do instead.',
  ),
  'serving.extension_unserved': row(
    501,
    'An extension of the protocol is not supported',
    'The detail says what to do instead; the server metadata lists the supported extensions.',
  ),
  'serving.raw_input': row(
    400,
    'A binary body without a JSON header does not fit the model',
    'Send a JSON header with Inference-Header-Content-Length: the shape cannot be derived from the bytes alone.',
  ),
  'serving.feature_invalid': row(
    422,
    'A feature of the model is missing or not a number',
    'See `issues`; send it, or define a `fill` for it in the signature.',
  ),
  'serving.no_features': row(
    422,
    'The signature names no features',
    'Add features (the columns of the one FP16, FP32 or FP64 input) to the signature, or send tensors.',
  ),
  'serving.model_failed': row(
    422,
    'The model failed on these values',
    'The detail is the error of the runtime; check the values and shapes.',
  ),
  'serving.upstream_failed': again(
    502,
    'The server that runs the model failed',
    'Check that server: the detail is its answer, `upstreamStatus` its status. A fallback in the model definition would answer in the meantime.',
    'Look at that server: the detail is what it said. A fallback in the model definition answers meanwhile.',
  ),
  'serving.upstream_limited': again(
    429,
    'The server that runs the model accepts no more requests for now',
    'Wait as long as Retry-After says; a fallback in the model definition would answer in the meantime.',
    'Wait a moment, then try again; a fallback in the model definition would answer in the meantime.',
  ),
  'serving.timeout': again(
    504,
    'The model did not answer in time',
    'Try again; if it persists, raise timeoutMs or replicas in the model definition.',
  ),
  'serving.canceled': again(
    499,
    'The caller canceled the inference',
    'Send it again if you still need the answer.',
  ),
  'serving.replica_lost': again(
    503,
    'The process that ran the model died during the request, twice',
    'Try again; if it persists, check the input and the memory of the machine.',
  ),
  'serving.unavailable': again(
    503,
    'No replica of the model can be started',
    'See the detail; AIOS keeps trying to start one.',
  ),
  'serving.circuit_open': again(
    503,
    'The version failed or was slow too often: its circuit breaker is open',
    'Try again after Retry-After; a fallback in the model definition would answer in the meantime.',
    'Wait a moment, then try again; a fallback in the model definition would answer in the meantime.',
  ),
  'serving.rate_limited': again(
    429,
    'The key has called the model more often than its definition allows',
    'Try again after Retry-After; the limit is rateLimit in the model definition.',
    'Wait a moment, then try again; the limit is rateLimit in the model definition.',
  ),
  'serving.depth_exceeded': row(
    422,
    'Ensembles call each other without end',
    'An alias was moved so that they form a cycle: roll it back, or name a version instead of the alias in the ensemble.',
  ),
  'serving.memory_exceeded': row(
    507,
    'The model needs more memory than all models together may use',
    'Raise modelMemoryBytesMax, run fewer replicas, or serve a smaller (quantized) version.',
  ),
  'decisions.unknown': row(404, 'There is no such decision', 'Apply the project that defines it.'),
  'decisions.input_invalid': row(
    422,
    'The input does not fit the inputs of the decision',
    'See `issues`: each names an input, what was found and what was expected.',
  ),
  'decisions.output_invalid': row(
    422,
    'The rule returned an output that the decision does not declare',
    'See `issues`; correct the rule or the declared outputs.',
  ),
  'decisions.ambiguous': row(
    422,
    'More than one rule matches where only one may',
    'Make the named rules exclusive, or use the hit policy first or priority.',
  ),
  'decisions.no_rule': row(
    422,
    'No rule matches and there is no default',
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
    'Leave out dataversion for the newest version, or name one that the detail lists.',
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
    'The page “Events” lists the quarantine; the event may have been released or discarded already.',
  ),
  'contracts.incompatible': row(
    409,
    'The change does not fit the newest version or the compatibility mode of the contract',
    'See `issues`: each says what to write instead. Or publish it as a new event type, or as `suggestedVersion` with `compatibility: NONE`.',
    'Each error says what to write instead. Or publish it as a new event type, or as a new version with `compatibility: NONE`.',
  ),
} as const satisfies Record<string, ErrorRow>;
