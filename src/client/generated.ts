// Written from the OpenAPI document by scripts/generate-client.ts: not to be edited.
// biome-ignore-all format: as it was written
import type { Json } from '../kernel/json.ts';

/** Every operation of the API: what it takes and what it answers. */
export interface Operations {
  /** Apply a whole project, or with dryRun say what that would change. Permission: `definitions.write`. */
  'POST /api/v1/apply': { query?: { dryRun?: boolean | undefined }; body: { files: Array<{ path: string; text?: string | undefined; base64?: string | undefined }> }; answer: { changes: Array<{ kind: string; name: string; action: "create" | "update" | "unchanged"; fromVersion: number; toVersion: number }>; applied: boolean } };
  /** The newest checkpoint: a signed note. Permission: `audit.read`. */
  'GET /api/v1/audit/checkpoint': { answer: Json };
  /** Audit entries, newest first. Permission: `audit.read`. */
  'GET /api/v1/audit/entries': { query?: { object?: string | undefined; kind?: string | undefined; cursor?: string | undefined; limit?: number | undefined }; answer: { items: Array<{ [name: string]: Json }>; nextCursor: string | null } };
  /** One audit entry; with its payload for those who may see it. Permission: `audit.read`. */
  'GET /api/v1/audit/entries/{index}': { params: { index: number }; answer: { [name: string]: Json } };
  /** The public key that checkpoints are verified with. Permission: `audit.read`. */
  'GET /api/v1/audit/key': { answer: { name: string; publicKey: string } };
  /** The proof that an entry is in the tree of a size. Permission: `audit.read`. */
  'GET /api/v1/audit/proof': { query: { index: number; size?: number | undefined }; answer: { [name: string]: Json } };
  /** A tile of hashes `{L}/{N}[.p/{W}]`, or a bundle of entries `entries/{N}[.p/{W}]`. Permission: `audit.read`. */
  'GET /api/v1/audit/tile/{*}': { params: { "*": string }; answer: Json };
  /** Recompute the tree from every entry and hold every payload to its digest; takes seconds on a large log. Permission: `audit.payload`. */
  'POST /api/v1/audit/verify': { body?: Json | Uint8Array; answer: { [name: string]: Json } };
  /** Count the runs of an action and keep them; nothing is done yet. Runs that could not take it are not counted; delete needs runs.delete too. Permission: `runs.control`. */
  'POST /api/v1/bulk-operations': { body: { action: "cancel" | "pause" | "resume" | "retry" | "delete"; filter: { workflow?: string | undefined; version?: number | undefined; status?: "running" | "waiting" | "paused" | "completed" | "failed" | "canceled" | undefined; from?: string | undefined; to?: string | undefined; q?: string | undefined; ids?: Array<string> | undefined; attributes?: { [name: string]: string } | undefined }; step?: string | undefined; fromStart?: boolean | undefined }; answer: { id: string; action: "cancel" | "pause" | "resume" | "retry" | "delete"; filter: { [name: string]: Json }; status: "prepared" | "running" | "completed"; count: number; idsDigest: string; done: number; skipped: { [name: string]: number }; by: { [name: string]: Json }; createdAt: string; startedAt?: string | undefined; endedAt?: string | undefined; token: string } };
  /** The newest bulk operations. Permission: `runs.read`. */
  'GET /api/v1/bulk-operations': { answer: { items: Array<{ id: string; action: "cancel" | "pause" | "resume" | "retry" | "delete"; filter: { [name: string]: Json }; status: "prepared" | "running" | "completed"; count: number; idsDigest: string; done: number; skipped: { [name: string]: number }; by: { [name: string]: Json }; createdAt: string; startedAt?: string | undefined; endedAt?: string | undefined }>; nextCursor: string | null } };
  /** How far a bulk operation has come. Permission: `runs.read`. */
  'GET /api/v1/bulk-operations/{id}': { params: { id: string }; answer: { id: string; action: "cancel" | "pause" | "resume" | "retry" | "delete"; filter: { [name: string]: Json }; status: "prepared" | "running" | "completed"; count: number; idsDigest: string; done: number; skipped: { [name: string]: number }; by: { [name: string]: Json }; createdAt: string; startedAt?: string | undefined; endedAt?: string | undefined } };
  /** Start what was counted, in the name of the caller; a second time tells how far it has come. Permission: `runs.control`. */
  'POST /api/v1/bulk-operations/{id}/start': { params: { id: string }; body: { token: string }; answer: { id: string; action: "cancel" | "pause" | "resume" | "retry" | "delete"; filter: { [name: string]: Json }; status: "prepared" | "running" | "completed"; count: number; idsDigest: string; done: number; skipped: { [name: string]: number }; by: { [name: string]: Json }; createdAt: string; startedAt?: string | undefined; endedAt?: string | undefined } };
  /** The newest version of every calendar. Permission: `definitions.read`. */
  'GET /api/v1/calendars': { answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of a calendar. Permission: `definitions.read`. */
  'GET /api/v1/calendars/{name}': { params: { name: string }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Put a calendar: a new version when its body differs. Permission: `definitions.write`. */
  'PUT /api/v1/calendars/{name}': { params: { name: string }; body: { [name: string]: Json }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Every version of a calendar, newest first. Permission: `definitions.read`. */
  'GET /api/v1/calendars/{name}/versions': { params: { name: string }; answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of every connector. Permission: `definitions.read`. */
  'GET /api/v1/connectors': { answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of a connector. Permission: `definitions.read`. */
  'GET /api/v1/connectors/{name}': { params: { name: string }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Put a connector: a new version when its body differs. Permission: `definitions.write`. */
  'PUT /api/v1/connectors/{name}': { params: { name: string }; body: { [name: string]: Json }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Every version of a connector, newest first. Permission: `definitions.read`. */
  'GET /api/v1/connectors/{name}/versions': { params: { name: string }; answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of every contract. Permission: `definitions.read`. */
  'GET /api/v1/contracts': { answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of a contract. Permission: `definitions.read`. */
  'GET /api/v1/contracts/{name}': { params: { name: string }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Put a contract: a new version when its body differs. Permission: `definitions.write`. */
  'PUT /api/v1/contracts/{name}': { params: { name: string }; body: { [name: string]: Json }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Every version of a contract, newest first. Permission: `definitions.read`. */
  'GET /api/v1/contracts/{name}/versions': { params: { name: string }; answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** Costs by service, workflow or day. Permission: `costs.read`. */
  'GET /api/v1/costs': { query?: { groupBy?: "service" | "resource" | "workflow" | "day" | undefined; since?: string | undefined; until?: string | undefined }; answer: { items: Array<{ [name: string]: Json }>; nextCursor: string | null } };
  /** Events that a consumer group could not handle, newest first. Permission: `events.read`. */
  'GET /api/v1/dead-letters': { query?: { group?: string | undefined; status?: string | undefined; cursor?: string | undefined; limit?: number | undefined }; answer: { items: Array<{ [name: string]: Json }>; nextCursor: string | null } };
  /** Hand dead letters to their groups again. Permission: `dead-letters.replay`. */
  'POST /api/v1/dead-letters/replay': { body: { ids: Array<string> }; answer: { replayed: number; failed: Array<{ id: string; problem: { [name: string]: Json } }> } };
  /** Dismiss a dead letter. Permission: `dead-letters.replay`. */
  'POST /api/v1/dead-letters/{id}/dismiss': { params: { id: string }; body?: Json | Uint8Array; answer: Json };
  /** The newest version of every decision. Permission: `definitions.read`. */
  'GET /api/v1/decisions': { answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of a decision. Permission: `definitions.read`. */
  'GET /api/v1/decisions/{name}': { params: { name: string }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Put a decision: a new version when its body differs. Permission: `definitions.write`. */
  'PUT /api/v1/decisions/{name}': { params: { name: string }; body: { [name: string]: Json }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Evaluate a decision table; nothing is recorded. Permission: `definitions.read`. */
  'POST /api/v1/decisions/{name}/evaluate': { params: { name: string }; body: { input: { [name: string]: Json } }; answer: { [name: string]: Json } };
  /** Every version of a decision, newest first. Permission: `definitions.read`. */
  'GET /api/v1/decisions/{name}/versions': { params: { name: string }; answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of every entity. Permission: `definitions.read`. */
  'GET /api/v1/entities': { answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of a entity. Permission: `definitions.read`. */
  'GET /api/v1/entities/{name}': { params: { name: string }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Put a entity: a new version when its body differs. Permission: `definitions.write`. */
  'PUT /api/v1/entities/{name}': { params: { name: string }; body: { [name: string]: Json }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Every version of a entity, newest first. Permission: `definitions.read`. */
  'GET /api/v1/entities/{name}/versions': { params: { name: string }; answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** Search the log, newest first. Permission: `events.read`. */
  'GET /api/v1/events': { query?: { type?: string | undefined; source?: string | undefined; subject?: string | undefined; since?: string | undefined; until?: string | undefined; cursor?: string | undefined; limit?: number | undefined }; answer: { items: Array<{ [name: string]: Json }>; nextCursor: string | null } };
  /** Publish CloudEvents: binary, structured or batch. Permission: `events.write`. */
  'POST /api/v1/events': { body?: Json | Uint8Array; answer: { accepted: number; duplicates: number; rejected: Array<{ index: number; problem: { [name: string]: Json } }> } };
  /** The newest version of every feature-service. Permission: `definitions.read`. */
  'GET /api/v1/feature-services': { answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of a feature-service. Permission: `definitions.read`. */
  'GET /api/v1/feature-services/{name}': { params: { name: string }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Put a feature-service: a new version when its body differs. Permission: `definitions.write`. */
  'PUT /api/v1/feature-services/{name}': { params: { name: string }; body: { [name: string]: Json }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Every version of a feature-service, newest first. Permission: `definitions.read`. */
  'GET /api/v1/feature-services/{name}/versions': { params: { name: string }; answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of every feature-view. Permission: `definitions.read`. */
  'GET /api/v1/feature-views': { answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of a feature-view. Permission: `definitions.read`. */
  'GET /api/v1/feature-views/{name}': { params: { name: string }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Put a feature-view: a new version when its body differs. Permission: `definitions.write`. */
  'PUT /api/v1/feature-views/{name}': { params: { name: string }; body: { [name: string]: Json }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Every version of a feature-view, newest first. Permission: `definitions.read`. */
  'GET /api/v1/feature-views/{name}/versions': { params: { name: string }; answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** Feature vectors of many places in the past: each row names its keys and its `timestamp`. Permission: `features.read`. */
  'POST /api/v1/features/historical': { body: { service: string; spine: Array<{ timestamp: string; [name: string]: Json | undefined }> }; answer: { names: Array<string>; rows: Array<Array<Json>>; pins: Array<{ [name: string]: Json }> } };
  /** Feature vectors of many entities, now or as of a time. Permission: `features.read`. */
  'POST /api/v1/features/online': { body: { service: string; entities: Array<{ [name: string]: Json }>; asOf?: string | undefined; request?: { [name: string]: Json } | undefined }; answer: { names: Array<string>; rows: Array<Array<Json>>; pins: Array<{ [name: string]: Json }> } };
  /** The keys that are in force. Permission: `keys.manage`. */
  'GET /api/v1/keys': { answer: { items: Array<{ id: string; name: string; roles: Array<string>; groups: Array<string>; createdAt: string; createdBy: string; lastUsedAt?: string | undefined }>; nextCursor: string | null } };
  /** Make a key; it is shown once. Permission: `keys.manage`. */
  'POST /api/v1/keys': { body: { name: string; roles: Array<string>; groups?: Array<string> | undefined }; answer: { id: string; key: string } };
  /** Revoke a key and every session that acts for it. Permission: `keys.manage`. */
  'DELETE /api/v1/keys/{id}': { params: { id: string }; answer: { id: string; revoked: boolean } };
  /** The groups of the person who holds a key, instead of those before: tasks are for groups. Permission: `keys.manage`. */
  'PUT /api/v1/keys/{id}/groups': { params: { id: string }; body: { groups: Array<string> }; answer: { id: string; groups: Array<string> } };
  /** Runs, decisions, costs, tasks, events and latency at a glance. Permission: `runs.read`. */
  'GET /api/v1/kpis': { answer: { [name: string]: Json } };
  /** What a run was made from: event, contract, features, model, decision, flow. Permission: `audit.read`. */
  'GET /api/v1/lineage': { query: { run: string }; answer: { [name: string]: Json } };
  /** Turn an API key into a session of the console. */
  'POST /api/v1/login': { body: { key: string }; answer: { loggedIn: boolean } };
  /** A one-time link that logs in to the console as the caller. Permission: `keys.manage`. */
  'POST /api/v1/login-links': { body?: Json | Uint8Array; answer: { url: string } };
  /** End the session. */
  'POST /api/v1/logout': { body?: Json | Uint8Array; answer: { loggedIn: boolean } };
  /** Who calls, and what they may do. */
  'GET /api/v1/me': { answer: { id: string; name: string; kind: string; roles: Array<string>; groups: Array<string>; permissions: Array<string> } };
  /** Every model with its versions, aliases and serving statistics. Permission: `models.read`. */
  'GET /api/v1/models': { answer: { items: Array<{ [name: string]: Json }>; nextCursor: string | null } };
  /** One model. Permission: `models.read`. */
  'GET /api/v1/models/{name}': { params: { name: string }; answer: { [name: string]: Json } };
  /** Point an alias at a version, once that version is warm. Permission: `models.promote`. */
  'PUT /api/v1/models/{name}/aliases/{alias}': { params: { name: string; alias: string }; body: { version: number }; answer: { [name: string]: Json } };
  /** Register a version from an ONNX file; it is loaded and run once before it is kept. Permission: `models.write`. */
  'POST /api/v1/models/{name}/versions': { params: { name: string }; body: { onnxBase64: string; signature?: { [name: string]: Json } | undefined; card?: { [name: string]: Json } | undefined; metadata?: { [name: string]: Json } | undefined }; answer: { [name: string]: Json } };
  /** The newest version of every queue. Permission: `definitions.read`. */
  'GET /api/v1/queues': { answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of a queue. Permission: `definitions.read`. */
  'GET /api/v1/queues/{name}': { params: { name: string }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Put a queue: a new version when its body differs. Permission: `definitions.write`. */
  'PUT /api/v1/queues/{name}': { params: { name: string }; body: { [name: string]: Json }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Every version of a queue, newest first. Permission: `definitions.read`. */
  'GET /api/v1/queues/{name}/versions': { params: { name: string }; answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** Queues of runs: how many wait, how many hold a slot, how long the oldest has waited. Permission: `runs.read`. */
  'GET /api/v1/run-queues': { answer: { items: Array<{ name: string; version?: number | undefined; body?: { [name: string]: Json } | undefined; paused: boolean; pending: number; admitted: number; oldestAt?: string | undefined }>; nextCursor: string | null } };
  /** The newest version of a run-queue. Permission: `definitions.read`. */
  'GET /api/v1/run-queues/{name}': { params: { name: string }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Put a run-queue: a new version when its body differs. Permission: `definitions.write`. */
  'PUT /api/v1/run-queues/{name}': { params: { name: string }; body: { [name: string]: Json }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Pause a queue, or let it go on: what holds a slot goes on, nothing more begins. Permission: `runs.control`. */
  'PATCH /api/v1/run-queues/{name}': { params: { name: string }; body: { paused: boolean }; answer: { name: string; version?: number | undefined; body?: { [name: string]: Json } | undefined; paused: boolean; pending: number; admitted: number; oldestAt?: string | undefined } };
  /** Every version of a run-queue, newest first. Permission: `definitions.read`. */
  'GET /api/v1/run-queues/{name}/versions': { params: { name: string }; answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** Runs, newest first. Permission: `runs.read`. */
  'GET /api/v1/runs': { query?: { workflow?: string | undefined; version?: number | undefined; status?: "pending" | "running" | "waiting" | "paused" | "completed" | "failed" | "canceled" | undefined; from?: string | undefined; to?: string | undefined; q?: string | undefined; cursor?: string | undefined; limit?: number | undefined }; answer: { items: Array<{ id: string; workflow: string; version: number; status: "pending" | "running" | "waiting" | "paused" | "completed" | "failed" | "canceled"; startedAt?: string | undefined; endedAt?: string | undefined; updatedAt: string; outcome?: string | undefined; subject?: string | undefined; waitingFor?: string | undefined; attributes?: { [name: string]: Json } | undefined; costMicroUsd?: number | undefined }>; nextCursor: string | null } };
  /** One run with its steps, graph, costs and audit entries. Permission: `runs.read`. */
  'GET /api/v1/runs/{id}': { params: { id: string }; query?: { attempt?: number | undefined }; answer: { id: string; workflow: string; version: number; status: "pending" | "running" | "waiting" | "paused" | "completed" | "failed" | "canceled"; startedAt?: string | undefined; endedAt?: string | undefined; updatedAt: string; outcome?: string | undefined; subject?: string | undefined; waitingFor?: string | undefined; attributes?: { [name: string]: Json } | undefined; costMicroUsd?: number | undefined; output?: Json | undefined; error?: { [name: string]: Json } | undefined; [name: string]: Json | undefined } };
  /** Delete an ended run and its journal; its audit entries and costs stay. Permission: `runs.delete`. */
  'DELETE /api/v1/runs/{id}': { params: { id: string }; answer: Json };
  /** End a run as canceled. Permission: `runs.control`. */
  'POST /api/v1/runs/{id}/cancel': { params: { id: string }; body?: Json | Uint8Array; answer: { id: string; workflow: string; version: number; status: "pending" | "running" | "waiting" | "paused" | "completed" | "failed" | "canceled"; startedAt?: string | undefined; endedAt?: string | undefined; updatedAt: string; outcome?: string | undefined; subject?: string | undefined; waitingFor?: string | undefined; attributes?: { [name: string]: Json } | undefined; costMicroUsd?: number | undefined; output?: Json | undefined; error?: { [name: string]: Json } | undefined; [name: string]: Json | undefined } };
  /** Start a new run from what this one had when it came to a step; this one stays as it is. Idempotency-Key: the same key, the same fork. Permission: `runs.start`. */
  'POST /api/v1/runs/{id}/fork': { params: { id: string }; body: { step?: string | undefined; fromStart?: boolean | undefined; input?: Json | undefined }; answer: { [name: string]: Json } };
  /** Stop a run before its next step. Permission: `runs.control`. */
  'POST /api/v1/runs/{id}/pause': { params: { id: string }; body?: Json | Uint8Array; answer: { id: string; workflow: string; version: number; status: "pending" | "running" | "waiting" | "paused" | "completed" | "failed" | "canceled"; startedAt?: string | undefined; endedAt?: string | undefined; updatedAt: string; outcome?: string | undefined; subject?: string | undefined; waitingFor?: string | undefined; attributes?: { [name: string]: Json } | undefined; costMicroUsd?: number | undefined; output?: Json | undefined; error?: { [name: string]: Json } | undefined; [name: string]: Json | undefined } };
  /** A large value of a step, by the digest that the step names. Permission: `runs.read`. */
  'GET /api/v1/runs/{id}/payloads/{digest}': { params: { id: string; digest: string }; answer: { value: Json } };
  /** Let a paused run go on. Permission: `runs.control`. */
  'POST /api/v1/runs/{id}/resume': { params: { id: string }; body?: Json | Uint8Array; answer: { id: string; workflow: string; version: number; status: "pending" | "running" | "waiting" | "paused" | "completed" | "failed" | "canceled"; startedAt?: string | undefined; endedAt?: string | undefined; updatedAt: string; outcome?: string | undefined; subject?: string | undefined; waitingFor?: string | undefined; attributes?: { [name: string]: Json } | undefined; costMicroUsd?: number | undefined; output?: Json | undefined; error?: { [name: string]: Json } | undefined; [name: string]: Json | undefined } };
  /** Let an ended run go back to a step: what it had before is kept, the rest is done anew under its next attempt. Idempotency-Key: once for a key. Permission: `runs.control`. */
  'POST /api/v1/runs/{id}/retry': { params: { id: string }; body: { step?: string | undefined; fromStart?: boolean | undefined; input?: Json | undefined }; answer: { [name: string]: Json } };
  /** Answer a step that waits; the first answer stands. Permission: `runs.control`. */
  'POST /api/v1/runs/{id}/signal': { params: { id: string }; body: { name: string; payload: Json }; answer: { id: string; workflow: string; version: number; status: "pending" | "running" | "waiting" | "paused" | "completed" | "failed" | "canceled"; startedAt?: string | undefined; endedAt?: string | undefined; updatedAt: string; outcome?: string | undefined; subject?: string | undefined; waitingFor?: string | undefined; attributes?: { [name: string]: Json } | undefined; costMicroUsd?: number | undefined; output?: Json | undefined; error?: { [name: string]: Json } | undefined; [name: string]: Json | undefined } };
  /** Server-sent events: `run` with the whole run at each change, until it has ended. Permission: `runs.read`. */
  'GET /api/v1/runs/{id}/stream': { params: { id: string }; answer: Json };
  /** Flows that start by time, with their next and last times. Permission: `runs.read`. */
  'GET /api/v1/schedules': { answer: { items: Array<{ workflow: string; version: number; kind: "every" | "cron" | "after"; expression: string; timezone: string; overlap: "skip" | "queue" | "parallel" | "cancel"; missed: "skip" | "last" | "all"; paused: boolean; nextAt?: string | undefined; lastAt?: string | undefined; lastRunId?: string | undefined; queued: number; skipped: number }>; nextCursor: string | null } };
  /** Server-sent events: `stats` every two seconds, `run` (a sample) and `task` as they change. Permission: `runs.read`. */
  'GET /api/v1/stream': { answer: Json };
  /** Tasks: those that wait by priority, due date and age, others newest first. Permission: `tasks.read`. */
  'GET /api/v1/tasks': { query?: { queue?: string | undefined; status?: "waiting" | "open" | "claimed" | "done" | "completed" | "returned" | "expired" | "canceled" | undefined; run?: string | undefined; forMe?: boolean | undefined; mine?: boolean | undefined; cursor?: string | undefined; limit?: number | undefined }; answer: { items: Array<{ id: string; queue: string; queueTitle: string; title: string; instructions?: string | undefined; status: "open" | "claimed" | "completed" | "returned" | "expired" | "canceled"; priority: number; runId: string; context: { [name: string]: Json }; contextDigest: string; form: { [name: string]: Json }; suggestion?: Json | undefined; result?: Json | undefined; createdAt: string; dueAt?: string | undefined; deadlineAt?: string | undefined; followUpAt?: string | undefined; candidateGroups?: Array<string> | undefined; addedGroups: Array<string>; addedRoles: Array<string>; escalationLevel: number; continues?: string | undefined; mayReturn: boolean; owner?: string | undefined; ownerId?: string | undefined; claimedAt?: string | undefined; endedAt?: string | undefined; claimedBy?: string | undefined; claimedById?: string | undefined; decidedBy?: string | undefined; minutes?: number | undefined }>; nextCursor: string | null } };
  /** How much waits in each queue. Permission: `tasks.read`. */
  'GET /api/v1/tasks/counts': { answer: { items: Array<{ queue: string; open: number; claimed: number; overdue: number; oldestAt?: string | undefined }>; nextCursor: string | null } };
  /** One task. Permission: `tasks.read`. */
  'GET /api/v1/tasks/{id}': { params: { id: string }; answer: { id: string; queue: string; queueTitle: string; title: string; instructions?: string | undefined; status: "open" | "claimed" | "completed" | "returned" | "expired" | "canceled"; priority: number; runId: string; context: { [name: string]: Json }; contextDigest: string; form: { [name: string]: Json }; suggestion?: Json | undefined; result?: Json | undefined; createdAt: string; dueAt?: string | undefined; deadlineAt?: string | undefined; followUpAt?: string | undefined; candidateGroups?: Array<string> | undefined; addedGroups: Array<string>; addedRoles: Array<string>; escalationLevel: number; continues?: string | undefined; mayReturn: boolean; owner?: string | undefined; ownerId?: string | undefined; claimedAt?: string | undefined; endedAt?: string | undefined; claimedBy?: string | undefined; claimedById?: string | undefined; decidedBy?: string | undefined; minutes?: number | undefined } };
  /** Put a task into somebody's hands, whoever has it. Permission: `tasks.assign`. */
  'POST /api/v1/tasks/{id}/assign': { params: { id: string }; body: { to: string }; answer: { id: string; queue: string; queueTitle: string; title: string; instructions?: string | undefined; status: "open" | "claimed" | "completed" | "returned" | "expired" | "canceled"; priority: number; runId: string; context: { [name: string]: Json }; contextDigest: string; form: { [name: string]: Json }; suggestion?: Json | undefined; result?: Json | undefined; createdAt: string; dueAt?: string | undefined; deadlineAt?: string | undefined; followUpAt?: string | undefined; candidateGroups?: Array<string> | undefined; addedGroups: Array<string>; addedRoles: Array<string>; escalationLevel: number; continues?: string | undefined; mayReturn: boolean; owner?: string | undefined; ownerId?: string | undefined; claimedAt?: string | undefined; endedAt?: string | undefined; claimedBy?: string | undefined; claimedById?: string | undefined; decidedBy?: string | undefined; minutes?: number | undefined } };
  /** The files beside a task. Permission: `tasks.read`. */
  'GET /api/v1/tasks/{id}/attachments': { params: { id: string }; answer: { items: Array<{ id: string; name: string; mediaType: string; digest: string; sizeBytes: number; at: string; by: string; byId: string }>; nextCursor: string | null } };
  /** Attach a file; the same file under the same name is the same attachment. Permission: `tasks.act`. */
  'POST /api/v1/tasks/{id}/attachments': { params: { id: string }; body: { name: string; mediaType: string; contentBase64: string }; answer: { id: string; name: string; mediaType: string; digest: string; sizeBytes: number; at: string; by: string; byId: string } };
  /** A file beside a task, to be saved. Permission: `tasks.read`. */
  'GET /api/v1/tasks/{id}/attachments/{attachment}': { params: { id: string; attachment: string }; answer: Json };
  /** Who may have a task in hand. Permission: `tasks.read`. */
  'GET /api/v1/tasks/{id}/candidates': { params: { id: string }; answer: { items: Array<{ id: string; name: string; groups: Array<string> }>; nextCursor: string | null } };
  /** Claim a task. Permission: `tasks.act`. */
  'POST /api/v1/tasks/{id}/claim': { params: { id: string }; body?: Json | Uint8Array; answer: { id: string; queue: string; queueTitle: string; title: string; instructions?: string | undefined; status: "open" | "claimed" | "completed" | "returned" | "expired" | "canceled"; priority: number; runId: string; context: { [name: string]: Json }; contextDigest: string; form: { [name: string]: Json }; suggestion?: Json | undefined; result?: Json | undefined; createdAt: string; dueAt?: string | undefined; deadlineAt?: string | undefined; followUpAt?: string | undefined; candidateGroups?: Array<string> | undefined; addedGroups: Array<string>; addedRoles: Array<string>; escalationLevel: number; continues?: string | undefined; mayReturn: boolean; owner?: string | undefined; ownerId?: string | undefined; claimedAt?: string | undefined; endedAt?: string | undefined; claimedBy?: string | undefined; claimedById?: string | undefined; decidedBy?: string | undefined; minutes?: number | undefined } };
  /** Comment on a task; under the same Idempotency-Key it is the same comment. Permission: `tasks.act`. */
  'POST /api/v1/tasks/{id}/comments': { params: { id: string }; body: { text: string }; answer: { items: Array<{ id: string; taskId: string; kind: string; at: string; by?: string | undefined; byId?: string | undefined; detail: { [name: string]: Json } }>; nextCursor: string | null } };
  /** Answer a task, bound to exactly what it showed; its run goes on. Permission: `tasks.act`. */
  'POST /api/v1/tasks/{id}/complete': { params: { id: string }; body: { result: Json; contextDigest: string; minutes?: number | undefined }; answer: { id: string; queue: string; queueTitle: string; title: string; instructions?: string | undefined; status: "open" | "claimed" | "completed" | "returned" | "expired" | "canceled"; priority: number; runId: string; context: { [name: string]: Json }; contextDigest: string; form: { [name: string]: Json }; suggestion?: Json | undefined; result?: Json | undefined; createdAt: string; dueAt?: string | undefined; deadlineAt?: string | undefined; followUpAt?: string | undefined; candidateGroups?: Array<string> | undefined; addedGroups: Array<string>; addedRoles: Array<string>; escalationLevel: number; continues?: string | undefined; mayReturn: boolean; owner?: string | undefined; ownerId?: string | undefined; claimedAt?: string | undefined; endedAt?: string | undefined; claimedBy?: string | undefined; claimedById?: string | undefined; decidedBy?: string | undefined; minutes?: number | undefined } };
  /** Hand a claimed task to another, who answers it or hands it back; its owner stays accountable. Permission: `tasks.act`. */
  'POST /api/v1/tasks/{id}/delegate': { params: { id: string }; body: { to: string; message?: string | undefined }; answer: { id: string; queue: string; queueTitle: string; title: string; instructions?: string | undefined; status: "open" | "claimed" | "completed" | "returned" | "expired" | "canceled"; priority: number; runId: string; context: { [name: string]: Json }; contextDigest: string; form: { [name: string]: Json }; suggestion?: Json | undefined; result?: Json | undefined; createdAt: string; dueAt?: string | undefined; deadlineAt?: string | undefined; followUpAt?: string | undefined; candidateGroups?: Array<string> | undefined; addedGroups: Array<string>; addedRoles: Array<string>; escalationLevel: number; continues?: string | undefined; mayReturn: boolean; owner?: string | undefined; ownerId?: string | undefined; claimedAt?: string | undefined; endedAt?: string | undefined; claimedBy?: string | undefined; claimedById?: string | undefined; decidedBy?: string | undefined; minutes?: number | undefined } };
  /** Leave a task out of the inbox until a time; null brings it back. Permission: `tasks.act`. */
  'PUT /api/v1/tasks/{id}/follow-up': { params: { id: string }; body: { at: string | null }; answer: { id: string; queue: string; queueTitle: string; title: string; instructions?: string | undefined; status: "open" | "claimed" | "completed" | "returned" | "expired" | "canceled"; priority: number; runId: string; context: { [name: string]: Json }; contextDigest: string; form: { [name: string]: Json }; suggestion?: Json | undefined; result?: Json | undefined; createdAt: string; dueAt?: string | undefined; deadlineAt?: string | undefined; followUpAt?: string | undefined; candidateGroups?: Array<string> | undefined; addedGroups: Array<string>; addedRoles: Array<string>; escalationLevel: number; continues?: string | undefined; mayReturn: boolean; owner?: string | undefined; ownerId?: string | undefined; claimedAt?: string | undefined; endedAt?: string | undefined; claimedBy?: string | undefined; claimedById?: string | undefined; decidedBy?: string | undefined; minutes?: number | undefined } };
  /** Give a delegated task back to its owner, who may also take it back so. Permission: `tasks.act`. */
  'POST /api/v1/tasks/{id}/hand-back': { params: { id: string }; body: { message?: string | undefined }; answer: { id: string; queue: string; queueTitle: string; title: string; instructions?: string | undefined; status: "open" | "claimed" | "completed" | "returned" | "expired" | "canceled"; priority: number; runId: string; context: { [name: string]: Json }; contextDigest: string; form: { [name: string]: Json }; suggestion?: Json | undefined; result?: Json | undefined; createdAt: string; dueAt?: string | undefined; deadlineAt?: string | undefined; followUpAt?: string | undefined; candidateGroups?: Array<string> | undefined; addedGroups: Array<string>; addedRoles: Array<string>; escalationLevel: number; continues?: string | undefined; mayReturn: boolean; owner?: string | undefined; ownerId?: string | undefined; claimedAt?: string | undefined; endedAt?: string | undefined; claimedBy?: string | undefined; claimedById?: string | undefined; decidedBy?: string | undefined; minutes?: number | undefined } };
  /** What happened to a task, oldest first: who saw, claimed, handed on, commented, answered. Permission: `tasks.read`. */
  'GET /api/v1/tasks/{id}/history': { params: { id: string }; answer: { items: Array<{ id: string; taskId: string; kind: string; at: string; by?: string | undefined; byId?: string | undefined; detail: { [name: string]: Json } }>; nextCursor: string | null } };
  /** How pressing a task is: 0 to 100, higher first. Permission: `tasks.assign`. */
  'PUT /api/v1/tasks/{id}/priority': { params: { id: string }; body: { priority: number }; answer: { id: string; queue: string; queueTitle: string; title: string; instructions?: string | undefined; status: "open" | "claimed" | "completed" | "returned" | "expired" | "canceled"; priority: number; runId: string; context: { [name: string]: Json }; contextDigest: string; form: { [name: string]: Json }; suggestion?: Json | undefined; result?: Json | undefined; createdAt: string; dueAt?: string | undefined; deadlineAt?: string | undefined; followUpAt?: string | undefined; candidateGroups?: Array<string> | undefined; addedGroups: Array<string>; addedRoles: Array<string>; escalationLevel: number; continues?: string | undefined; mayReturn: boolean; owner?: string | undefined; ownerId?: string | undefined; claimedAt?: string | undefined; endedAt?: string | undefined; claimedBy?: string | undefined; claimedById?: string | undefined; decidedBy?: string | undefined; minutes?: number | undefined } };
  /** Give a task back; an operator may give back the claim of another. Permission: `tasks.release`. */
  'POST /api/v1/tasks/{id}/release': { params: { id: string }; body?: Json | Uint8Array; answer: { id: string; queue: string; queueTitle: string; title: string; instructions?: string | undefined; status: "open" | "claimed" | "completed" | "returned" | "expired" | "canceled"; priority: number; runId: string; context: { [name: string]: Json }; contextDigest: string; form: { [name: string]: Json }; suggestion?: Json | undefined; result?: Json | undefined; createdAt: string; dueAt?: string | undefined; deadlineAt?: string | undefined; followUpAt?: string | undefined; candidateGroups?: Array<string> | undefined; addedGroups: Array<string>; addedRoles: Array<string>; escalationLevel: number; continues?: string | undefined; mayReturn: boolean; owner?: string | undefined; ownerId?: string | undefined; claimedAt?: string | undefined; endedAt?: string | undefined; claimedBy?: string | undefined; claimedById?: string | undefined; decidedBy?: string | undefined; minutes?: number | undefined } };
  /** Send a task back to the requester with a question; its run goes on with it. Permission: `tasks.act`. */
  'POST /api/v1/tasks/{id}/return': { params: { id: string }; body: { message: string; contextDigest: string; minutes?: number | undefined }; answer: { id: string; queue: string; queueTitle: string; title: string; instructions?: string | undefined; status: "open" | "claimed" | "completed" | "returned" | "expired" | "canceled"; priority: number; runId: string; context: { [name: string]: Json }; contextDigest: string; form: { [name: string]: Json }; suggestion?: Json | undefined; result?: Json | undefined; createdAt: string; dueAt?: string | undefined; deadlineAt?: string | undefined; followUpAt?: string | undefined; candidateGroups?: Array<string> | undefined; addedGroups: Array<string>; addedRoles: Array<string>; escalationLevel: number; continues?: string | undefined; mayReturn: boolean; owner?: string | undefined; ownerId?: string | undefined; claimedAt?: string | undefined; endedAt?: string | undefined; claimedBy?: string | undefined; claimedById?: string | undefined; decidedBy?: string | undefined; minutes?: number | undefined } };
  /** That the caller has looked at a task; the first time counts. Permission: `tasks.read`. */
  'POST /api/v1/tasks/{id}/seen': { params: { id: string }; body?: Json | Uint8Array; answer: { seen: boolean } };
  /** The newest version of every workflow. Permission: `definitions.read`. */
  'GET /api/v1/workflows': { answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** The newest version of a workflow. Permission: `definitions.read`. */
  'GET /api/v1/workflows/{name}': { params: { name: string }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Put a workflow: a new version when its body differs. Permission: `definitions.write`. */
  'PUT /api/v1/workflows/{name}': { params: { name: string }; body: { [name: string]: Json }; answer: { kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string } };
  /** Start a run with `{input}`, or with a CloudEvent that the flow starts on; with `wait` answer when it has ended or waits for a person. Permission: `runs.start`. */
  'POST /api/v1/workflows/{name}/runs': { params: { name: string }; query?: { wait?: string | undefined }; body?: Json | Uint8Array; answer: { id: string; workflow: string; version: number; status: "running" | "waiting" | "paused" | "completed" | "failed" | "canceled"; startedAt?: string | undefined; endedAt?: string | undefined; updatedAt: string; outcome?: string | undefined; subject?: string | undefined; waitingFor?: string | undefined; attributes?: { [name: string]: Json } | undefined; costMicroUsd?: number | undefined; output?: Json | undefined; [name: string]: Json | undefined } };
  /** Start the runs of a past range once each, in order; times that have a run already are left out. Permission: `runs.control`. */
  'POST /api/v1/workflows/{name}/schedule/backfill': { params: { name: string }; body: { from: string; until: string }; answer: { times: number; alreadyRun: number; schedule: { workflow: string; version: number; kind: "every" | "cron" | "after"; expression: string; timezone: string; overlap: "skip" | "queue" | "parallel" | "cancel"; missed: "skip" | "last" | "all"; paused: boolean; nextAt?: string | undefined; lastAt?: string | undefined; lastRunId?: string | undefined; queued: number; skipped: number } } };
  /** Stop starting runs by time; runs under way go on. Permission: `runs.control`. */
  'POST /api/v1/workflows/{name}/schedule/pause': { params: { name: string }; body: { discardQueued?: boolean | undefined }; answer: { workflow: string; version: number; kind: "every" | "cron" | "after"; expression: string; timezone: string; overlap: "skip" | "queue" | "parallel" | "cancel"; missed: "skip" | "last" | "all"; paused: boolean; nextAt?: string | undefined; lastAt?: string | undefined; lastRunId?: string | undefined; queued: number; skipped: number } };
  /** Start runs by time again, from now on; the times of the pause are not made up for. Permission: `runs.control`. */
  'POST /api/v1/workflows/{name}/schedule/resume': { params: { name: string }; body?: Json | Uint8Array; answer: { workflow: string; version: number; kind: "every" | "cron" | "after"; expression: string; timezone: string; overlap: "skip" | "queue" | "parallel" | "cancel"; missed: "skip" | "last" | "all"; paused: boolean; nextAt?: string | undefined; lastAt?: string | undefined; lastRunId?: string | undefined; queued: number; skipped: number } };
  /** Every version of a workflow, newest first. Permission: `definitions.read`. */
  'GET /api/v1/workflows/{name}/versions': { params: { name: string }; answer: { items: Array<{ kind: string; name: string; version: number; digest: string; body: { [name: string]: Json }; source: string; createdAt: string; createdBy: string }>; nextCursor: string | null } };
  /** Versions of a flow with runs that have not ended: how many, since when, and where they stand. Permission: `runs.read`. */
  'GET /api/v1/workflows/{name}/versions-in-use': { params: { name: string }; answer: { items: Array<{ version: number; current: boolean; runs: number; oldestStartedAt?: string | undefined; oldestRunId?: string | undefined; stands: Array<{ status: string; waitingFor?: string | undefined; runs: number; oldestStartedAt: string }> }>; nextCursor: string | null } };
  /** Whether the process lives. */
  'GET /healthz': { answer: { status: string } };
  /** Turn the one-time token of a login link into a session of the console. */
  'GET /login': { query: { token: string }; answer: Json };
  /** Metrics in the text form of Prometheus. */
  'GET /metrics': { answer: Json };
  /** Whether traffic may come; 503 with the reason when not. */
  'GET /readyz': { answer: { ready: boolean; checks: { [name: string]: string } } };
  /** Server metadata. */
  'GET /v2': { answer: Json };
  /** Whether the inference server is live. */
  'GET /v2/health/live': { answer: Json };
  /** Whether the inference server is ready. */
  'GET /v2/health/ready': { answer: Json };
  /** Metadata of a model (its champion). Permission: `models.read`. */
  'GET /v2/models/{name}': { params: { name: string; version: string }; answer: Json };
  /** Run a model (its champion) on tensors. Permission: `serving.infer`. */
  'POST /v2/models/{name}/infer': { params: { name: string; version: string }; body: { [name: string]: Json }; answer: { [name: string]: Json } };
  /** Whether a model (its champion) is ready. Permission: `models.read`. */
  'GET /v2/models/{name}/ready': { params: { name: string; version: string }; answer: Json };
  /** Metadata of a version of a model. Permission: `models.read`. */
  'GET /v2/models/{name}/versions/{version}': { params: { name: string; version: string }; answer: Json };
  /** Run a version of a model on tensors. Permission: `serving.infer`. */
  'POST /v2/models/{name}/versions/{version}/infer': { params: { name: string; version: string }; body: { [name: string]: Json }; answer: { [name: string]: Json } };
  /** Whether a version of a model is ready. Permission: `models.read`. */
  'GET /v2/models/{name}/versions/{version}/ready': { params: { name: string; version: string }; answer: Json };
}
