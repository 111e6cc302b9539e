import { type ErrorRow, row } from './error-row.ts';

/** Errors of experiments, of what training leaves behind and of what is registered from it. */
export const TRAINING_ERRORS = {
  'experiments.unknown': row(
    404,
    'There is no such experiment, training run, logged model or file of one',
    'The detail names it. Experiments are listed by `aios experiments`, their runs by `aios experiments runs NAME`.',
  ),
  'experiments.no_traces': row(
    404,
    'Traces are not kept here',
    'Nothing else of the script is lost. Send its spans to a backend for traces (OTEL_EXPORTER_OTLP_ENDPOINT, set where the script runs), or end them with the warnings: mlflow.tracing.disable().',
  ),
  'experiments.exists': row(
    409,
    'An experiment of that name exists already',
    'Use it, or choose another name. A deleted experiment keeps its name: restore it.',
  ),
  'experiments.deleted': row(
    409,
    'The experiment or training run is deleted',
    'Restore it first; nothing can be logged to a deleted one.',
  ),
  'experiments.param_kept': row(
    409,
    'A parameter of a training run is written once',
    'Log the other value in a run of its own: what a run was trained with does not change afterwards.',
  ),
  'experiments.filter_invalid': row(
    400,
    'The filter is not one that MLflow’s search accepts',
    "Write comparisons joined by AND, such as `metrics.auc > 0.8 and params.depth = '6'`; the detail names the place.",
  ),
  'models.not_servable': row(
    409,
    'The version is kept as files and cannot be served',
    'The detail says why. Log the model as ONNX (`mlflow.onnx.log_model`), and register that: such a version answers at once.',
  ),
  'models.name_taken': row(
    409,
    'A registered model of that name exists already',
    'Register the next version under it, or choose another name; in AIOS a name is in lower case with dashes.',
  ),
  'models.kept': row(
    409,
    'A registered version cannot be changed or deleted',
    'Versions are evidence of what decided, and flows name them. Take an alias away or move it (`aios models promote`) instead; aliases replace stages.',
  ),
  'training.not_allowed': row(
    422,
    'No such training is allowed here',
    'The operator names the commands that flows may train with in a file (AIOS_TRAINERS, docs/training.md); the detail lists those that are there.',
  ),
  'training.failed': row(
    422,
    'The training failed',
    'The detail has the end of its output; all of it is in the log of the run (`aios logs RUN`).',
  ),
  'training.output_invalid': row(
    422,
    'What the training wrote does not make a version',
    'A trainer writes model.onnx, and beside it model.json, into AIOS_OUTPUT_DIR; the detail names what was wrong.',
  ),
} as const satisfies Record<string, ErrorRow>;
