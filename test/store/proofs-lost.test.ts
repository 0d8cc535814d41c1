/** A proof that was used stays refused, also where the card has lost the record of it. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { DurableReplayWindow } from '../../src/pop/durable-replay-window.ts';
import { type OpenState, openState } from '../../src/store/open-state.ts';
import { SILENT } from '../../src/store/open-store.ts';

const NOW = 1_800_000_000;
const TIME = { earliest: NOW, latest: NOW };

let folder: string;
let running: OpenState | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-proofs-'));
});
afterEach(async () => {
  await running?.close();
  running = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const windowOf = (state: OpenState) =>
  DurableReplayWindow.open({ store: state.store, bootId: 'boot-1', monotonic: 0, window: 60 });
const isDoubted = (window: DurableReplayWindow) => window.mayHaveForgotten(NOW - 1, { time: TIME, monotonic: 0 });

/** What a kill leaves of a hub that has accepted three proofs: a copy of its files. */
async function killed(): Promise<string> {
  const state = join(folder, 'state');
  running = await openState(state, { log: SILENT });
  const window = await windowOf(running);
  for (const proof of ['proof-1', 'proof-2', 'proof-3']) await window.use(proof, 0);
  const copy = join(folder, 'copy');
  cpSync(state, copy, { recursive: true });
  return copy;
}

test('after a kill alone the window is whole', async () => {
  const opened = await openState(await killed(), { log: SILENT });
  const window = await windowOf(opened);
  expect(isDoubted(window)).toBe(false);
  await expect(window.use('proof-3', 0)).rejects.toMatchObject({ code: 'proof_replayed' });
  await opened.close();
});

test('where the database dropped records at its start, proofs of before are doubted', async () => {
  const state = await killed();
  const log = join(state, 'db', readdirSync(join(state, 'db')).find((name) => name.endsWith('.log')) ?? '');
  const bytes = readFileSync(log);
  const at = bytes.lastIndexOf('replay/used/') + 3;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(log, bytes);
  const opened = await openState(state, { log: SILENT });
  expect(opened.faults().map(({ code }) => code)).toContain('store_records_lost');
  expect(isDoubted(await windowOf(opened))).toBe(true);
  await opened.close();
});

test('where the database dropped records while the hub ran, nothing that the hub writes takes that back', async () => {
  const state = join(folder, 'state');
  running = await openState(state, { log: SILENT });
  // As after a power cut: once proofs of before are dead, the window writes that all is well.
  await running.store.write([{ put: 'replay/boot', value: utf8('boot-0') }]);
  const window = await windowOf(running);
  await window.use('proof-1', 0);
  const log = join(state, 'db', readdirSync(join(state, 'db')).find((name) => name.endsWith('.log')) ?? '');
  const bytes = readFileSync(log);
  const at = bytes.lastIndexOf('replay/used/') + 3;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(log, bytes);
  const fault = Object.assign(new Error('IO error: Input/output error'), { code: 'LEVEL_IO_ERROR' });
  const failing = vi.spyOn(ClassicLevel.prototype, 'batch').mockRejectedValueOnce(fault);
  await window.use('proof-2', 1);
  failing.mockRestore();
  expect(running.faults().map(({ code }) => code)).toContain('store_records_lost');
  await window.use('proof-3', 121_000);
  const copy = join(folder, 'copy');
  cpSync(state, copy, { recursive: true });
  const next = await openState(copy, { log: SILENT });
  expect(isDoubted(await windowOf(next))).toBe(true);
  await next.close();
});

test('where a repair was killed before it said what it cannot know, proofs of before are doubted', async () => {
  const state = await killed();
  writeFileSync(join(state, 'repairing'), '');
  const opened = await openState(state, { log: SILENT });
  expect(existsSync(join(state, 'repairing'))).toBe(false);
  expect(isDoubted(await windowOf(opened))).toBe(true);
  await opened.close();
});
