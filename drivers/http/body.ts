import type { IncomingMessage } from 'node:http';
import { EMPTY } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';

/**
 * Checks what is declared, before any of the body is read. A body in chunks is refused (RFC 9112 §6.3): each chunk of one
 * byte is an event and a buffer of its own, and its length is known at its end. No client of the hub needs them.
 * @param most bytes; 0 where no body is taken
 * @returns the bytes to come
 * @throws {LatchkeyError} `length_required`, `request_too_large`, `request_invalid`
 */
export function announcedBody(incoming: IncomingMessage, most: number): number {
  if (isInChunks(incoming)) throw new LatchkeyError('length_required');
  const declared = declaredLength(incoming);
  if (declared > 0 && most === 0) throw new LatchkeyError('request_invalid', 'no body is taken here');
  if (declared > most) throw new LatchkeyError('request_too_large');
  return declared;
}

/**
 * The whole body, of as many bytes as were announced. They are copied into one buffer, so no fragment is held.
 * Listens instead of iterating: leaving a `for await` early destroys the socket, and the sender would see a reset in
 * place of its answer.
 * @throws {LatchkeyError} `request_invalid`
 */
export async function readBody(incoming: IncomingMessage, announced: number): Promise<Uint8Array> {
  if (announced === 0) return EMPTY;
  return await new Promise((resolve, reject) => {
    const body = Buffer.allocUnsafeSlow(announced);
    let fragments = LIMITS.httpBodyFragments + announced / LIMITS.httpBodyFragmentBytes;
    let length = 0;
    const gone = (cause?: Error) => {
      // The end of a message that was read is followed by the same event.
      if (!incoming.readableEnded) reject(new LatchkeyError('request_invalid', 'the sender went away', { cause }));
    };
    incoming.on('data', (chunk: Buffer) => {
      fragments -= 1;
      if (fragments < 0) reject(new LatchkeyError('request_invalid', 'the body comes in too many fragments'));
      else length += chunk.copy(body, length);
    });
    incoming.once('end', () => resolve(body.subarray(0, length)));
    incoming.once('close', () => gone());
    incoming.once('error', gone);
  });
}

/**
 * Whether more is still to come than is worth reading for the sake of the connection. A little is read and dropped, so
 * that the sender gets to its answer; the connection is closed on the rest.
 */
export function hasMuchLeft(incoming: IncomingMessage): boolean {
  return !incoming.complete && (isInChunks(incoming) || declaredLength(incoming) > LIMITS.httpDroppedBytes);
}

export function isInChunks({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined;
}

/** Bytes by Content-Length, which node has checked (RFC 9112 §6.3). */
function declaredLength({ headers }: IncomingMessage): number {
  return Number(headers['content-length'] ?? 0);
}
