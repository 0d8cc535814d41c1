/** Talks to the running hub over its admin socket: HTTP with JSON bodies, errors as problem details (RFC 9457). */
import { type IncomingMessage, request } from 'node:http';
import { loadConfig } from '../config/load.ts';
import { isCoded, isErrorCode, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonValue } from '../core/json.ts';
import { printable } from '../core/printable.ts';

const DEADLINE_MILLISECONDS = 30_000;
/** Lists come in pages of a quarter of this; a status names so many devices by radio as fit. */
const MAX_ANSWER_BYTES = 4_194_304;

export interface SocketChoice {
  readonly socket?: string | undefined;
  readonly config?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The socket asked for, else those that a hub with the configuration may have. */
export function findAdminSockets({ socket, config, environment }: SocketChoice): readonly string[] {
  return socket === undefined ? loadConfig({ path: config, environment }).adminSockets : [socket];
}

export interface AdminRequest {
  /** Tried in this order until one is there. */
  readonly sockets: readonly string[];
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: JsonValue;
  /** Milliseconds for the answer, where the hub waits for a device or a server. */
  readonly deadline?: number;
}

/**
 * One request to the hub; null for an answer without a body.
 * @throws {LatchkeyError} `admin_unreachable`, `admin_forbidden`, `admin_answer_too_large`, or the error that the hub answered with
 */
export async function adminRequest({ sockets, method, path, body, deadline }: AdminRequest): Promise<JsonValue> {
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const absent: LatchkeyError[] = [];
  for (const socket of sockets) {
    try {
      const { status, text } = await exchange(
        { socketPath: socket, method, path },
        sent,
        deadline ?? DEADLINE_MILLISECONDS,
      );
      const answer = parseAnswer(text, socket);
      if (status >= 200 && status < 300) return answer;
      throw answeredError(answer, status);
    } catch (error) {
      if (!isNoHub(error)) throw error;
      absent.push(error);
    }
  }
  const places = absent.map((error) => error.detail).join(', ');
  throw new LatchkeyError('admin_unreachable', places, { cause: absent[0]?.cause });
}

/** Nothing listens there. Any other failure may hide a hub that runs. */
const ABSENT: ReadonlySet<unknown> = new Set(['ENOENT', 'ECONNREFUSED']);

/** Whether the error says that no hub runs, so that its state folder is free. */
export function isNoHub(error: unknown): error is LatchkeyError {
  if (!isCoded(error, 'admin_unreachable') || !(error.cause instanceof Error)) return false;
  return 'code' in error.cause && ABSENT.has(error.cause.code);
}

function exchange(
  target: { readonly socketPath: string; readonly method: string; readonly path: string },
  body: string | undefined,
  deadline: number,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      if (isCoded(error)) {
        reject(error);
        return;
      }
      const code = error.code === 'EACCES' ? 'admin_forbidden' : 'admin_unreachable';
      reject(new LatchkeyError(code, `${target.socketPath} (${error.code ?? 'no answer'})`, { cause: error }));
    };
    const headers =
      body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const signal = AbortSignal.timeout(deadline);
    const sent = request({ ...target, headers, signal, agent: false }, (response) => {
      collect(response, target.socketPath).then((text) => resolve({ status: response.statusCode ?? 0, text }), fail);
    });
    sent.on('error', fail);
    sent.end(body);
  });
}

async function collect(response: IncomingMessage, socket: string): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw new LatchkeyError('admin_answer_too_large', socket);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseAnswer(text: string, socket: string): JsonValue {
  if (text === '') return null;
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new LatchkeyError('admin_unreachable', `${socket} is not the socket of a hub`, { cause: error });
  }
}

function answeredError(answer: JsonValue, status: number): LatchkeyError {
  const { code, detail } = isJsonObject(answer) ? answer : { code: undefined, detail: undefined };
  if (typeof code === 'string' && isErrorCode(code)) {
    // It may repeat what a device or an issuer wrote, and is shown inside of a line.
    return new LatchkeyError(code, typeof detail === 'string' ? printable(detail) : undefined);
  }
  return new LatchkeyError('internal', `the hub answered with status ${status} and no known code`);
}
