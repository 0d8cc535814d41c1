// Stands in for an OAuth server where there is none: a key set, and one access token for the device coap://tube-1, or
// for the audience given, bound to the key of its client (RFC 7800). Writes jwks.json, token.jwt and client.jwk into the
// folder given.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

const [, , folder = '.', audience = 'coap://tube-1'] = process.argv;
const issuer = await generateKeyPair('ES256');
const client = await generateKeyPair('ES256', { extractable: true });
const token = await new SignJWT({ scope: 'read', cnf: { jwk: await exportJWK(client.publicKey) } })
  .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
  .setIssuer('https://as.example')
  .setAudience(audience)
  .setIssuedAt()
  .setExpirationTime('1h')
  .sign(issuer.privateKey);

const write = (name, content) => writeFileSync(join(folder, name), content, { mode: 0o600 });
write('jwks.json', JSON.stringify({ keys: [await exportJWK(issuer.publicKey)] }));
write('client.jwk', JSON.stringify(await exportJWK(client.privateKey)));
write('token.jwt', token);
