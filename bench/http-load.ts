/**
 * POST requests over a few kept connections, written and read as bytes: a client that costs far less than any server, so that
 * what is measured is the server.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Devices that ask at once. */
const CONNECTIONS = 48;

const END_OF_HEADERS = '\r\n\r\n';

/** The bytes of one POST of a form. */
export function postRequest(path: string, authorization: string, form: Uint8Array): Buffer {
  const head =
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\nauthorization: ${authorization}\r\n` +
    `content-type: application/x-www-form-urlencoded\r\ncontent-length: ${form.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), form]);
}

interface Load {
  /** From the first request to the last answer. */
  readonly milliseconds: number;
  /** Length of the longest body among the last answers. */
  readonly answerBytes: number;
}

export class HttpLoad {
  readonly #sockets: readonly Socket[];

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
  }

  static async connect(origin: string): Promise<HttpLoad> {
    const { hostname, port } = new URL(origin);
    const sockets = Array.from({ length: CONNECTIONS }, () => connect(Number(port), hostname).setNoDelay(true));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    return new HttpLoad(sockets);
  }

  /**
   * Sends all requests, one at a time on each connection.
   * @throws {Error} for an answer that does not hold `expected`
   */
  async drive(requests: readonly Buffer[], expected: string): Promise<Load> {
    let next = 0;
    const start = performance.now();
    const lengths = await Promise.all(this.#sockets.map((socket) => serve(socket, () => requests[next++], expected)));
    return { milliseconds: performance.now() - start, answerBytes: Math.max(...lengths) };
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Answers with the length of the last body. */
function serve(socket: Socket, take: () => Buffer | undefined, expected: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let pending = '';
    let length = 0;
    const send = () => {
      const request = take();
      if (request !== undefined) {
        socket.write(request);
        return;
      }
      socket.removeAllListeners('data').removeListener('close', gone);
      resolve(length);
    };
    const gone = () => reject(new Error('the server closed a connection'));
    // One that was idle for longer than the server keeps it.
    if (socket.destroyed) gone();
    socket.once('close', gone);
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1');
      const body = bodyOf(pending);
      if (body === undefined) return;
      if (!pending.startsWith('HTTP/1.1 200 ') || !body.includes(expected)) {
        reject(new Error(`not the answer that was expected:\n${pending}`));
      }
      length = body.length;
      pending = '';
      send();
    });
    send();
  });
}

/** Undefined as long as it is not whole. Both servers say how long their answers are. */
function bodyOf(answer: string): string | undefined {
  const end = answer.indexOf(END_OF_HEADERS);
  if (end < 0) return undefined;
  const length = /content-length: (\d+)/i.exec(answer)?.[1];
  if (length === undefined) throw new Error(`an answer without a length:\n${answer}`);
  const body = answer.slice(end + END_OF_HEADERS.length);
  return body.length >= Number(length) ? body : undefined;
}
