/** The Basic scheme (RFC 7617) as OAuth clients use it (RFC 6749 §2.3.1): user and password are form-encoded inside. */
import { decodeFormText } from '../../src/codec/form.ts';
import { fromUtf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';

/** An id and a secret of ours take 110 characters; percent-encoded to the last one, three times as many. */
const MAX_CHARACTERS = 512;
const HEADER = /^Basic +([A-Za-z0-9+/]+={0,2})$/i;

/**
 * User and password of an Authorization header. Characters that devices' ids and secrets are made of mean the same with
 * and without the encoding that OAuth asks for, so clients that leave it out are understood as well.
 * @throws {LatchkeyError} `device_unauthenticated` for anything else than Basic in its form
 */
export function basicCredentials(authorization: string): { readonly device: string; readonly secret: Secret<string> } {
  const encoded = authorization.length > MAX_CHARACTERS ? undefined : HEADER.exec(authorization)?.[1];
  if (encoded === undefined) throw new LatchkeyError('device_unauthenticated', 'not the Basic scheme');
  try {
    const text = fromUtf8(Buffer.from(encoded, 'base64'));
    const at = text.indexOf(':');
    return {
      device: decodeFormText(text.slice(0, Math.max(at, 0))),
      secret: new Secret(decodeFormText(text.slice(at + 1))),
    };
  } catch {
    // Whatever is wrong inside, the answer is that of a wrong password.
    throw new LatchkeyError('device_unauthenticated', 'not an id and a secret');
  }
}
