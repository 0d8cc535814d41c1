import type { IncomingMessage } from 'node:http';
import { EMPTY } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';

/**
 * The whole body, of `most` bytes; 0 where none is taken. What is declared larger is refused before any of it is read.
 * Listens instead of iterating: leaving a `for await` early destroys the socket, and the sender would see a reset in
 * place of its 413.
 * @throws {LatchkeyError} `request_too_large`, `request_invalid`
 */
export async function readBody(incoming: IncomingMessage, most: number): Promise<Uint8Array> {
  const declared = declaredLength(incoming);
  if (declared === 0) return EMPTY;
  if (most === 0) throw new LatchkeyError('request_invalid', 'no body is taken here');
  if (declared !== undefined && declared > most) throw new LatchkeyError('request_too_large');
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const gone = (cause?: Error) => {
      // The end of a message that was read is followed by the same event.
      if (!incoming.readableEnded) reject(new LatchkeyError('request_invalid', 'the sender went away', { cause }));
    };
    incoming.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= most) chunks.push(chunk);
      else reject(new LatchkeyError('request_too_large'));
    });
    incoming.once('end', () => resolve(Buffer.concat(chunks)));
    incoming.once('close', () => gone());
    incoming.once('error', gone);
  });
}

/** Bytes that the body may take in memory: as many as are declared, or the most that is read. */
export function bodyRoom(incoming: IncomingMessage, most: number): number {
  return Math.min(declaredLength(incoming) ?? most, most);
}

/**
 * Whether more is still to come than is worth reading for the sake of the connection. A little is read and dropped, so
 * that the sender gets to its answer; the connection is closed on the rest.
 */
export function hasMuchLeft(incoming: IncomingMessage): boolean {
  if (incoming.complete) return false;
  const declared = declaredLength(incoming);
  return declared === undefined || declared > LIMITS.httpDroppedBytes;
}

/** Bytes by Content-Length, which node has checked (RFC 9112 §6.3); undefined for a body in chunks. */
function declaredLength({ headers }: IncomingMessage): number | undefined {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : undefined;
}
