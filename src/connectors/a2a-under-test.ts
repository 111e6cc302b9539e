import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AgentCard, Role, TaskState } from '@a2a-js/sdk';
import { LegacyJsonRpcTransportHandler } from '@a2a-js/sdk/compat/v0_3/server';
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from '@a2a-js/sdk/server';

type Spoken = '0.3' | '1.0';
type Received = { messageId: string; text: string };

/** An agent of the SDK that answers a message with its text, or works on a task when it is asked to `work`; it speaks 0.3 or 1.0. */
export async function serveAgent(spoken: Spoken) {
  const received: Received[] = [];
  const seen: { url: string; authorization: string | undefined; method: string | undefined }[] = [];
  const executor = executorOf(received);
  let handle: (body: string) => ReturnType<JsonRpcTransportHandler['handle']>;
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { port } = server.address() as { port: number };
    const { url = '', headers } = request;
    const method = body ? (JSON.parse(body) as { method?: string }).method : undefined;
    seen.push({ url, authorization: headers.authorization, method });
    const json = { 'content-type': 'application/json' };
    if (request.method === 'GET') {
      const own = spoken === '1.0' ? cardOf(port, spoken) : legacyCard(port);
      return void response.writeHead(200, json).end(JSON.stringify(own));
    }
    const answer = await handle(body);
    if (!(Symbol.asyncIterator in answer))
      return void response.writeHead(200, json).end(JSON.stringify(answer));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for await (const event of answer) response.write(`data: ${JSON.stringify(event)}\n\n`);
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const requests = new DefaultRequestHandler(cardOf(port, spoken), new InMemoryTaskStore(), executor);
  const handler =
    spoken === '1.0' ? new JsonRpcTransportHandler(requests) : new LegacyJsonRpcTransportHandler(requests);
  handle = (body) =>
    handler.handle(body, new ServerCallContext({ requestedVersion: spoken })) as ReturnType<typeof handle>;
  return {
    port,
    received,
    seen,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function legacyCard(port: number) {
  return {
    name: 'under test',
    description: 'echoes',
    version: '1',
    protocolVersion: '0.3.0',
    url: `http://127.0.0.1:${port}/rpc`,
    preferredTransport: 'JSONRPC',
    capabilities: { streaming: true },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
  };
}

function cardOf(port: number, spoken: Spoken): AgentCard {
  return {
    name: 'under test',
    description: 'echoes',
    version: '1',
    supportedInterfaces: [
      {
        url: `http://127.0.0.1:${port}/rpc`,
        protocolBinding: 'JSONRPC',
        protocolVersion: spoken,
        tenant: '',
      },
    ],
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
    signatures: [],
  } as unknown as AgentCard;
}

function executorOf(received: Received[]): AgentExecutor {
  return {
    async execute({ userMessage, taskId, contextId }, bus) {
      const text = userMessage.parts
        .map(({ content }) => (content?.$case === 'text' ? content.value : ''))
        .join('');
      received.push({ messageId: userMessage.messageId, text });
      const part = (value: string) => ({
        content: { $case: 'text' as const, value },
        metadata: undefined,
        filename: '',
        mediaType: '',
      });
      if (text === 'hang') return new Promise(() => {});
      const message = {
        messageId: `answer-${received.length}`,
        role: Role.ROLE_AGENT,
        parts: [part(`echo ${text}`)],
        taskId: '',
        contextId,
        extensions: [],
        referenceTaskIds: [],
        metadata: undefined,
      };
      if (text !== 'work') bus.publish(AgentEvent.message(message));
      else {
        const status = (state: TaskState) => ({
          state,
          message: undefined,
          timestamp: new Date(0).toISOString(),
        });
        bus.publish(
          AgentEvent.task({
            id: taskId,
            contextId,
            status: status(TaskState.TASK_STATE_WORKING),
            artifacts: [],
            history: [],
            metadata: undefined,
          }),
        );
        bus.publish(
          AgentEvent.statusUpdate({
            taskId,
            contextId,
            status: status(TaskState.TASK_STATE_COMPLETED),
            metadata: undefined,
          }),
        );
      }
      bus.finished();
    },
    cancelTask: async () => {},
  };
}
