import { fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio';

/** A server that a test starts by a command: its tool answers with its own environment. */
const server = new McpServer({ name: 'stdio-under-test', version: '1.0.0' });
const inputSchema = fromJsonSchema<{ text: string }>({
  type: 'object',
  properties: { text: { type: 'string' } },
});
server.registerTool('echo', { inputSchema }, async ({ text }) => {
  const { KEY = '', AIOS_SECRET_LEAK = '' } = process.env;
  return { content: [{ type: 'text', text: `echo ${text} ${KEY}${AIOS_SECRET_LEAK}` }] };
});
await server.connect(new StdioServerTransport());
