/** A body that is made while it is read, no faster than the peer takes it. */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { coded } from '../../src/core/errors.ts';
import type { Log } from '../../src/ports/log.ts';

export function sendText(response: ServerResponse, text: AsyncIterable<string>, log: Log): void {
  pipeline(Readable.from(text), response).catch((error: NodeJS.ErrnoException) => {
    // The peer went away; what it has is short of its end, and it knows.
    if (error.code === 'ERR_STREAM_PREMATURE_CLOSE') return;
    const { code, detail } = coded(error);
    log.error({ event: 'http_text_failed', code, detail }, 'an answer could not be given to its end');
  });
}
