/**
 * The small HTTP server of a connected device, as docs/protocol.md has it under "A device's own HTTP face": its clients show
 * it their tokens here, and talk to it under the key that comes of it. Parses and prints; the device decides.
 */
import type { Random } from '../../src/core/clock.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { Secret } from '../../src/core/secret.ts';
import type { Log } from '../../src/ports/log.ts';
import type { HttpAnswer } from './http-answer.ts';
import { presentedToken } from './northbound.ts';
import { type HttpRequest, HttpServer } from './server.ts';

/** What a device does with what its clients bring. */
interface DeviceFace {
  /** The newest nonce for proofs. */
  nonce(): string;
  /** @throws {LatchkeyError} why the client is refused */
  present(presented: {
    readonly token: Secret<string>;
    readonly proof: Secret<string>;
    readonly method: string;
    readonly uri: string;
  }): Promise<{
    readonly keyId: string;
    readonly expiresAt: number;
    /** The client's copy of the key, sealed for it: a compact JWE. */
    readonly copy: string;
  }>;
  /** The sealed answer to a sealed message. @throws {LatchkeyError} `session_*`, `cose_*`, `cbor_*` */
  message(keyId: string, sealed: Uint8Array): Uint8Array;
}

interface DeviceFaceOptions {
  readonly host: string;
  /** 0 for a free one. */
  readonly port: number;
  readonly face: DeviceFace;
  readonly random: Random;
  readonly log: Log;
}

const ENCRYPT0_TYPE = 'application/cose; cose-type="cose-encrypt0"';
const IS_ENCRYPT0 = /^application\/cose\s*;\s*cose-type\s*=\s*"?cose-encrypt0"?\s*$/i;
const STOP_GRACE = 1_000;

/** @throws {LatchkeyError} `address_unavailable` */
export async function serveDeviceFace(
  options: DeviceFaceOptions,
): Promise<{ readonly address: string; close(): Promise<void> }> {
  const { face, host, log, port, random } = options;
  let origin = '';
  const present = async (request: HttpRequest): Promise<HttpAnswer> => {
    const { proof, scheme, token } = presentedToken(request, []);
    if (scheme !== 'DPoP' || proof === undefined) throw new LatchkeyError('proof_missing');
    const { copy, expiresAt, keyId } = await face.present({
      token,
      proof,
      method: request.method,
      // Never by the Host header, which the sender of the request chooses.
      uri: origin + request.url,
    });
    return {
      status: 201,
      headers: { location: `/sessions/${encodeURIComponent(keyId)}`, 'dpop-nonce': face.nonce() },
      body: { session_key: copy, exp: expiresAt },
    };
  };
  const message = async ({ body, headers, parameters }: HttpRequest): Promise<HttpAnswer> => {
    const [type = ''] = headers['content-type'] ?? [];
    if (!IS_ENCRYPT0.test(type)) throw new LatchkeyError('media_type_refused');
    const answer = face.message(parameters.key ?? '', body);
    return { status: 200, headers: { 'content-type': ENCRYPT0_TYPE }, body: answer };
  };
  const onRefusal = () => ({ 'dpop-nonce': face.nonce() });
  const server = new HttpServer({
    routes: [
      { method: 'POST', path: '/readings', onRefusal, handle: present },
      { method: 'POST', path: '/sessions/:key', onRefusal, bodyBytes: LIMITS.proxyBodyBytes, handle: message },
    ],
    log,
    random,
    connections: { overall: LIMITS.httpConnections, perNetwork: LIMITS.httpConnectionsPerNetwork },
  });
  origin = `http://${host.includes(':') ? `[${host}]` : host}:${await listen(server, host, port)}`;
  return { address: origin, close: () => server.close(STOP_GRACE) };
}

async function listen(server: HttpServer, host: string, port: number): Promise<number> {
  try {
    return await server.listen({ host, port });
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'failed';
    throw new LatchkeyError('address_unavailable', `${host}:${port} (${reason})`, { cause: error });
  }
}
