import { AiosError } from '../../kernel/errors.ts';
import { standardError } from './flow-errors.ts';

/** What the server of a remote procedure answered as its error is one of type runtime (dsl-reference.md, "A2A Call", "MCP Call"). */
export async function rpc<T>(stepKey: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof AiosError && error.extensions.rpcCode !== undefined)
      throw standardError('runtime', 500, error.message, stepKey);
    throw error;
  }
}
