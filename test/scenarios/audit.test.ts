import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { bearerToken } from '../../src/client/index.ts';
import { base64url, sha256 } from '../../src/core/bytes.ts';
import type { AuditRecord } from '../../src/ports/audit.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { World } from '../fixtures/world.ts';

let world: World;

afterEach(() => world.close());

async function records(...options: readonly string[]): Promise<readonly (AuditRecord & { readonly hash: string })[]> {
  const { out, err } = await world.folder.command(
    'audit',
    'list',
    '--config',
    world.folder.config,
    '--json',
    ...options,
  );
  try {
    // A device that was registered while no hub ran is told of its issuers in passing; that is no verdict on a token.
    return (JSON.parse(out) as (AuditRecord & { readonly hash: string })[]).filter(({ kind }) => kind !== 'trust');
  } catch {
    throw new Error(err);
  }
}

const command = (...args: readonly string[]) => world.folder.command('audit', ...args, '--config', world.folder.config);

describe('every verdict on a delivery leaves a record:', () => {
  test('that it was queued, and that the device took it', async () => {
    world = await World.open({ settings: '[delivery]\nwait = "10s"\n' });
    await world.plugIn();
    const token = await world.token();
    const { id } = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
    const [challenged, queued, delivered, ...others] = await records();
    expect(others).toEqual([]);
    // The first attempt only learns the nonce of the hub.
    expect(challenged).toMatchObject({ verdict: 'refused', code: 'proof_nonce_required' });
    const same = {
      clock: 'sure',
      device: 'tube-1',
      delivery: id,
      issuer: world.as.issuer,
      subject: expect.stringMatching(/^[\w-]{22}$/),
      token: base64url(sha256(token.value.expose()).subarray(0, 16)),
    };
    expect(queued).toMatchObject({
      ...same,
      kind: 'deliver',
      verdict: 'queued',
      proof: 'dpop',
      source: 'jwt',
      stale: false,
    });
    expect(delivered).toMatchObject({ ...same, kind: 'deliver-end', verdict: 'delivered' });
    expect(queued?.subject).toBe(delivered?.subject);
    expect(await records('--subject', 'nobody', '--issuer', world.as.issuer)).toEqual([]);
  });

  test('that it was refused, and why', async () => {
    world = await World.open();
    const { value } = await world.token();
    await world
      .client()
      .deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: bearerToken(value.expose()) })
      .catch(() => undefined);
    await world
      .client()
      .deliver({ device: 'tube-9', audience: TUBE_AUDIENCE, token: await world.token() })
      .catch(() => undefined);
    expect(await records()).toMatchObject([
      { kind: 'deliver', verdict: 'refused', code: 'proof_missing', device: 'tube-1', proof: 'none' },
      { kind: 'deliver', verdict: 'refused', code: 'device_unknown', device: '?' },
    ]);
    const table = await command('list', '--device', '?');
    expect(table.out.split('\n')[1]).toMatch(/^2 .*\? +refused \(device_unknown\)/);
  });

  test('that it ended with its device', async () => {
    world = await World.open();
    await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: await world.token(), wait: 0 });
    await world.folder.command('devices', 'remove', 'tube-1', '--config', world.folder.config);
    expect((await records()).at(-1)).toMatchObject({ kind: 'deliver-end', verdict: 'refused', code: 'device_unknown' });
  });
});

test('what was recorded is in the audit after SIGKILL, and the chain holds, with a hub or without', async () => {
  world = await World.open();
  const { id } = await world
    .client()
    .deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: await world.token(), wait: 0 });
  const before = await records();
  await world.hub.stop('SIGKILL');
  const offline = await command('verify', '--json');
  expect(offline.err).toContain('No hub is running');
  expect(JSON.parse(offline.out)).toMatchObject({ records: 2, faults: [] });
  world.hub = await world.folder.start();
  expect(await records()).toEqual(before);
  expect(before).toMatchObject([{ verdict: 'refused' }, { delivery: id }]);
  expect((await command('verify')).out).toMatch(/^The chain holds: 2 records\.\nHead: 2:[\w-]{43}\n$/);
});

describe('an export', () => {
  async function exported() {
    world = await World.open();
    const client = world.client();
    for (const device of ['tube-7', 'tube-8', 'tube-9'])
      await client.deliver({ device, audience: TUBE_AUDIENCE, token: await world.token() }).catch(() => undefined);
    const file = join(world.folder.path, 'audit.jsonl');
    return { file, result: await command('export', file) };
  }

  test('is verified by itself, against a head, and is for its owner alone', async () => {
    const { file, result } = await exported();
    expect(result).toMatchObject({ status: 0, out: '' });
    const head = /^Head: (3:[\w-]{43})\n$/.exec(result.err)?.[1] ?? '';
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const verified = await world.folder.command('audit', 'verify', '--file', file, '--head', head);
    expect(verified).toMatchObject({ status: 0, err: '' });
    expect(verified.out).toContain('3 records');
    expect((await command('verify', '--head', head)).status).toBe(0);
    const { out } = await world.folder.command('status', '--config', world.folder.config);
    expect(out).toContain(`Audit: 3 records, head ${head}`);
  });

  test.each<[string, (lines: string[]) => string[], string]>([
    [
      'a record altered',
      ([first = '', ...rest]) => [
        first,
        ...rest.map((line) =>
          line.includes('"sequence":2,') ? line.replace('"device":"?"', '"device":"tube-6"') : line,
        ),
      ],
      'record 2: altered',
    ],
    ['a record taken out', (lines) => lines.filter((_, index) => index !== 2), 'record 2: missing'],
    ['its last record taken out', (lines) => lines.filter((_, index) => index !== 3), 'record 3: missing'],
  ])('with %s ends with status 1 and the number', async (_, change, words) => {
    const { file } = await exported();
    writeFileSync(file, `${change(readFileSync(file, 'utf8').trimEnd().split('\n')).join('\n')}\n`);
    const { status, err } = await world.folder.command('audit', 'verify', '--file', file);
    expect(status).toBe(1);
    expect(err).toContain(words);
    expect(err).toContain('[audit_broken]');
  });
});
