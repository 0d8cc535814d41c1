import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { refuseUnusable } from '../../../drivers/ble/adapter-fault.ts';
import { asyncCodeOf } from '../../fixtures/async-code-of.ts';

let root: string;
const folders = () => ({ sys: join(root, 'sys'), proc: join(root, 'proc') });

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'latchkey-sys-'));
});

afterEach(() => rmSync(root, { recursive: true }));

function adapters(...names: readonly string[]): void {
  for (const name of names) mkdirSync(join(root, 'sys/class/bluetooth', name), { recursive: true });
}

function rfkill(entry: string, name: string, states: { soft?: string; hard?: string; type?: string } = {}): void {
  const folder = join(root, 'sys/class/rfkill', entry);
  mkdirSync(folder, { recursive: true });
  const { hard = '0', soft = '0', type = 'bluetooth' } = states;
  for (const [file, value] of Object.entries({ type, name, soft, hard }))
    writeFileSync(join(folder, file), `${value}\n`);
}

function capabilities(set: string): void {
  mkdirSync(join(root, 'proc/self'), { recursive: true });
  writeFileSync(join(root, 'proc/self/status'), `Name:\tnode\nCapPrm:\t${set}\nCapEff:\t${set}\n`);
}

const judged = (adapter: string) => asyncCodeOf(refuseUnusable(adapter, folders()));

describe('an adapter of the system', () => {
  it('is taken where it is there, not blocked, and may be used', async () => {
    adapters('hci0', 'hci0:64');
    rfkill('rfkill0', 'hci0');
    capabilities('0000000000002000');
    expect(await judged('hci0')).toBe('none');
    expect(await judged('auto')).toBe('none');
  });

  it.each(['auto', 'hci0'])('is refused where the kernel has no Bluetooth: %s', async (adapter) => {
    expect(await judged(adapter)).toBe('radio_missing');
  });

  it('is refused where only another one is there, which the detail names', async () => {
    adapters('hci1');
    await expect(refuseUnusable('hci0', folders())).rejects.toMatchObject({
      code: 'radio_missing',
      detail: 'hci0; there is hci1',
    });
  });

  it('is refused where all that is there is a connection', async () => {
    adapters('hci0:64');
    expect(await judged('auto')).toBe('radio_missing');
  });

  it.each(['soft', 'hard'])('is refused with a %s block', async (kind) => {
    adapters('hci0');
    rfkill('rfkill3', 'hci0', { [kind]: '1' });
    expect(await judged('hci0')).toBe('radio_blocked');
  });

  it('is taken where something else is blocked', async () => {
    adapters('hci0', 'hci1');
    rfkill('rfkill0', 'phy0', { soft: '1', type: 'wlan' });
    rfkill('rfkill1', 'hci1', { soft: '1' });
    expect(await judged('hci0')).toBe('none');
    expect(await judged('auto')).toBe('none');
  });

  it('is refused without CAP_NET_RAW', async () => {
    adapters('hci0');
    capabilities('0000000000001000');
    expect(await judged('hci0')).toBe('radio_permission');
  });
});

describe('a controller on a serial port', () => {
  it('is refused where there is no such port', async () => {
    expect(await judged(join(root, 'ttyACM9'))).toBe('radio_missing');
  });
});
