import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** Files of a project: a service and what it imports. */
export const PROTOS = {
  'resources/shop/orders.proto': `syntax = "proto3";
package shop;
import "common/money.proto";
import "google/protobuf/timestamp.proto";
message Order { int64 id = 1; string customer_name = 2; repeated common.Money lines = 3; State state = 4; bytes note = 5; }
message Query { int32 count = 1; }
message Receipt { int64 order_id = 1; common.Money total = 2; google.protobuf.Timestamp at = 3; State state = 4; }
enum State { OPEN = 0; PAID = 1; }
service Orders {
  rpc Place(Order) returns (Receipt);
  rpc Find(Query) returns (Receipt) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Watch(Query) returns (stream Receipt);
  rpc Send(stream Order) returns (Receipt);
}`,
  'resources/shop/common/money.proto': `syntax = "proto3";
package common;
message Money { string currency = 1; double amount = 2; }`,
};

type Message = { [name: string]: unknown };

/** A service of grpc-js over those files. `customer_name` says what becomes of an order. */
export async function serveOrders(tls?: { key: string; cert: string }) {
  const folder = await mkdtemp(join(tmpdir(), 'aios-grpc-'));
  await writeFile(join(folder, 'orders.proto'), PROTOS['resources/shop/orders.proto']);
  await mkdir(join(folder, 'common'));
  await writeFile(join(folder, 'common', 'money.proto'), PROTOS['resources/shop/common/money.proto']);
  const options = { includeDirs: [folder], keepCase: true, longs: String, enums: String, bytes: String };
  const loaded = loadSync(join(folder, 'orders.proto'), options);
  await rm(folder, { recursive: true });
  const placed: Message[] = [];
  const metadata: Metadata[] = [];
  const server = new Server();
  server.addService(loaded['shop.Orders'] as never, {
    Place(call: ServerUnaryCall<Message, Message>, done: sendUnaryData<Message>) {
      placed.push(call.request);
      metadata.push(call.metadata);
      const { customer_name: name } = call.request;
      if (name === 'nobody')
        return done({
          code: status.NOT_FOUND,
          details: `no ${String(name)} ${call.metadata.get('authorization')}`,
        });
      if (name === 'busy') return done({ code: status.UNAVAILABLE, details: 'later' });
      if (name === 'never') return undefined;
      return done(null, {
        order_id: call.request.id,
        total: { currency: 'EUR', amount: 2.5 },
        at: { seconds: 5 },
        state: 'PAID',
      });
    },
    Find(call: ServerUnaryCall<Message, Message>, done: sendUnaryData<Message>) {
      done(null, { order_id: String(call.request.count) });
    },
    Watch(call: ServerWritableStream<Message, Message>) {
      for (let n = 1; n <= Number(call.request.count); n++) call.write({ order_id: String(n) });
      call.end();
    },
    Send: () => {},
  });
  const credentials = tls
    ? ServerCredentials.createSsl(null, [
        { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) },
      ])
    : ServerCredentials.createInsecure();
  const port = await new Promise<number>((done, fail) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? fail(error) : done(bound))),
  );
  return { port, placed, metadata, close: () => server.forceShutdown() };
}
