/** CWTs that the built hub makes of a JWT: `latchkey token translate --json`, for every wrap. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { importJwk } from '../../../src/codec/cose/key.ts';
import { encodeClaims, openCwt } from '../../../src/codec/cwt.ts';
import { fromHex, hex } from '../../../src/core/bytes.ts';
import type { Wrap, WrapAlgorithm } from '../../../src/core/device-profile.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import type { InteropCase } from './exchange.ts';
import { interopKeys, publicPart } from './our-cases.ts';

const ISSUER = 'https://as.example.com';
const AUDIENCE = 'coap://tube-1';
const run = promisify(execFile);

const WRAPS: readonly (readonly [Wrap, WrapAlgorithm, WrapAlgorithm?])[] = [
  ['sign1', 'ES256'],
  ['sign1', 'EdDSA'],
  ['mac0', 'HMAC 256/64'],
  ['mac0', 'HMAC 256/256'],
  ['encrypt0', 'AES-CCM-16-64-128'],
  ['encrypt0', 'A128GCM'],
  ['sign1+encrypt0', 'ES256', 'AES-CCM-16-64-128'],
  ['mac0+encrypt0', 'HMAC 256/64', 'A128GCM'],
];

async function writeToken(folder: string): Promise<{ readonly token: string; readonly jwks: string }> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const { publicKey: client } = await generateKeyPair('ES256');
  const jwt = await new SignJWT({
    scope: 'read',
    client_id: 'app',
    cnf: { jwk: await exportJWK(client) },
    jti: 'interop',
    iat: 1_700_000_000,
    exp: 4_102_444_800,
  })
    .setProtectedHeader({ alg: 'ES256', kid: 'as', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setSubject('doctor')
    .setAudience(AUDIENCE)
    .sign(privateKey);
  const files = { token: join(folder, 'token.jwt'), jwks: join(folder, 'jwks.json') };
  writeFileSync(files.token, jwt);
  writeFileSync(files.jwks, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'as', alg: 'ES256' }] }));
  return files;
}

function lastByteChanged(text: string): Uint8Array {
  const bytes = fromHex(text);
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  return bytes;
}

export async function hubCases(folder: string, hub: string): Promise<readonly InteropCase[]> {
  const { token, jwks } = await writeToken(folder);
  const { making } = interopKeys();
  const cases: InteropCase[] = [];
  for (const [wrap, first, second] of WRAPS) {
    for (const claims of ['slim', 'full'] as const) {
      const profile = join(folder, 'profile.json');
      const key = making[first] ?? {};
      const encryption: JsonObject = second === undefined ? {} : { encryptionKey: making[second] ?? {} };
      writeFileSync(
        profile,
        JSON.stringify({ wrap, key, ...encryption, scopes: ['read'], claims, cwtTag: claims === 'full' }),
      );
      const command = [hub, 'token', 'translate', '--jwks', jwks, '--issuer', ISSUER, '--audience', AUDIENCE];
      const { stdout } = await run(process.execPath, [
        ...command,
        '--profile',
        profile,
        '--now',
        '1700000100',
        '--json',
        token,
      ]);
      const { cwt } = JSON.parse(stdout) as { readonly cwt: string };
      const keys = [first, ...(second === undefined ? [] : [second])].map((name) => publicPart(making[name] ?? {}));
      const name = `token translate to ${wrap} with ${[first, second].filter(Boolean).join(' in ')}, ${claims} claims`;
      const opened = openCwt(fromHex(cwt), { keys: keys.map((jwk) => importJwk(jwk)) });
      const sample = { kind: 'cwt', keys, claims: hex(encodeClaims(opened.claims)), wrap } as const;
      cases.push({ ...sample, name, cwt, expect: 'open' });
      cases.push({ ...sample, name: `${name}, last byte changed`, cwt: hex(lastByteChanged(cwt)), expect: 'refuse' });
    }
  }
  return cases;
}
