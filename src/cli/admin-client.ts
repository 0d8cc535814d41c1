/** Talks to the running hub over its admin socket: HTTP with JSON bodies, errors as problem details (RFC 9457). */
import { existsSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { loadConfig } from '../config/load.ts';
import { isErrorCode, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonValue } from '../core/json.ts';

/** Where the socket of an installed hub is, as its unit says. */
const SYSTEM_SOCKET = '/run/latchkey/admin.sock';
const DEADLINE_MILLISECONDS = 30_000;
/** 8,192 devices at 500 bytes each. */
const MAX_ANSWER_BYTES = 4_194_304;

export interface SocketChoice {
  readonly socket?: string | undefined;
  readonly config?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The socket asked for, else that of the configuration, else (with neither named) that of an installed hub if it is there. */
export function findAdminSocket({ socket, config, environment }: SocketChoice): string {
  if (socket !== undefined) return socket;
  const configured = loadConfig({ path: config, environment }).config.admin.socket;
  if (config !== undefined || existsSync(configured)) return configured;
  return existsSync(SYSTEM_SOCKET) ? SYSTEM_SOCKET : configured;
}

export interface AdminRequest {
  readonly socket: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: JsonValue;
}

/**
 * One request to the hub; null for an answer without a body.
 * @throws {LatchkeyError} `admin_unreachable`, or the error that the hub answered with
 */
export async function adminRequest({ socket, method, path, body }: AdminRequest): Promise<JsonValue> {
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const { status, text } = await exchange({ socketPath: socket, method, path }, sent);
  const answer = parseAnswer(text, socket);
  if (status >= 200 && status < 300) return answer;
  throw answeredError(answer, status);
}

function exchange(
  target: { readonly socketPath: string; readonly method: string; readonly path: string },
  body: string | undefined,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      const detail = `${target.socketPath} (${error.code ?? 'no answer'})`;
      reject(new LatchkeyError('admin_unreachable', detail, { cause: error }));
    };
    const headers =
      body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const signal = AbortSignal.timeout(DEADLINE_MILLISECONDS);
    const sent = request({ ...target, headers, signal, agent: false }, (response) => {
      collect(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), fail);
    });
    sent.on('error', fail);
    sent.end(body);
  });
}

async function collect(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw new Error('the answer is too large');
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
    return new LatchkeyError(code, typeof detail === 'string' ? detail : undefined);
  }
  return new LatchkeyError('internal', `the hub answered with status ${status} and no known code`);
}
