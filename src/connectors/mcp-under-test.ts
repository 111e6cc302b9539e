import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import {
  fromJsonSchema,
  McpServer,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';

/** What a tool was called with. */
export interface ToolCall {
  text: string;
  key: unknown;
}

/** A server of the MCP SDK with a tool that echoes, one that fails, one that does not answer, a resource and a prompt. */
function createMcpServer(called: ToolCall[]): McpServer {
  const server = new McpServer({ name: 'under-test', version: '1.0.0' });
  const inputSchema = fromJsonSchema<{ text: string }>({
    type: 'object',
    properties: { text: { type: 'string' } },
    required: ['text'],
  });
  const tool = (name: string, answer: (text: string) => unknown) =>
    server.registerTool(name, { description: name, inputSchema }, async ({ text }, context) => {
      called.push({ text, key: context.mcpReq._meta?.['aios/idempotencyKey'] });
      return (await answer(text)) as never;
    });
  tool('echo', (text) => ({ content: [{ type: 'text', text: `echo ${text}` }] }));
  tool('fail', (text) => ({ content: [{ type: 'text', text }], isError: true }));
  tool('hang', () => new Promise(() => {}));
  server.registerResource('note', 'note://one', {}, async () => ({
    contents: [{ uri: 'note://one', text: 'a note' }],
  }));
  server.registerPrompt('greet', {}, async () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'hello' } }],
  }));
  return server;
}

/** That server over streamable HTTP on a free port, a session for each client. */
export async function serveMcp(
  called: ToolCall[],
  refuse: (request: IncomingMessage) => number | undefined = () => undefined,
) {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const seen: IncomingMessage['headers'][] = [];
  const open = async () => {
    const transport: WebStandardStreamableHTTPServerTransport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    await createMcpServer(called).connect(transport);
    return transport;
  };
  const server = createServer(async (request, response) => {
    seen.push(request.headers);
    const status = refuse(request);
    if (status !== undefined) return void response.writeHead(status).end('refused');
    const session = request.headers['mcp-session-id'];
    const transport = sessions.get(String(session)) ?? (await open());
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const answer = await transport.handleRequest(
      new Request(`http://127.0.0.1${request.url}`, {
        method: request.method!,
        headers: request.headers as Record<string, string>,
        ...(chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}),
      }),
    );
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body) Readable.fromWeb(answer.body as never).pipe(response);
    else response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    port,
    seen,
    sessions,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
