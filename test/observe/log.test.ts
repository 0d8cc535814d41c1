import { describe, expect, test } from 'vitest';
import { LatchkeyError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { createLog, type LogLevel } from '../../src/observe/log.ts';

function collected(level: LogLevel = 'debug') {
  const lines: string[] = [];
  const log = createLog({ level, destination: { write: (line) => void lines.push(line) } });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '') as Record<string, unknown> };
}

const CANARY = 'canary-value';
const JWT = `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.${'c'.repeat(40)}.${'s'.repeat(86)}`;

describe('a line', () => {
  test('is one JSON object with level, time, fields and message', () => {
    const { log, lines, last } = collected();
    log.info({ event: 'ready', port: 8430 }, 'The hub is ready.');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\{[^\n]*\}\n$/);
    expect(last()).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      event: 'ready',
      port: 8430,
      message: 'The hub is ready.',
    });
  });

  test('below the level is not written', () => {
    const { log, lines } = collected('warn');
    log.debug({}, 'x');
    log.info({}, 'x');
    expect(lines).toEqual([]);
    log.warn({}, 'x');
    log.error({}, 'x');
    expect(lines).toHaveLength(2);
  });

  test('of a child carries the fields of all its parents', () => {
    const { log, last } = collected();
    log.child({ id: 'r1' }).child({ device: 'tube-1' }).warn({ code: 'link_down' }, 'x');
    expect(last()).toMatchObject({ id: 'r1', device: 'tube-1', code: 'link_down' });
  });

  test('with line ends in a field is still one line', () => {
    const { log, lines } = collected();
    log.info({ text: 'a\nb\u2028c' }, 'd\ne');
    expect(lines.join('').split('\n')).toHaveLength(2);
  });

  test('with an error says its code and where it came from', () => {
    const { log, last } = collected();
    log.error({ error: new LatchkeyError('jwks_invalid', 'no keys') }, 'x');
    expect(last()).toMatchObject({ error: { code: 'jwks_invalid', detail: 'no keys', stack: expect.any(Array) } });
  });
});

describe('a secret never gets into a line', () => {
  test.each<[string, (log: ReturnType<typeof createLog>) => void]>([
    ['as a typed secret', (log) => log.info({ value: new Secret(CANARY) }, 'x')],
    ['as a field with a telling name', (log) => log.info({ access_token: CANARY }, 'x')],
    ['as a field of a child', (log) => log.child({ proof: CANARY }).info({}, 'x')],
    ['deep inside', (log) => log.info({ a: [{ b: { authorization: CANARY } }] }, 'x')],
    ['as bytes', (log) => log.info({ a: Buffer.from(CANARY) }, 'x')],
    ['as the cause of an error', (log) => log.error({ error: new Error('x', { cause: { token: CANARY } }) }, 'x')],
    ['as a JWT in the message', (log) => log.info({}, `got ${JWT}`)],
    ['as a JWT in a field', (log) => log.info({ header: `DPoP ${JWT}` }, 'x')],
    ['as a JWT in the name of a field', (log) => log.info({ [JWT]: 1 }, 'x')],
    ['as a format directive', (log) => log.info({ s: 1 }, `%s %o ${JWT}`)],
  ])('%s', (_, write) => {
    const { log, lines } = collected();
    write(log);
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain(CANARY);
    expect(lines[0]).not.toContain(JWT.slice(0, 40));
    expect(lines[0]).not.toContain(Buffer.from(CANARY).toString('base64url'));
  });
});
