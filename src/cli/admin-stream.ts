/** An answer of the running hub that is too large to be held whole. */
import { type IncomingMessage, request } from 'node:http';
import { LatchkeyError } from '../core/errors.ts';
import { isNoHub } from './admin-client.ts';

/** Milliseconds without a byte after which the hub counts as gone. */
const SILENCE = 30_000;

/** @throws {LatchkeyError} `admin_unreachable`, `admin_forbidden` */
export async function* adminStream(asked: {
  /** Tried in this order until one is there. */
  readonly sockets: readonly string[];
  readonly path: string;
}): AsyncGenerator<string> {
  const response = await firstAnswer(asked.sockets, asked.path);
  response.setEncoding('utf8');
  try {
    yield* response as AsyncIterable<string>;
  } catch (cause) {
    throw new LatchkeyError('admin_unreachable', 'the answer broke off', { cause });
  }
}

async function firstAnswer(sockets: readonly string[], path: string): Promise<IncomingMessage> {
  let absent: LatchkeyError | undefined;
  for (const socket of sockets) {
    try {
      return await answerOf(socket, path);
    } catch (error) {
      if (!isNoHub(error)) throw error;
      absent = error;
    }
  }
  throw absent ?? new LatchkeyError('admin_unreachable', 'no socket is configured');
}

function answerOf(socketPath: string, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException) => {
      const code = cause.code === 'EACCES' ? 'admin_forbidden' : 'admin_unreachable';
      reject(new LatchkeyError(code, `${socketPath} (${cause.code ?? 'no answer'})`, { cause }));
    };
    const sent = request({ socketPath, path, agent: false, timeout: SILENCE }, (response) => {
      if (response.statusCode === 200) return resolve(response);
      response.resume();
      reject(new LatchkeyError('admin_unreachable', `${socketPath} answered with status ${response.statusCode}`));
    });
    sent.on('error', fail);
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    sent.end();
  });
}
