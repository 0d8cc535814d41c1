import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/bytes.ts';
import type { FloorClock } from '../../src/core/clock.ts';
import { coded } from '../../src/core/errors.ts';
import { type BindingRequest, TokenBindings, type TokenBindingsOptions } from '../../src/pop/token-bindings.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';

const LEEWAY = 60;
const [OWNER, THIEF] = ['thumbprint-of-the-owner', 'thumbprint-of-the-thief'];

let time: FakeTime;
let store: FaultyStore;
let log: QuietLog;
let bindings: TokenBindings;

const open = (more: Partial<TokenBindingsOptions> = {}) => TokenBindings.open({ store, clock: time, log, ...more });
const now = () => time.now().earliest;

beforeEach(async () => {
  time = new FakeTime();
  store = new FaultyStore();
  log = new QuietLog();
  bindings = await open();
  // Past the leeway of the issuer, so that what is issued now is newer than the start.
  time.skip(120_000);
});

function token(name: string, changes: Partial<BindingRequest> = {}): BindingRequest {
  return {
    identity: sha256(name),
    thumbprint: OWNER,
    issuer: 'https://as.example',
    clientId: 'app',
    subject: 'nurse-7',
    issuedAt: now(),
    leeway: LEEWAY,
    expiresAt: now() + 3_600,
    ...changes,
  };
}

const bind = (request: BindingRequest, to = bindings) => asyncCodeOf(to.bind(request));

describe('a token belongs to the key that presented it first', () => {
  test('and to no other, however often and in whichever order they come', async () => {
    const issued = token('t');
    expect(await bind(issued)).toBe('none');
    expect(await bind({ ...issued, thumbprint: THIEF })).toBe('token_bound_elsewhere');
    expect(await bind(issued)).toBe('none');
    expect(bindings.size).toBe(1);
  });

  test('after a restart', async () => {
    const issued = token('t');
    await bindings.bind(issued);
    const next = await open();
    expect(await bind({ ...issued, thumbprint: THIEF }, next)).toBe('token_bound_elsewhere');
    expect(await bind(issued, next)).toBe('none');
  });

  test('while the record of the first is on its way to the medium, and no presenter gets in before it is there', async () => {
    const issued = token('t');
    const release = store.holdAt(1);
    let isDone = false;
    const first = bindings.bind(issued).then(() => {
      isDone = true;
    });
    const again = bindings.bind(issued);
    expect(await bind({ ...issued, thumbprint: THIEF })).toBe('token_bound_elsewhere');
    expect(isDone).toBe(false);
    release();
    await Promise.all([first, again]);
    expect([...store.entries.keys()].filter((key) => key.startsWith('binding/'))).toHaveLength(1);
  });

  test('until it is dead by the confirmed time, and no earlier', async () => {
    const issued = token('t');
    await bindings.bind(issued);
    // The clock says that it is over; what is confirmed stands before.
    const certain = { value: issued.expiresAt - 1 };
    const clock: FloorClock = {
      now: () => time.now(),
      monotonic: () => time.monotonic(),
      certain: () => certain.value,
    };
    const next = await open({ clock });
    expect(next.size).toBe(1);
    time.skip(3_700_000);
    await next.bind(token('other'));
    expect(await bind({ ...issued, thumbprint: THIEF }, next)).toBe('token_bound_elsewhere');
    certain.value = issued.expiresAt;
    time.skip(20_000);
    await next.bind(token('third'));
    expect(next.size).toBe(2);
  });

  test('not where the medium did not take it: then nothing was done with it, and each may try again', async () => {
    const issued = token('t');
    store.failAt(1);
    await expect(bindings.bind(issued)).rejects.toThrow('the medium failed');
    expect(bindings.size).toBe(0);
    expect(await bind({ ...issued, thumbprint: THIEF })).toBe('none');
  });

  test('not where the store throws at once', async () => {
    const issued = token('t');
    const write = store.write.bind(store);
    store.write = () => {
      throw new Error('the store is closed');
    };
    await expect(bindings.bind(issued)).rejects.toThrow('the store is closed');
    expect(bindings.size).toBe(0);
    store.write = write;
    expect(await bind({ ...issued, thumbprint: THIEF })).toBe('none');
  });

  test('on the medium too, where a damaged record of it was found before', async () => {
    const issued = token('t', { issuedAt: now() + 130 });
    await bindings.bind(issued);
    for (const key of store.entries.keys()) store.entries.set(key, new Uint8Array([0x7b]));
    const next = await open();
    time.skip(1_000);
    expect(await bind(issued, next)).toBe('none');
    expect(await bind({ ...issued, thumbprint: THIEF }, await open())).toBe('token_bound_elsewhere');
  });

  test('whatever became of a write that failed', async () => {
    const issued = token('t');
    store.failAt(1, { afterwards: true });
    await expect(bindings.bind(issued)).rejects.toThrow('the medium failed');
    const next = await open();
    expect(await bind({ ...issued, thumbprint: THIEF }, next)).toBe('token_bound_elsewhere');
  });
});

describe('a lost binding lets no second key in', () => {
  const losses: readonly (readonly [string, (before: Map<string, Uint8Array>) => Map<string, Uint8Array>])[] = [
    ['a backup of before was restored', (before) => before],
    ['the state was lost, and another one begun', () => new Map()],
  ];

  test.each(losses)('where %s', async (_, restored) => {
    const before = new Map(store.entries);
    const issued = token('t');
    await bindings.bind(issued);
    store = new FaultyStore(restored(before));
    time.skip(5_000);
    const next = await open();
    for (const thumbprint of [THIEF, OWNER])
      expect(await bind({ ...issued, thumbprint }, next)).toBe('token_binding_unknown');
    // Nor later.
    time.skip(3_000_000);
    expect(await bind({ ...issued, thumbprint: THIEF }, next)).toBe('token_binding_unknown');
  });

  test('where the clock of its issuer is ahead, as far as it may be', async () => {
    const issued = token('t', { issuedAt: now() + LEEWAY });
    await bindings.bind(issued);
    store = new FaultyStore();
    time.skip(5_000);
    const next = await open();
    expect(await bind({ ...issued, thumbprint: THIEF }, next)).toBe('token_binding_unknown');
  });

  test('where its record is damaged, and the log says so', async () => {
    const issued = token('t');
    await bindings.bind(issued);
    for (const key of store.entries.keys()) store.entries.set(key, new Uint8Array([0x7b]));
    const next = await open();
    expect(log.lines.at(-1)?.fields).toMatchObject({ event: 'binding_record_unreadable' });
    expect(await bind({ ...issued, thumbprint: THIEF }, next)).toBe('token_binding_unknown');
    time.skip(120_000);
    await next.bind(token('other'));
    expect([...store.entries.keys()]).toHaveLength(1);
  });

  test('where an operator set the floor of the time back', async () => {
    const issued = token('t');
    await bindings.bind(issued);
    // The clock was forged, and ahead: the token is over, and its binding is forgotten.
    const clock = { ahead: 10_000 };
    const forged: FloorClock = {
      now: () => ({ earliest: now() + clock.ahead, latest: now() + clock.ahead }),
      monotonic: () => time.monotonic(),
      certain: () => now() + clock.ahead,
    };
    const next = await open({ clock: forged });
    expect(next.size).toBe(0);
    time.skip(120_000);
    clock.ahead = 0;
    next.drawLine();
    expect(await bind({ ...issued, thumbprint: THIEF }, next)).toBe('token_binding_unknown');
  });

  test('where the clock was behind at the start, and is right now', async () => {
    const issued = token('t');
    await bindings.bind(issued);
    store = new FaultyStore();
    const clock = { behind: 7_200 };
    const wrong: FloorClock = {
      now: () => ({ earliest: now() - clock.behind, latest: now() - clock.behind }),
      monotonic: () => time.monotonic(),
      certain: () => 0,
    };
    const next = await open({ clock: wrong });
    time.skip(600_000);
    clock.behind = 0;
    expect(await bind({ ...issued, thumbprint: THIEF }, next)).toBe('token_binding_unknown');
  });

  test('where the time is not known: no token is bound', async () => {
    time.forgetLatest();
    expect(await bind(token('t'))).toBe('clock_unsure');
  });

  test('where a token does not say when it was issued', async () => {
    expect(await bind(token('t', { issuedAt: undefined }))).toBe('jwt_claim_missing');
  });

  test('whatever happens: no run of starts, losses, presentations and times gives one token two keys', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ present: fc.nat(3), by: fc.constantFrom(OWNER, THIEF) }) },
      { weight: 2, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 400 }) }) },
      {
        weight: 1,
        arbitrary: fc.constantFrom('restart' as const, 'back up' as const, 'restore' as const, 'lose' as const),
      },
      { weight: 1, arbitrary: fc.constantFrom('fail' as const, 'fail afterwards' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        time = new FakeTime();
        store = new FaultyStore();
        let current = await open();
        let backup = new Map<string, Uint8Array>();
        let endsInForce = false;
        const start = now();
        // Issued in the course of the run, with clocks that are ahead by as much as they may.
        const tokens = [0, 300, 600, 900].map((after, index) =>
          token(`t${index}`, { issuedAt: start + after + (index % 2) * LEEWAY, expiresAt: start + after + 1_000 }),
        );
        const owners = new Map<string, string>();
        for (const each of steps) {
          if (typeof each === 'object' && 'wait' in each) time.skip(each.wait * 1_000);
          else if (each === 'back up') backup = new Map(store.entries);
          else if (each === 'fail') {
            store.failAt(1);
            endsInForce = false;
          } else if (each === 'fail afterwards') {
            store.failAt(1, { afterwards: true });
            endsInForce = true;
          } else if (typeof each === 'string') {
            const kept = { restart: store.entries, restore: backup, lose: new Map<string, Uint8Array>() }[each];
            store = new FaultyStore(new Map(kept));
            endsInForce = false;
            current = await open();
          } else {
            const request = tokens[each.present] as BindingRequest;
            // There is no such token yet, or verification keeps it out.
            const issued = request.expiresAt - 1_000;
            if (issued > now() || request.expiresAt <= now()) continue;
            try {
              await current.bind({ ...request, thumbprint: each.by });
            } catch (error) {
              // Only the end of the process leaves a refused write in force (src/ports/store.ts).
              if (endsInForce && coded(error).code === 'internal') current = await open();
              continue;
            }
            const name = String(each.present);
            expect(owners.get(name) ?? each.by).toBe(each.by);
            owners.set(name, each.by);
          }
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe('the refusal says when to ask again', () => {
  test('right after the start: once a new token is surely newer than it', async () => {
    const next = await open();
    const refusal = await next.bind(token('t')).catch(coded);
    expect(refusal).toMatchObject({ code: 'token_binding_unknown', retryAfter: LEEWAY + 1 });
    time.skip((LEEWAY + 1) * 1_000);
    expect(await bind(token('u'), next)).toBe('none');
  });

  test('later: at once', async () => {
    const refusal = await bindings.bind(token('t', { issuedAt: now() - 3_000 })).catch(coded);
    expect(refusal).toMatchObject({ code: 'token_binding_unknown', retryAfter: undefined });
  });
});

describe('the room is shared', () => {
  const limits = { overall: 5, perIssuer: 4, perHolder: 2, perPresenter: 1 };

  test('one subject at one client takes its share, and others go on', async () => {
    const few = await open({ limits });
    time.skip(120_000);
    for (const name of ['a', 'b']) expect(await bind(token(name), few)).toBe('none');
    expect(await bind(token('c'), few)).toBe('token_bindings_full');
    expect(await bind(token('d', { subject: 'nurse-8' }), few)).toBe('none');
    expect(await bind(token('e', { clientId: 'other-app' }), few)).toBe('none');
    expect(await bind(token('f', { clientId: 'third-app' }), few)).toBe('token_bindings_full');
    expect(await bind(token('g', { issuer: 'https://b.example' }), few)).toBe('none');
    expect(await bind(token('h', { issuer: 'https://c.example' }), few)).toBe('token_bindings_full');
    // What is bound goes on.
    expect(await bind(token('a'), few)).toBe('none');
  });

  test('and given back with the end of the tokens, on the medium too', async () => {
    const few = await open({ limits });
    time.skip(120_000);
    for (const name of ['a', 'b']) await few.bind(token(name));
    time.skip(3_600_000);
    expect(await bind(token('c'), few)).toBe('none');
    expect([few.size, store.entries.size]).toEqual([1, 1]);
    const next = await open({ limits });
    expect(next.size).toBe(1);
  });

  test('and a full share does not look for dead tokens at each attempt', async () => {
    let looked = 0;
    const clock: FloorClock = {
      now: () => time.now(),
      monotonic: () => time.monotonic(),
      certain: () => {
        looked += 1;
        return time.certain();
      },
    };
    const few = await open({ limits, clock });
    time.skip(120_000);
    for (const name of ['a', 'b']) await few.bind(token(name));
    time.skip(1_000);
    const before = looked;
    for (let turn = 0; turn < 50; turn += 1) expect(await bind(token(`n${turn}`), few)).toBe('token_bindings_full');
    expect(looked - before).toBe(1);
  });

  test('of tokens without a subject each key has its share, also after a restart', async () => {
    const rooms = { ...limits, perHolder: 3, perPresenter: 2 };
    const of = (name: string, thumbprint: string, more: Partial<BindingRequest> = {}) =>
      token(name, { subject: undefined, thumbprint, issuedAt: now() + LEEWAY, ...more });
    let few = await open({ limits: rooms });
    time.skip(120_000);
    for (const name of ['a', 'b']) expect(await bind(of(name, 'greedy'), few)).toBe('none');
    for (let start = 0; start < 2; start += 1) {
      expect(await bind(of('c', 'greedy'), few)).toBe('token_bindings_full');
      few = await open({ limits: rooms });
      time.skip(1_000);
    }
    expect(await bind(of('d', OWNER), few)).toBe('none');
    // The room of the client is full now, not that of its users who have a name.
    expect(await bind(of('e', OWNER), few)).toBe('token_bindings_full');
    expect(await bind(token('f', { thumbprint: 'greedy', issuedAt: now() + LEEWAY }), few)).toBe('none');
  });

  test('a share of a key is given back with the end of its tokens', async () => {
    const few = await open({ limits });
    time.skip(120_000);
    expect(await bind(token('a', { subject: undefined }), few)).toBe('none');
    expect(await bind(token('b', { subject: undefined }), few)).toBe('token_bindings_full');
    time.skip(3_600_000);
    expect(await bind(token('c', { subject: undefined }), few)).toBe('none');
  });

  test('a record of an earlier version still binds, and counts for its client', async () => {
    const issued = token('a', { subject: undefined });
    await bindings.bind(issued);
    for (const [key, value] of store.entries) {
      const { presenter, ...before } = JSON.parse(Buffer.from(value).toString()) as Record<string, unknown>;
      expect(presenter).toEqual(expect.any(String));
      store.entries.set(key, Buffer.from(JSON.stringify(before)));
    }
    const next = await open({ limits: { ...limits, perHolder: 1 } });
    expect(await bind({ ...issued, thumbprint: THIEF }, next)).toBe('token_bound_elsewhere');
    time.skip(120_000);
    expect(await bind(token('b', { subject: undefined, thumbprint: 'other' }), next)).toBe('token_bindings_full');
  });

  test('a failed write keeps none', async () => {
    const few = await open({ limits });
    time.skip(120_000);
    for (let turn = 0; turn < 3; turn += 1) {
      store.failAt(1);
      await expect(few.bind(token(`f${turn}`))).rejects.toThrow();
    }
    for (const name of ['a', 'b']) expect(await bind(token(name), few)).toBe('none');
  });

  test('no record names a person', async () => {
    await bindings.bind(token('t'));
    const [value] = store.entries.values();
    expect(Buffer.from(value ?? []).toString()).not.toMatch(/nurse|app|as\.example/);
  });
});
