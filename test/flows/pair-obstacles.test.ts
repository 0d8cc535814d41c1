import { beforeEach, describe, expect, test } from 'vitest';
import { CATALOGUE, type ErrorCode } from '../../src/core/error-catalogue.ts';
import type { Device } from '../../src/devices/device.ts';
import { lastingObstacle, lineObstacles, radioObstacles, viewObstacle } from '../../src/flows/pair-obstacles.ts';
import { PairRig } from '../fixtures/pair-rig.ts';

const UP = { up: true, code: undefined, detail: undefined };
const CUT = { up: false, code: 'link_down', detail: 'ENOENT' } as const;

let device: Device;

/** On the line `bench`. */
beforeEach(async () => {
  const rig = await PairRig.open();
  await rig.devices.addDevice({ id: 'tube-1', audience: 'a', line: 'bench', profile: { scopes: ['read'] } });
  device = rig.registry.get('tube-1');
});

const unfinished = (): Device => {
  const nonces = { hub: new Uint8Array(16), device: new Uint8Array(16) };
  return { ...device, pairing: { nonces, request: '00' } };
};

describe('of lines', () => {
  const lines = [
    { name: 'bench', ...UP },
    { name: 'desk', ...CUT },
  ];

  test('one that is open and free is none', () => {
    expect(lineObstacles({ lines, devices: [] }, 'bench')).toEqual([]);
  });

  test('one that is down says why', () => {
    expect(lineObstacles({ lines, devices: [] }, undefined)).toEqual([
      { place: 'line/desk', code: 'link_down', detail: 'ENOENT' },
    ]);
  });

  test('one that has a device names it', () => {
    expect(lineObstacles({ lines, devices: [device] }, 'bench')).toEqual([
      { place: 'line/bench', code: 'pairing_place_taken', detail: 'line/bench has tube-1' },
    ]);
  });

  test('one whose device is not paired to the end is none: it can be paired again', () => {
    expect(lineObstacles({ lines, devices: [unfinished()] }, 'bench')).toEqual([]);
  });

  test('one that is not configured says which are', () => {
    expect(lineObstacles({ lines, devices: [] }, 'ward-9')).toEqual([
      { place: 'line/ward-9', code: 'link_unconfigured', detail: 'no line ward-9; [[lines]] has bench, desk' },
    ]);
  });

  test('all of them are where none is configured', () => {
    expect(lineObstacles({ lines: [], devices: [] }, undefined)).toMatchObject([
      { place: 'line', code: 'link_unconfigured' },
    ]);
  });
});

describe('of the radio', () => {
  const byName = (name: string) => (name === 'tube-1' ? { ...device, ble: { name } } : undefined);

  test('none where it listens', () => {
    expect(radioObstacles({ radio: UP, heard: ['kettle'], byName }, undefined)).toEqual([]);
  });

  test('it is not configured', () => {
    expect(radioObstacles({ radio: undefined, heard: [], byName }, undefined)).toMatchObject([
      { place: 'ble', code: 'link_unconfigured' },
    ]);
  });

  test('it is off', () => {
    const radio = { up: false, code: 'radio_blocked', detail: 'hci0' } as const;
    expect(radioObstacles({ radio, heard: [], byName }, undefined)).toEqual([
      { place: 'ble', code: 'radio_blocked', detail: 'hci0' },
    ]);
  });

  test('what is heard is registered, once however many advertise the name', () => {
    expect(radioObstacles({ radio: UP, heard: ['tube-1', 'tube-1', 'kettle'], byName }, undefined)).toEqual([
      { place: 'ble/tube-1', code: 'pairing_place_taken', detail: 'ble/tube-1 has tube-1' },
    ]);
  });

  test('what is wanted is registered, heard or not', () => {
    expect(radioObstacles({ radio: UP, heard: [], byName }, 'tube-1')).toMatchObject([{ place: 'ble/tube-1' }]);
    expect(radioObstacles({ radio: UP, heard: ['tube-1'], byName }, 'kettle')).toEqual([]);
  });

  test('a device that is not paired to the end is none', () => {
    expect(radioObstacles({ radio: UP, heard: ['tube-1'], byName: unfinished }, undefined)).toEqual([]);
  });
});

describe('nobody can show up', () => {
  const at = (...places: readonly (readonly [string, ErrorCode])[]) => places.map(([place, code]) => ({ place, code }));
  const NO_RADIO = ['ble', 'link_unconfigured'] as const;
  const NO_LINES = ['line', 'link_unconfigured'] as const;
  const TAKEN = ['line/bench', 'pairing_place_taken'] as const;
  const DOWN = ['line/bench', 'link_down'] as const;
  const places = { candidates: 0, medium: undefined, name: undefined } as const;

  test.each([
    ['neither lines nor a radio are there', { obstacles: at(NO_LINES, NO_RADIO) }, 'line'],
    ['all lines are taken', { obstacles: at(NO_RADIO, TAKEN) }, 'line/bench'],
    ['a line is asked for that is taken', { medium: 'line', name: 'bench', obstacles: at(TAKEN) }, 'line/bench'],
    ['the radio is asked for and is none', { medium: 'ble', obstacles: at(NO_RADIO) }, 'ble'],
    [
      'a name is asked for that is registered',
      { medium: 'ble', name: 'tube-1', obstacles: at(['ble/tube-1', 'pairing_place_taken']) },
      'ble/tube-1',
    ],
  ] as const)('where %s', (_, situation, place) => {
    expect(lastingObstacle({ ...places, ...situation })?.place).toBe(place);
  });

  test.each([
    ['somebody is there', { candidates: 1, obstacles: at(NO_RADIO, TAKEN) }],
    ['a line may be plugged in', { obstacles: at(NO_RADIO, DOWN) }],
    ['the radio listens', { obstacles: at(NO_LINES, TAKEN) }],
    ['the radio listens for another one', { medium: 'ble', obstacles: at(['ble/tube-1', 'pairing_place_taken']) }],
    ['the radio may be switched on', { medium: 'ble', obstacles: at(['ble', 'radio_blocked']) }],
  ] as const)('but not where %s', (_, situation) => {
    expect(lastingObstacle({ ...places, ...situation })).toBeUndefined();
  });
});

test('an obstacle comes with what to do, and whether it passes', () => {
  const { fix, title } = CATALOGUE.link_down;
  expect(viewObstacle({ place: 'line/desk', code: 'link_down', detail: 'ENOENT' })).toEqual({
    place: 'line/desk',
    code: 'link_down',
    detail: 'ENOENT',
    lasting: false,
    title,
    fix,
  });
  expect(viewObstacle({ place: 'ble', code: 'link_unconfigured' })).toMatchObject({ lasting: true });
});
