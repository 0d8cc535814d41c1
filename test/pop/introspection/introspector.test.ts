import { describe, expect, test } from 'vitest';
import { LatchkeyError } from '../../../src/core/errors.ts';
import type { JsonValue } from '../../../src/core/json.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { clientAuthentication } from '../../../src/pop/introspection/client-authentication.ts';
import type { PostedAnswer } from '../../../src/ports/authorization-server.ts';
import { active, answer, introspectorRig, json, TOKEN } from '../../fixtures/introspector-rig.ts';
import { rejection } from '../../fixtures/key-cache-rig.ts';

const deep = (levels: number): JsonValue => (levels === 0 ? 1 : [deep(levels - 1)]);

const GONE = new LatchkeyError('as_unreachable');

describe('a question', () => {
  test('is a form with the token and the credentials of the hub (RFC 7662 §2.1)', async () => {
    const { ask, server } = introspectorRig();
    await ask('a/b+c');
    expect(server.requests).toMatchObject([
      {
        url: 'https://as.example/introspect',
        body: 'token=a%2Fb%2Bc&token_type_hint=access_token',
        deadline: 5_000,
        maxBytes: LIMITS.introspectionAnswerBytes,
        headers: {
          accept: 'application/token-introspection+jwt, application/json;q=0.9',
          'content-type': 'application/x-www-form-urlencoded',
          authorization: `Basic ${btoa('latchkey-hub:s3cret')}`,
        },
      },
    ]);
  });

  test('asks for a signed answer alone where one is required (RFC 9701 §4)', async () => {
    const { ask, server } = introspectorRig({ signing: 'required' });
    await rejection(ask());
    expect(server.requests[0]?.headers.accept).toBe('application/token-introspection+jwt');
  });

  test('of a client with a certificate goes to the address for those (RFC 8705 §5)', async () => {
    const addresses = { endpoint: 'https://as.example/i', certificateEndpoint: 'https://mtls.as.example/i' };
    const settings = { method: 'tls_client_auth', clientId: 'hub' } as const;
    const authentication = clientAuthentication(settings, 'https://as.example');
    const { ask, server } = introspectorRig({ authentication, addresses: async () => addresses });
    await ask();
    expect(server.requests[0]).toMatchObject({ url: 'https://mtls.as.example/i' });
    expect(server.requests[0]?.body).toContain('&client_id=hub');
  });

  test('is not asked where no address is known', async () => {
    const { ask, server } = introspectorRig({
      addresses: async () => ({ endpoint: undefined, certificateEndpoint: undefined }),
    });
    expect(await rejection(ask())).toBe('introspection_unavailable');
    expect(server.requests).toHaveLength(0);
  });

  test('fails for the reason that its address is not known for, which does not count against it', async () => {
    const { introspector, ask } = introspectorRig({
      addresses: () => Promise.reject(new LatchkeyError('as_unreachable')),
      known: () => undefined,
    });
    for (let round = 0; round < 6; round += 1) expect(await rejection(ask())).toBe('as_unreachable');
    expect(introspector.status()).toMatchObject({ state: 'ready', failures: 0, endpoint: 'unknown' });
  });

  test('has an endpoint for the way of authentication of the hub, or none', () => {
    const known = () => ({ endpoint: 'https://as.example/i', certificateEndpoint: undefined });
    const byCertificate = clientAuthentication({ method: 'tls_client_auth', clientId: 'hub' }, 'https://as.example');
    expect(introspectorRig({ known }).introspector.status().endpoint).toBe('known');
    const { introspector } = introspectorRig({ known, authentication: byCertificate });
    expect(introspector.status().endpoint).toBe('none');
  });

  test('is asked a second time over a dead connection, with what is left of the time', async () => {
    const { ask, server, time } = introspectorRig();
    const fail = async () => {
      await time.advance(2_000);
      throw GONE;
    };
    server.react = () => (server.requests.length > 1 ? json(active()) : fail());
    expect(await ask()).toMatchObject({ active: true });
    expect(server.requests.map(({ deadline }) => deadline)).toEqual([5_000, 3_000]);
  });

  test.each(['as_timeout', 'as_tls_untrusted', 'as_redirected'] as const)(
    'is not asked a second time after %s',
    async (code) => {
      const { ask, server } = introspectorRig();
      server.react = () => new LatchkeyError(code);
      expect(await rejection(ask())).toBe(code);
      expect(server.requests).toHaveLength(1);
    },
  );

  test('is asked no more than twice', async () => {
    const { ask, server } = introspectorRig();
    server.react = () => GONE;
    expect(await rejection(ask())).toBe('as_unreachable');
    expect(server.requests).toHaveLength(2);
  });

  test('about something that is no token is not asked', async () => {
    const { ask, server } = introspectorRig();
    expect(await rejection(ask('a\nb'))).toBe('request_invalid');
    expect(server.requests).toHaveLength(0);
  });
});

describe('an answer', () => {
  test('that the token is active tells all about it', async () => {
    const { ask, server } = introspectorRig();
    const members = active({ sub: 'doctor-7', scope: 'read', client_id: 'app', cnf: { kid: 'k1' } });
    server.react = () => json(members);
    expect(await ask()).toEqual({
      active: true,
      members,
      subject: 'doctor-7',
      scope: ['read'],
      clientId: 'app',
      audience: ['https://ekg-1.example'],
      expiresAt: members.exp,
      confirmation: { kid: 'k1' },
      confirmationKey: undefined,
      evidence: undefined,
      freshness: { source: 'introspection', age: 0, stale: false },
    });
  });

  test('that it is not active says nothing else', async () => {
    const { ask } = introspectorRig();
    expect(await ask()).toEqual({
      active: false,
      code: 'token_inactive',
      evidence: undefined,
      freshness: { source: 'introspection', age: 0, stale: false },
    });
  });

  test.each([
    ['an end that is past', { exp: 1_700_000_000 }, 'jwt_expired'],
    ['a begin that is ahead', { nbf: 1_700_000_061 }, 'jwt_not_yet_valid'],
    ['an issue that is ahead', { iat: 1_700_000_061 }, 'jwt_issued_in_future'],
  ])('with %s counts as inactive, whatever it says', async (_, members, code) => {
    const { ask, server } = introspectorRig();
    server.react = () => json(active(members));
    expect(await ask()).toMatchObject({ active: false, code });
  });

  test('with an end is no verdict while the time is not known', async () => {
    const { ask, server, time } = introspectorRig();
    server.react = () => json(active());
    time.forgetLatest();
    expect(await rejection(ask())).toBe('clock_unsure');
  });

  test('with an end is one all the same where the operator allows it', async () => {
    const { ask, server, time } = introspectorRig({ whenUnsure: 'allow' });
    server.react = () => json(active());
    time.forgetLatest();
    expect(await ask()).toMatchObject({ active: true });
  });

  test('in JSON may have parameters in its media type', async () => {
    const { ask, server } = introspectorRig();
    server.react = () => json(active(), { contentType: 'Application/JSON; charset=utf-8' });
    expect(await ask()).toMatchObject({ active: true });
  });

  const json200 = JSON.stringify(active());
  const REFUSED: readonly (readonly [string, PostedAnswer, string])[] = [
    ['in HTML', answer('<html>', { contentType: 'text/html' }), 'introspection_answer_invalid'],
    ['without media type', answer(json200, { contentType: undefined }), 'introspection_answer_invalid'],
    ['that is not JSON', answer('active'), 'introspection_answer_invalid'],
    ['that is a list', answer('[true]'), 'introspection_answer_invalid'],
    ['with a member twice', answer('{"active":false,"active":true}'), 'introspection_answer_invalid'],
    ['of bytes that are no text', answer('', { body: new Uint8Array([0xff]) }), 'introspection_answer_invalid'],
    ['with status 500', answer('', { status: 500 }), 'as_answer_refused'],
    ['with status 204', answer('', { status: 204 }), 'as_answer_refused'],
    ['with status 304', answer('', { status: 304 }), 'as_answer_refused'],
    ['with status 429', answer('', { status: 429 }), 'as_busy'],
    ['with status 503', answer('', { status: 503 }), 'as_answer_refused'],
    ['with status 503 and Retry-After', answer('', { status: 503, retryAfter: '9' }), 'as_busy'],
    ['with status 400', answer('{"error":"unsupported_token_type"}', { status: 400 }), 'introspection_refused'],
    ['with status 404', answer('', { status: 404 }), 'introspection_refused'],
    ['with status 401', answer('{"error":"invalid_client"}', { status: 401 }), 'introspection_client_refused'],
    [
      'that is called signed and is not',
      answer(json200, { contentType: 'application/token-introspection+jwt' }),
      'introspection_answer_untrusted',
    ],
  ];

  test.each(REFUSED)('%s is refused', async (_, reaction, code) => {
    const { ask, server } = introspectorRig();
    server.react = () => reaction;
    expect(await rejection(ask())).toBe(code);
  });

  test('without signature is refused where one is required', async () => {
    const { ask, server } = introspectorRig({ signing: 'required' });
    server.react = () => json(active());
    expect(await rejection(ask())).toBe('introspection_answer_untrusted');
  });

  test('names the error of the server, unless it is more than a name', async () => {
    const { ask, server } = introspectorRig();
    server.react = () => answer('{"error":"invalid_client"}', { status: 401 });
    await expect(ask()).rejects.toMatchObject({ detail: 'status 401 invalid_client' });
    server.react = () => answer('{"error":"<script>"}', { status: 401 });
    await expect(ask()).rejects.toMatchObject({ detail: 'status 401' });
  });
});

describe('an answer that is remembered', () => {
  test('serves for a minute, and says how old it is', async () => {
    const { ask, server, time } = introspectorRig();
    server.react = () => json(active());
    await ask();
    await time.advance(59_999);
    expect(await ask()).toMatchObject({ active: true, freshness: { age: 59, stale: false } });
    expect(server.requests).toHaveLength(1);
    await time.advance(1);
    expect(await ask()).toMatchObject({ freshness: { age: 0 } });
    expect(server.requests).toHaveLength(2);
  });

  test.each([
    ['shorter', 'max-age=10', 10],
    ['not longer', 'public, max-age=600', 60],
    ['not at all', 'max-age=0', 0],
    ['as if it said nothing, by the no-store of every OAuth answer', 'no-store, max-age=0', 60],
  ])('serves %s, as the AS says', async (_, cacheControl, seconds) => {
    const { ask, server, time } = introspectorRig();
    server.react = () => json(active(), { cacheControl });
    await ask();
    if (seconds > 0) {
      await time.advance(seconds * 1_000 - 1);
      await ask();
    }
    expect(server.requests).toHaveLength(1);
    await time.advance(1);
    await ask();
    expect(server.requests).toHaveLength(2);
  });

  test('was in caches for a while, which counts', async () => {
    const { ask, server, time } = introspectorRig();
    server.react = () => json(active(), { cacheControl: 'max-age=10', age: 4 });
    await ask();
    await time.advance(6_000);
    await ask();
    expect(server.requests).toHaveLength(2);
  });

  test('never serves past the end of the token, and the AS is not asked about that', async () => {
    const { ask, server, time } = introspectorRig();
    server.react = () => json(active({ exp: 1_700_000_030 }));
    expect(await ask()).toMatchObject({ active: true });
    await time.advance(30_000);
    expect(await ask()).toMatchObject({ active: false, code: 'jwt_expired' });
    await time.advance(60_000);
    expect(await ask()).toMatchObject({ active: false, code: 'jwt_expired' });
    expect(server.requests).toHaveLength(1);
  });

  test('serves five seconds if it is negative', async () => {
    const { ask, server, time } = introspectorRig();
    await ask();
    await time.advance(4_999);
    expect(await ask()).toMatchObject({ active: false, freshness: { age: 4 } });
    expect(server.requests).toHaveLength(1);
    await time.advance(1);
    server.react = () => json(active());
    expect(await ask()).toMatchObject({ active: true });
    expect(await ask()).toMatchObject({ active: true });
    expect(server.requests).toHaveLength(2);
  });

  test('is of one token', async () => {
    const { ask, server } = introspectorRig();
    server.react = ({ body }) => json(body.startsWith('token=good') ? active() : { active: false });
    expect(await ask('good')).toMatchObject({ active: true });
    expect(await ask('bad')).toMatchObject({ active: false });
    expect(await ask('good')).toMatchObject({ active: true });
    expect(server.requests).toHaveLength(2);
  });

  test('is not made of an answer that was refused', async () => {
    const { ask, server } = introspectorRig();
    server.react = () => json(active({ exp: 'never' }));
    expect(await rejection(ask())).toBe('introspection_answer_invalid');
    expect(await rejection(ask())).toBe('introspection_answer_invalid');
    expect(server.requests).toHaveLength(2);
  });

  test('holds no token', async () => {
    const { ask, introspector } = introspectorRig();
    await ask('canary-4711');
    expect(introspector.status()).toMatchObject({ verdicts: 1, asking: 0 });
    expect(JSON.stringify(introspector)).not.toContain('canary-4711');
  });
});

describe('an answer that is of no use any more', () => {
  test.each([
    [0, 2, 4],
    [60, 2, 124],
    [0, 60, 120],
  ])(
    'is forgotten: with a grace of %i s and a lifetime of %i s, after %i s at most',
    async (staleGrace, lifetime, gone) => {
      const { ask, introspector, server, time } = introspectorRig({ lifetime, staleGrace });
      server.react = () => json(active());
      for (let token = 0; token < 4_000; token += 1) await ask(`token-${token}`);
      server.react = () => json({ active: false });
      for (let token = 0; token < 1_000; token += 1) await ask(`unknown-${token}`);
      await time.advance((lifetime + staleGrace) * 1_000 - 1);
      expect(introspector.status().verdicts).toBeGreaterThanOrEqual(4_000);
      await time.advance(gone * 1_000 - (lifetime + staleGrace) * 1_000 + 1);
      await time.advance(8_000);
      expect(introspector.status().verdicts).toBe(0);
      expect(time.pendingTimers).toBe(0);
    },
  );

  test("is kept while the operator's grace can use it", async () => {
    const { ask, server, time } = introspectorRig({ lifetime: 2, staleGrace: 300 });
    server.react = () => json(active());
    await ask();
    server.react = () => GONE;
    await time.advance(299_000);
    expect(await ask()).toMatchObject({ active: true, freshness: { age: 299, stale: true } });
  });

  test('leaves no timer behind when the hub stops', async () => {
    const { ask, introspector, server, time } = introspectorRig();
    server.react = () => json(active());
    await ask();
    await introspector.close();
    expect(time.pendingTimers).toBe(0);
  });
});

describe('many who ask about one token', () => {
  test('cause one question', async () => {
    const { ask, server, introspector } = introspectorRig();
    let give: (answer: PostedAnswer) => void = () => undefined;
    server.react = () => new Promise((resolve) => (give = resolve));
    const asking = Array.from({ length: 1_000 }, () => ask());
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(introspector.status().asking).toBe(1);
    give(json(active()));
    expect((await Promise.all(asking)).every(({ active }) => active)).toBe(true);
    expect(server.requests).toHaveLength(1);
  });

  test('all learn of its failure, and the next one asks anew', async () => {
    const { ask, server } = introspectorRig();
    server.react = () => new LatchkeyError('as_timeout');
    expect(await Promise.all([rejection(ask()), rejection(ask())])).toEqual(['as_timeout', 'as_timeout']);
    expect(server.requests).toHaveLength(1);
    server.react = () => json(active());
    expect(await ask()).toMatchObject({ active: true });
  });
});

describe('more questions at once are refused', () => {
  async function under(way: number, perDevice: number) {
    const { ask, server } = introspectorRig();
    const give: ((answer: PostedAnswer) => void)[] = [];
    server.react = () => new Promise((resolve) => give.push(resolve));
    const device = (index: number) => `ekg-${Math.floor(index / perDevice)}`;
    const asking = Array.from({ length: way }, (_, index) => ask(`token-${index}`, device(index)));
    const end = async () => {
      for (const answerOne of give) answerOne(json({ active: false }));
      await Promise.all(asking);
      server.react = () => json({ active: false });
    };
    return { ask, end };
  }

  test('than the limit', async () => {
    const { ask, end } = await under(LIMITS.introspectionsAtOnce, LIMITS.introspectionsPerDevice);
    expect(await rejection(ask('one-more', 'pump-1'))).toBe('introspection_overloaded');
    await end();
    expect(await ask('one-more', 'pump-1')).toMatchObject({ active: false });
  });

  test('than the share of the device that wants to know, and others have theirs', async () => {
    const { ask, end } = await under(LIMITS.introspectionsPerDevice, LIMITS.introspectionsPerDevice);
    expect(await rejection(ask('one-more', 'ekg-0'))).toBe('introspection_overloaded');
    const [ofOther, joined] = [ask('one-more', 'ekg-1'), ask('token-0', 'ekg-0')];
    await end();
    expect(await joined).toMatchObject({ active: false });
    expect(await ask('two-more', 'ekg-0')).toMatchObject({ active: false });
    void ofOther;
  });
});

describe('while the AS cannot be asked', () => {
  test('there is no verdict, unless the operator allows it', async () => {
    const { ask, server, time } = introspectorRig();
    server.react = () => json(active());
    await ask();
    server.react = () => GONE;
    await time.advance(60_000);
    expect(await rejection(ask())).toBe('as_unreachable');
  });

  test('an old verdict serves inside the grace, marked as stale, with its age', async () => {
    const { ask, server, time } = introspectorRig({ staleGrace: 30 });
    server.react = () => json(active());
    await ask();
    server.react = () => GONE;
    await time.advance(75_000);
    expect(await ask()).toMatchObject({ active: true, freshness: { age: 75, stale: true } });
    await time.advance(15_000);
    expect(await rejection(ask())).toBe('as_unreachable');
  });

  test('a verdict that the AS did not want to be kept serves inside the grace too', async () => {
    const { ask, server, time } = introspectorRig({ staleGrace: 30, lifetime: 0 });
    server.react = () => json(active());
    await ask();
    server.react = () => GONE;
    await time.advance(29_000);
    expect(await ask()).toMatchObject({ active: true, freshness: { age: 29, stale: true } });
  });

  test('an old verdict never serves past the end of the token', async () => {
    const { ask, server, time } = introspectorRig({ staleGrace: 3_600 });
    server.react = () => json(active({ exp: 1_700_000_090 }));
    await ask();
    server.react = () => GONE;
    await time.advance(89_000);
    expect(await ask()).toMatchObject({ active: true, freshness: { stale: true } });
    await time.advance(1_000);
    expect(await ask()).toMatchObject({ active: false, code: 'jwt_expired' });
  });

  test('a token of which the AS said that it is revoked does not come back', async () => {
    const { ask, server, time } = introspectorRig({ staleGrace: 3_600 });
    server.react = () => json(active());
    await ask();
    await time.advance(60_000);
    server.react = () => json({ active: false });
    expect(await ask()).toMatchObject({ active: false });
    await time.advance(5_000);
    server.react = () => GONE;
    expect(await rejection(ask())).toBe('as_unreachable');
  });

  test.each([
    'as_answer_too_large',
    'introspection_answer_untrusted',
    'introspection_answer_invalid',
    'introspection_refused',
    'introspection_client_refused',
    'introspection_overloaded',
    'as_busy',
    'descriptors_exhausted',
  ] as const)('%s is no reason for an old verdict', async (code) => {
    const { ask, server, time } = introspectorRig({ staleGrace: 3_600 });
    server.react = () => json(active());
    await ask();
    await time.advance(60_000);
    server.react = () => new LatchkeyError(code);
    expect(await rejection(ask())).toBe(code);
  });
});

describe('after failures for five tokens in a row', () => {
  test('of one token alone, however often, there is no pause, and no old verdict of another serves', async () => {
    const { ask, introspector, server, time } = introspectorRig({ staleGrace: 3_600 });
    let revoked = false;
    server.react = ({ body }) => {
      if (body.includes('evil')) return new LatchkeyError('as_timeout');
      return json(revoked ? { active: false } : active());
    };
    await ask('stolen');
    revoked = true;
    await time.advance(60_000);
    for (let failure = 0; failure < 20; failure++) expect(await rejection(ask('evil'))).toBe('as_timeout');
    expect(introspector.status()).toMatchObject({ state: 'ready', failures: 1 });
    expect(await ask('stolen')).toMatchObject({ active: false });
  });

  test('the AS is given a pause, and asked again after it', async () => {
    const { ask, server, time, introspector, log } = introspectorRig();
    server.react = () => new LatchkeyError('as_timeout');
    for (let failure = 0; failure < 5; failure++) await rejection(ask(`other-${failure}`));
    expect(await rejection(ask())).toBe('introspection_suspended');
    expect(server.requests).toHaveLength(5);
    expect(introspector.status()).toMatchObject({ state: 'suspended', lastError: 'as_timeout', retryIn: 1 });
    await time.advance(1_000);
    server.react = () => json(active());
    expect(await ask()).toMatchObject({ active: true });
    expect(introspector.status()).toMatchObject({ state: 'ready', lastError: undefined });
    expect(log.events()).toEqual(['introspection_suspended', 'introspection_resumed']);
    expect(log.lines[0]?.fields.issuer).toBe('https://as.example');
  });

  test('not even its address is looked for while it has its pause', async () => {
    let lookups = 0;
    const addresses = async () => {
      lookups += 1;
      return { endpoint: 'https://as.example/i', certificateEndpoint: undefined };
    };
    const { ask, server } = introspectorRig({ addresses });
    server.react = () => new LatchkeyError('as_timeout');
    for (let failure = 0; failure < 5; failure++) await rejection(ask(`other-${failure}`));
    expect(await rejection(ask())).toBe('introspection_suspended');
    expect(lookups).toBe(5);
  });

  test('verdicts that are remembered serve on, then as stale ones', async () => {
    const { ask, server, time } = introspectorRig({ staleGrace: 3_600 });
    server.react = () => json(active());
    await ask();
    server.react = () => new LatchkeyError('as_timeout');
    for (let failure = 0; failure < 5; failure++) await rejection(ask(`other-${failure}`));
    expect(await ask()).toMatchObject({ active: true, freshness: { stale: false } });
    await time.advance(60_000);
    await rejection(ask('other'));
    // Asked about once in a pause: the AS itself called this one active, so no client can make it fail for that.
    for (let round = 0; round < 5; round++) {
      expect(await ask()).toMatchObject({ active: true, freshness: { age: 60, stale: true } });
    }
    expect(server.requests).toHaveLength(8);
  });

  test('of which the answers were forged, no old verdict serves', async () => {
    const { ask, server, time } = introspectorRig({ staleGrace: 3_600 });
    server.react = () => json(active());
    await ask();
    server.react = () => new LatchkeyError('introspection_answer_untrusted');
    for (let failure = 0; failure < 5; failure++) await rejection(ask(`other-${failure}`));
    await time.advance(60_000);
    await rejection(ask('other'));
    expect(await rejection(ask())).toBe('introspection_suspended');
  });
});

test.each([
  [
    'refusals of one token',
    () => answer('{"error":"unsupported_token_type"}', { status: 400 }),
    'introspection_refused',
  ],
  ['members that one token makes it say', () => json(active({ cnf: { jwk: 7 } })), 'introspection_answer_invalid'],
  // The client's own authorization_details (RFC 9396 §9.2), deeper than is read.
  [
    'details that a client chose',
    () => json(active({ authorization_details: deep(20) })),
    'introspection_answer_invalid',
  ],
  ['answers that are too large', () => new LatchkeyError('as_answer_too_large'), 'as_answer_too_large'],
] as const)('%s do not give the AS a pause: others are asked about', async (_, react, code) => {
  const { ask, server, introspector } = introspectorRig();
  server.react = react;
  for (let round = 0; round < 10; round++) expect(await rejection(ask(`token-${round}`))).toBe(code);
  expect(introspector.status()).toMatchObject({ state: 'ready', failures: 0 });
});

test('keys that cannot be had are not the fault of the endpoint', async () => {
  const { ask, server, introspector } = introspectorRig();
  server.react = () => new LatchkeyError('keys_unavailable');
  for (let round = 0; round < 10; round++) expect(await rejection(ask(TOKEN))).toBe('keys_unavailable');
  expect(introspector.status()).toMatchObject({ state: 'ready', failures: 0 });
});
