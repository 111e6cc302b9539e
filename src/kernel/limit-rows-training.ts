/** Limits of experiments and of training. Those of MLflow’s API are as its own server has them, so that its clients meet nothing new. */
export const TRAINING_LIMITS = {
  trackingBatchMetricsMax: { value: 1_000, why: 'metrics in one call of MLflow’s log-batch' },
  trackingBatchParamsMax: { value: 100, why: 'parameters, and tags, in one call of MLflow’s log-batch' },
  trackingKeyCharsMax: { value: 250, why: 'the name of a metric, a parameter or a tag' },
  trackingParamCharsMax: { value: 6_000, why: 'the value of a parameter of a training run' },
  trackingTagCharsMax: { value: 8_000, why: 'the value of a tag of a training run' },
  trackingPageCountMax: {
    value: 50_000,
    why: 'results in one page of a search of training runs, experiments or models',
  },
  trackingFilterCountMax: {
    value: 100,
    why: 'comparisons in a search of training runs, experiments or models, and as many sort keys: Postgres took 67 s to plan 20,000',
  },
  trackingHistoryCountMax: { value: 25_000, why: 'values of a metric in one page of its history' },
  trackingListCountMax: { value: 10_000, why: 'files in one answer that lists a folder of artifacts' },
  trackingArtifactBytesMax: {
    value: 4 * 1024 * 1024 * 1024,
    why: 'size of one file of a training run or a logged model; for a model to be served modelBytesMax applies',
  },
  trackingPartBytesMax: {
    value: 64 * 1024 * 1024,
    why: 'size of one part of a multipart upload by MLflow’s client',
  },
  trackingPartsMax: { value: 10_000, why: 'parts of such an upload' },
  trackingDeletedMs: {
    value: 30 * 86_400_000,
    why: 'how long a deleted training run or logged model can be restored with its files',
  },
  trackingCollectMs: { value: 3_600_000, why: 'how often to look for files that nothing refers to any more' },
  trackingCollectCountMax: {
    value: 200,
    why: 'runs, models, uploads and files that one such pass removes, each in its own transaction',
  },
  trainingMs: { value: 21_600_000, why: 'how long one training may run; a trainer may set less' },
  trainingLogBytesMax: {
    value: 4 * 1024 * 1024,
    why: 'bytes kept of the output of one training: the beginning, and the last 64 KiB',
  },
  trainingsActiveMax: {
    value: 2,
    why: 'trainings that one process runs at a time; others wait',
  },
} as const;
