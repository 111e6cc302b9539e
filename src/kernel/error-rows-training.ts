import { type ErrorRow, row } from './error-row.ts';

/** Errors of experiments, of what training leaves behind and of what is registered from it. */
export const TRAINING_ERRORS = {
  'experiments.unknown': row(
    404,
    'There is no such experiment, training run, logged model or file of one',
    'The detail names it. `aios experiments list` lists experiments, `aios experiments runs NAME` their runs.',
    'The detail names it; the page “Experiments” lists those that there are.',
  ),
  'experiments.no_traces': row(
    404,
    'AIOS does not store MLflow traces',
    'Everything else that the script logs is kept. Send its spans to a tracing backend (OTEL_EXPORTER_OTLP_ENDPOINT, set where the script runs), or turn tracing and its warnings off: mlflow.tracing.disable().',
  ),
  'experiments.exists': row(
    409,
    'An experiment of that name exists already',
    'Use it, or choose another name. A deleted experiment keeps its name: restore it to use it again.',
  ),
  'experiments.deleted': row(
    409,
    'The experiment or training run is deleted',
    'Restore it first; nothing can be logged to a deleted one.',
  ),
  'experiments.param_kept': row(
    409,
    'A parameter of a training run cannot be changed',
    'Log the other value in a new run: the parameters of a run are a record of what it was trained with.',
  ),
  'experiments.filter_invalid': row(
    400,
    'The filter does not fit MLflow’s search syntax',
    "Write comparisons joined by AND, such as `metrics.auc > 0.8 and params.depth = '6'`; the detail names the place.",
  ),
  'models.not_servable': row(
    409,
    'The version is kept as files and cannot be served',
    'The detail says why. Log the model as ONNX (`mlflow.onnx.log_model`) and register that: such a version can be served at once.',
  ),
  'models.name_taken': row(
    409,
    'A registered model of that name exists already',
    'Register the next version under it, or choose another name; names in AIOS are lower case with dashes.',
  ),
  'models.kept': row(
    409,
    'A registered version cannot be changed or deleted',
    'Versions are evidence for past decisions, and flows refer to them. Remove or move an alias instead (`aios models promote`); aliases replace stages.',
    'Versions are evidence of what decided, and flows name them. Promote another version instead, which moves the alias; aliases replace stages.',
  ),
  'training.not_allowed': row(
    422,
    'The operator has not allowed this training command',
    'The operator lists the commands that flows may train with in a file (AIOS_TRAINERS, docs/training.md); the detail names those that are allowed.',
  ),
  'training.failed': row(
    422,
    'The training failed',
    'The detail has the end of its output; the log of the run has all of it (`aios logs RUN`).',
    'The detail has the end of its output; all of it is in the page of its run.',
  ),
  'training.output_invalid': row(
    422,
    'The output of the training cannot be registered as a version',
    'A trainer must write model.onnx, with model.json beside it, into AIOS_OUTPUT_DIR; the detail says what is wrong.',
  ),
} as const satisfies Record<string, ErrorRow>;
