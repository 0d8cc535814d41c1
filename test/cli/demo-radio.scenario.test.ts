/** The demo, where there are two Bluetooth adapters: the tube is found by radio. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Terminal } from '../../src/cli/command.ts';
import { runCommandLine } from '../../src/cli/program.ts';
import { VirtualRadio } from '../fixtures/virtual-radio/virtual-radio.ts';

const radio = new VirtualRadio();
const printed: string[] = [];
const noted: string[] = [];
let status: number;

const terminal: Terminal = {
  environment: {},
  print: (line) => void printed.push(line),
  heading: (line) => void printed.push(line),
  note: (line) => void noted.push(line),
  ask: async () => undefined,
  read: () => Promise.reject(new Error('the demo reads no file')),
};

beforeAll(async () => {
  const [hub, tube] = [await radio.plugIn(), await radio.plugIn({ advertisingInterval: 50 })];
  status = await runCommandLine(['demo', '--radio', `${hub.path},${tube.path}`], terminal);
});

afterAll(() => radio.close());

test('every step holds', () => {
  expect(noted).toEqual([]);
  expect(status).toBe(0);
  expect(printed.join('\n')).toContain('All of it held.');
});

test('the story is one of a radio, from its start to its end', () => {
  const story = printed.join('\n');
  expect(story).toContain('the tube advertises by radio as tube-1');
  expect(story).toMatch(/by radio [1-9]\d* bytes, both ways/);
  expect(story).not.toContain('on the serial line');
});

test.each(['hci0', 'hci0,hci1,hci2', ',hci1'])('--radio %s is refused', async (asked) => {
  expect(await runCommandLine(['demo', '--radio', asked], terminal)).toBe(2);
});
