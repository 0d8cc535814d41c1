/** What a client learns of how its delivery stands, and what it can do with one that its device does not have. */
import { describe, expect, test } from 'vitest';
import { bearerToken, dpopToken } from '../../src/client/access-token.ts';
import { DpopKey, HubClient, HubRefusal, isCoded } from '../../src/client/index.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { DELIVERED, drive, json, problem, type Script, scriptedHub, TOKEN_VALUE } from './scripted-hub.ts';

const AUDIENCE = DELIVERED.audience;
const QUEUED = { ...DELIVERED, state: 'queued' } as const;
const EXPIRED = { ...DELIVERED, state: 'expired', code: 'delivery_expired' } as const;
const token = bearerToken(TOKEN_VALUE);
const TO_TUBE = { device: 'tube-1', audience: AUDIENCE, token } as const;

function hub(...script: Script) {
  const { environment, time, asked } = scriptedHub(...script);
  return { hub: new HubClient({ url: 'https://hub.example', environment }), time, asked };
}

const thrown = (promise: Promise<unknown>) => promise.catch((error: unknown) => error);

describe('isCoded', () => {
  test('knows the code of the hub in a refusal, and the own one', async () => {
    const expired = hub(
      () => json(202, QUEUED),
      () => json(200, EXPIRED),
    );
    const error = await drive(expired.time, thrown(expired.hub.deliver(TO_TUBE)));
    expect(isCoded(error, 'delivery_expired')).toBe(true);
    expect(isCoded(error, 'client_delivery_failed')).toBe(true);
    expect(isCoded(error)).toBe(true);
    expect(isCoded(error, 'device_refused_token')).toBe(false);
  });

  test('knows the code of a refusal at once', async () => {
    const error = await thrown(hub(() => problem(403, 'jwt_audience_mismatch')).hub.deliver(TO_TUBE));
    expect(isCoded(error, 'jwt_audience_mismatch')).toBe(true);
  });

  test('knows errors without a hub, and what is no error of this library', () => {
    expect(isCoded(new LatchkeyError('client_unreachable'), 'client_unreachable')).toBe(true);
    expect(isCoded(new TypeError('client_unreachable'))).toBe(false);
    expect(isCoded(undefined)).toBe(false);
  });
});

describe('a delivery that is queued', () => {
  test('has no session yet', async () => {
    const { hub: client } = hub(() => json(202, QUEUED));
    const delivery = await client.deliver({ ...TO_TUBE, wait: 0 });
    expect(() => client.session(delivery, token)).toThrow(expect.objectContaining({ code: 'client_delivery_queued' }));
  });

  test('is waited for later, and keeps the audience that the caller named', async () => {
    const opaque = dpopToken('opaque', await DpopKey.generate());
    const { hub: client, time } = hub(
      () => json(202, QUEUED),
      () => json(200, DELIVERED),
    );
    const delivery = await client.deliver({ ...TO_TUBE, wait: 0 });
    const settled = await drive(time, client.settle(delivery));
    expect(settled.state).toBe('delivered');
    // An opaque token names no audience: where the named one had been lost, this would be client_audience_unknown.
    expect(() => client.session(settled, opaque)).toThrow(expect.objectContaining({ code: 'client_delivery_foreign' }));
  });

  test('is still queued when the wait is over', async () => {
    const { hub: client, time } = hub(() => json(202, QUEUED), ...Array(9).fill(() => json(200, QUEUED)));
    const delivery = await client.deliver({ ...TO_TUBE, wait: 0 });
    expect(await drive(time, client.settle(delivery, { wait: 2_000 }))).toMatchObject({ state: 'queued' });
    expect(time.monotonic()).toBeLessThan(3_000);
  });

  test('ends with its reason', async () => {
    const { hub: client, time } = hub(
      () => json(202, QUEUED),
      () => json(200, EXPIRED),
    );
    const delivery = await client.deliver({ ...TO_TUBE, wait: 0 });
    const error = await drive(time, thrown(client.settle(delivery)));
    expect(isCoded(error, 'delivery_expired')).toBe(true);
  });

  test('is no delivery to another device all of a sudden', async () => {
    const { hub: client, time } = hub(
      () => json(202, QUEUED),
      () => json(200, { ...DELIVERED, device: 'pump-1' }),
    );
    const delivery = await client.deliver({ ...TO_TUBE, wait: 0 });
    const error = await drive(time, thrown(client.settle(delivery)));
    expect(error).toMatchObject({ code: 'client_answer_invalid' });
  });
});

test('a delivery that has ended has no session', async () => {
  const { hub: client } = hub(() => json(200, EXPIRED));
  const delivery = await client.delivery('d-1');
  const open = () => client.session(delivery, token);
  expect(open).toThrow(HubRefusal);
  expect(open).toThrow(expect.objectContaining({ code: 'client_delivery_failed', hubCode: 'delivery_expired' }));
});

describe('a refusal', () => {
  test.each([
    [{ 'retry-after': '61' }, 61],
    [{ 'retry-after': 'soon' }, undefined],
    [{}, undefined],
  ])('with the headers %j says when to try again: %s', async (headers, retryAfter) => {
    const refusing = hub(() => json(401, { code: 'token_binding_unknown', id: 'r-1' }, headers)).hub;
    expect(await thrown(refusing.deliver(TO_TUBE))).toMatchObject({ hubCode: 'token_binding_unknown', retryAfter });
  });

  const explained = async (more: object) => {
    const error = await thrown(hub(() => problem(403, 'jwt_audience_mismatch', {}, more)).hub.deliver(TO_TUBE));
    expect(error).toMatchObject({ code: 'client_delivery_failed', hubCode: 'jwt_audience_mismatch' });
    return (error as HubRefusal).explanation;
  };

  test('brings the words of the hub for people', async () => {
    const words = { title: 'The token is for another audience', detail: 'aud is x', fix: 'Ask for coap://tube-1.' };
    const type = 'https://docs.example/errors/jwt_audience_mismatch';
    expect(await explained({ ...words, type })).toEqual({ ...words, type });
  });

  test.each<[string, unknown, string | undefined]>([
    ['a path of the hub', '/errors/jwt_expired', 'https://hub.example/errors/jwt_expired'],
    ['a name', 'urn:latchkey:error:jwt_expired', 'urn:latchkey:error:jwt_expired'],
    ['something that runs', 'javascript:alert(1)', undefined],
    ['a number', 7, undefined],
    ['too long', `/errors/${'x'.repeat(9_000)}`, undefined],
  ])('has for a type that is %s the address to open, or none', async (_, type, expected) => {
    expect((await explained({ type })).type).toBe(expected);
  });

  test('keeps its code where those words are none, are long, or steer a terminal', async () => {
    const { detail = '', title } = await explained({ title: 7, detail: `\u001b[2J${'x'.repeat(9_000)}` });
    expect(title).toBeUndefined();
    expect(detail).toMatch(/^\\u001b\[2Jx+$/);
    expect(detail.length).toBeLessThan(600);
  });
});
