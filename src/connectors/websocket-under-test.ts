import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 1;
const CLOSE = 8;

/** A WebSocket server of one process of tests (RFC 6455): frames of text up to 64 KiB, no extensions. */
export class WebSocketRemote {
  readonly received: string[] = [];
  readonly handshakes: { url: string; headers: IncomingHttpHeaders }[] = [];
  readonly sockets = new Set<Duplex>();
  /** Refuses handshakes with this status. */
  refuses: number | undefined;
  /** Called with each new connection. */
  greet: (socket: Duplex) => void = () => {};
  readonly #server: Server;

  /** Over TLS with a key and a certificate. */
  constructor(tls?: { key: string; cert: string }) {
    this.#server = tls ? createTlsServer(tls) : createServer();
  }

  async listen(): Promise<void> {
    this.#server.on('upgrade', (request, socket) => {
      this.handshakes.push({ url: String(request.url), headers: request.headers });
      socket.on('error', () => {});
      if (this.refuses) return void socket.end(`HTTP/1.1 ${this.refuses} No\r\nContent-Length: 0\r\n\r\n`);
      const key = `${request.headers['sec-websocket-key']}${GUID}`;
      const accept = createHash('sha1').update(key).digest('base64');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      let rest = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        rest = this.#frames(socket, Buffer.concat([rest, chunk]));
      });
      this.greet(socket);
    });
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  send(text: string): void {
    for (const socket of this.sockets) socket.write(frame(TEXT, Buffer.from(text)));
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }

  /** Takes the whole frames off; answers with what is left. */
  #frames(socket: Duplex, bytes: Buffer): Buffer<ArrayBuffer> {
    for (;;) {
      const short = (bytes[1] ?? 0) & 0x7f;
      const head = short === 126 ? 8 : 6;
      if (bytes.length < head) return Buffer.from(bytes);
      const length = short === 126 ? bytes.readUInt16BE(2) : short;
      if (bytes.length < head + length) return Buffer.from(bytes);
      const mask = bytes.subarray(head - 4, head);
      const payload = Buffer.from(
        bytes.subarray(head, head + length).map((byte, at) => byte ^ mask[at % 4]!),
      );
      const opcode = bytes[0]! & 0x0f;
      if (opcode === TEXT) this.received.push(payload.toString('utf8'));
      if (opcode === CLOSE) socket.end(frame(CLOSE, payload));
      bytes = bytes.subarray(head + length);
    }
  }
}

function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = length < 126 ? [0x80 | opcode, length] : [0x80 | opcode, 126, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), payload]);
}
