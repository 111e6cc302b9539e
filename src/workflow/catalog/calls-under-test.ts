import { A2aCalls } from '../../connectors/a2a-calls.ts';
import { CallSecrets } from '../../connectors/call-secrets.ts';
import { GrpcCalls } from '../../connectors/grpc-calls.ts';
import { HttpCalls } from '../../connectors/http-calls.ts';
import { McpCalls } from '../../connectors/mcp-calls.ts';
import { MqttCalls } from '../../connectors/mqtt-calls.ts';
import { Outgoing } from '../../connectors/outgoing.ts';
import { ResourceReader } from '../../connectors/resources.ts';
import { connectorVariables } from '../../connectors/secrets.ts';
import { WebSocketCalls } from '../../connectors/websocket-calls.ts';
import { digestOf } from '../../kernel/canonical.ts';
import { ManualClock } from '../../kernel/clock.ts';
import { readDocument } from '../../kernel/document.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { type Lane, write } from '../../store/lane.ts';
import { WorkflowEngine } from '../engine/engine.ts';
import type { StoreFixture } from '../engine/engine-conformance-world.ts';
import { withResources } from '../language/resources.ts';
import { a2aPrimitives } from './a2a.ts';
import { asyncApiPrimitives } from './asyncapi.ts';
import { grpcPrimitives } from './grpc.ts';
import { httpPrimitives } from './http.ts';
import { mcpPrimitives } from './mcp.ts';
import { openApiPrimitives } from './openapi.ts';
import { type Catalog, catalogOf } from './primitive.ts';
import { scriptPrimitive } from './script.ts';
import { type ProcessSettings, processPrimitives } from './shell.ts';

/** What the secrets of these flows are. */
export const SECRETS: { readonly [name: string]: string } = {
  TOKEN: 's3cret-token',
  LOGIN: 'ada:s3cret-word',
  NOBODY: 'nobody:s3cret-none',
  MY_CLIENT: '{"id":"aios","secret":"s3cret-client"}',
  HERE: 's3cret-here',
  AWAY: 's3cret-away',
  AWAY_POLICY: '{"authority":"https://idp.example.org","grant":"client_credentials","client":{"id":"aios"}}',
};

/** Where some of them may be sent; the others go anywhere. */
const HOSTS = { HERE: '127.0.0.1', AWAY: '*.example.org', AWAY_POLICY: 'idp.example.org' };

const CALL_LIMITS = 'runPollMs=20,httpCallMs=20000';

/** An engine over a store with the calls of the specification as they are in the product; addresses on 127.0.0.1 may be called. */
export class CallsUnderTest {
  readonly audited: { action: string; payload: JsonObject }[] = [];
  readonly catalog: Catalog;
  /** Of the project. */
  readonly files: { [uri: string]: string } = {};
  readonly fixture: StoreFixture;
  readonly #outgoing: Outgoing;
  readonly #reader: ResourceReader;
  readonly #engine: WorkflowEngine;
  readonly #store: ReturnType<StoreFixture['open']>;
  #version = 0;

  constructor(
    fixture: StoreFixture,
    commands: readonly string[] = [],
    overrides = '',
    processes?: ProcessSettings,
  ) {
    this.fixture = fixture;
    const limits = limitsFrom(`${CALL_LIMITS},${overrides}`);
    this.#outgoing = new Outgoing({ limits, allowPrivate: ['127.0.0.1'] });
    const env = Object.fromEntries([
      ...Object.entries(SECRETS).map(([name, value]) => [`AIOS_SECRET_${name}`, value]),
      ...Object.entries(HOSTS).map(([name, value]) => [`AIOS_HOSTS_OF_${name}`, value]),
    ]);
    const secrets = new CallSecrets(connectorVariables({ env }));
    const lane = fixture.notes as Lane<string>;
    const audit = (entry: object) => {
      this.audited.push(entry as never);
      return write(lane, JSON.stringify(entry));
    };
    const http = new HttpCalls(this.#outgoing);
    this.#reader = new ResourceReader(http, secrets, limits);
    this.catalog = catalogOf([
      ...httpPrimitives(http, secrets, audit),
      ...openApiPrimitives(http, secrets, audit),
      ...a2aPrimitives(new A2aCalls(this.#outgoing), secrets, audit),
      ...grpcPrimitives(new GrpcCalls(this.#outgoing), secrets, audit),
      ...asyncApiPrimitives(
        {
          http,
          mqtt: new MqttCalls(this.#outgoing),
          webSocket: new WebSocketCalls(this.#outgoing),
        },
        secrets,
        audit,
        limits.connectorResponseBytesMax,
      ),
      scriptPrimitive(limits),
      ...processPrimitives(
        limits,
        secrets,
        audit,
        processes ?? { isShellAllowed: false, containerEngine: undefined },
      ),
      ...mcpPrimitives(new McpCalls(this.#outgoing), secrets, audit, commands),
    ]);
    this.#store = fixture.open();
    this.#engine = new WorkflowEngine({
      store: this.#store,
      catalog: this.catalog,
      clock: new ManualClock(0),
      limits,
      findDefinition: async () => undefined,
    });
  }

  /** One that has begun, over a store of its own: it ends by `close`. */
  static async open(
    openFixture: () => Promise<StoreFixture>,
    commands?: readonly string[],
    overrides?: string,
    processes?: ProcessSettings,
  ): Promise<CallsUnderTest> {
    const subject = new CallsUnderTest(await openFixture(), commands, overrides, processes);
    await subject.begin();
    return subject;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.fixture.close();
  }

  begin(): Promise<void> {
    return this.#engine.begin();
  }

  async stop(): Promise<void> {
    await this.#engine.stop();
    await this.#outgoing.close();
  }

  /** The definition of a flow whose head is left out; in CEL unless it says otherwise. */
  flowOf(text: string): JsonObject {
    const document = { dsl: '1.0.3', namespace: 'test', name: 'calls', version: '1.0.0' };
    return { document, evaluate: { language: 'cel' }, ...readDocument(text, 'calls.yaml').value };
  }

  /** With what it names from elsewhere. */
  prepared(body: JsonObject): Promise<JsonObject> {
    return withResources(
      body,
      async (endpoint, secretsAt) => this.files[endpoint.uri] ?? this.#reader.read(endpoint, secretsAt),
    );
  }

  /** Runs a flow to its end: its result, and all that is kept of it. */
  async run(text: string, input: JsonObject = {}) {
    return this.runBody(await this.prepared(this.flowOf(text)), input);
  }

  async runBody(body: JsonObject, input: JsonObject = {}) {
    this.#engine.put({ name: 'calls', version: ++this.#version, digest: digestOf(body), body });
    const { runId } = await this.#engine.run({ workflow: 'calls', input }, 30_000);
    return this.#kept(runId);
  }

  /** Goes back to a step of an ended run with other arguments. */
  async again(runId: string, step: string, input: JsonObject) {
    await this.#engine.operations.retry(runId, { step, input });
    await this.#ended(runId);
    return this.#kept(runId);
  }

  async #ended(runId: string): Promise<void> {
    for (;;) {
      const run = await this.#store.find(runId);
      if (run?.result) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #kept(runId: string) {
    const run = await this.#store.find(runId);
    const kept = JSON.stringify([run, await this.#store.entries(runId), this.audited]);
    return { runId, result: run?.result as { output?: unknown; error?: JsonObject } | undefined, kept };
  }
}
