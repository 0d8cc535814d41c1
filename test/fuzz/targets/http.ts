/** Requests over HTTP: their bytes, JSON and CBOR in their bodies, JSON inside tokens that are signed well. */
import { utf8 } from '../../../src/core/bytes.ts';
import type { HubUnderTest } from '../hub-under-test.ts';
import { exchange } from '../raw-connection.ts';
import type { FuzzTarget } from '../target.ts';

interface Request {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

function bytesOf({ method = 'POST', path, headers = {}, body = new Uint8Array(0) }: Request): Buffer {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'host: hub',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(method === 'GET' ? [] : [`content-length: ${body.length}`]),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]);
}

function basic(password: string): string {
  return `Basic ${Buffer.from(`ekg-1:${password}`).toString('base64')}`;
}

function claims(issuer: HubUnderTest['issuer']): string {
  return issuer.sign({ aud: 'coap://tube-1', scope: 'read', cnf: { jkt: 'A'.repeat(43) } });
}

/** What all targets over HTTP share: an honest request is answered. */
function overHttp(
  test: HubUnderTest,
  parts: Pick<FuzzTarget, 'name' | 'seeds'> & { carry(input: Uint8Array): Buffer },
): FuzzTarget {
  const { hostname, port } = new URL(test.hub.address);
  const to = { host: hostname, port: Number(port) };
  const token = test.issuer.sign({ aud: 'https://ekg-1.ward.example' });
  return {
    name: parts.name,
    seeds: parts.seeds,
    batch: 300,
    parallel: 16,
    async send(input) {
      await exchange(to, parts.carry(input));
    },
    async honest() {
      // The hub closes the connection after its answer, so nothing is waited for.
      const headers = {
        authorization: basic(test.password),
        'content-type': 'application/x-www-form-urlencoded',
        connection: 'close',
      };
      const answer = await exchange(to, bytesOf({ path: '/introspect', headers, body: utf8(`token=${token}`) }), 5_000);
      if (!answer.toString().startsWith('HTTP/1.1 200')) throw new Error(`introspection: ${answer.toString()}`);
    },
    async close() {
      // Each exchange has a connection of its own.
    },
  };
}

export function httpTargets(test: HubUnderTest): readonly FuzzTarget[] {
  const authorization = basic(test.password);
  const form = { authorization, 'content-type': 'application/x-www-form-urlencoded' };
  const token = claims(test.issuer);
  const raw = [
    bytesOf({ method: 'GET', path: '/jwks' }),
    bytesOf({ method: 'GET', path: '/deliveries/0123456789abcdef0123456789abcdef' }),
    bytesOf({
      path: '/introspect',
      headers: form,
      body: utf8(`token=${token}&proof_type=dpop&proof=e30.e30.AA&proof_htm=GET`),
    }),
    bytesOf({ path: '/devices/tube-1/authz-info', headers: { authorization: `DPoP ${token}`, dpop: 'e30.e30.AA' } }),
    bytesOf({
      path: '/devices/tube-1/coap/temperature',
      headers: { 'coap-method': 'FETCH', 'content-type': 'application/cose' },
    }),
    Buffer.from(
      'POST /introspect HTTP/1.1\r\nhost: hub\r\ntransfer-encoding: chunked\r\n\r\n5\r\ntoken\r\n3\r\n=ab\r\n0\r\n\r\n',
    ),
    Buffer.concat(Array.from({ length: 12 }, () => bytesOf({ method: 'GET', path: '/jwks' }))),
  ];
  const cbor = [
    Buffer.from('a10b6161', 'hex'),
    Buffer.from('a30b63616263182165747970657318228201f6', 'hex'),
    Buffer.from('bf0b7f61616162ffff', 'hex'),
    Buffer.from('a20bc24101f93c00fb3ff0000000000000', 'hex'),
  ];
  const json = [
    utf8('{"alg":"ES256","typ":"at+jwt","kid":"static-1"}'),
    utf8(
      '{"alg":"ES256","typ":"at+jwt","kid":"static-1","crit":["b64"],"b64":false,"x":[1,2.5e3,null,{"a":"\\u0061"}]}',
    ),
  ];
  const members = [
    utf8('{"aud":"coap://tube-1","scope":"read","cnf":{"jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}}'),
    utf8('{"aud":["coap://tube-1"],"scope":"read write","exp":1e3,"cnf":{"jwe":"a.b.c.d.e"},"act":{"sub":"x"}}'),
  ];
  const bearer = (jwt: string) =>
    bytesOf({ path: '/devices/tube-1/authz-info', headers: { authorization: `Bearer ${jwt}` } });
  return [
    overHttp(test, { name: 'http', seeds: raw, carry: (input) => Buffer.from(input) }),
    overHttp(test, {
      name: 'cbor',
      seeds: cbor,
      carry: (body) =>
        bytesOf({ path: '/introspect', headers: { authorization, 'content-type': 'application/ace+cbor' }, body }),
    }),
    overHttp(test, {
      name: 'json-header',
      seeds: json,
      carry: (input) => bearer(test.issuer.sign({ aud: 'coap://tube-1' }, Buffer.from(input).toString('latin1'))),
    }),
    overHttp(test, {
      name: 'json-claims',
      seeds: members,
      carry: (input) => bearer(test.issuer.signBytes(input)),
    }),
  ];
}
