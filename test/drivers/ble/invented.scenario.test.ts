/** An attacker invents names and addresses, by radio: real noble listens, and the device beside it is still found. */
import { afterEach, expect, test } from 'vitest';
import { COAP_CODE } from '../../../src/codec/iana.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { body, post, RadioRig, until } from '../../fixtures/radio-rig.ts';
import { AttributeServer } from '../../fixtures/virtual-radio/attribute-server.ts';
import type { Controller } from '../../fixtures/virtual-radio/controller.ts';
import { words } from '../../fixtures/virtual-radio/h4.ts';
import { COMMAND } from '../../fixtures/virtual-radio/hci-numbers.ts';
import { HciHost } from '../../virtual-radio/hci-host.ts';

let rig: RadioRig;
let stopInventing: () => void = () => undefined;

afterEach(async () => {
  stopInventing();
  await rig.close();
});

/** Advertises once, under a name and a new address. */
function invent(name: string): Controller {
  const controller = rig.air.controller({ advertisingInterval: 'by hand' });
  const host = new HciHost(controller);
  host.command(COMMAND.leSetAdvertisingParameters, words(160, 160), Buffer.alloc(11));
  host.command(
    COMMAND.leSetAdvertisingData,
    advertisement(Buffer.concat([Buffer.of(17, 0x07), AttributeServer.service])),
  );
  const completeLocalName = Buffer.concat([Buffer.of(name.length + 1, 0x09), Buffer.from(name)]);
  host.command(COMMAND.leSetScanResponseData, advertisement(completeLocalName));
  host.command(COMMAND.leSetAdvertisingEnable, Buffer.of(1));
  controller.advertise();
  return controller;
}

/** A byte of length, and 31 bytes (Core 5.4, Vol 4 Part E §7.8.7). */
function advertisement(field: Buffer): Buffer {
  return Buffer.concat([Buffer.of(field.length), field, Buffer.alloc(31 - field.length)]);
}

/** `perSecond` new addresses, each heard once. Nothing can connect to them. */
function inventAddresses(name: string, perSecond: number): () => void {
  const timer = setInterval(() => {
    invent(name).refusal = 'never established';
  }, 1_000 / perSecond);
  return () => clearInterval(timer);
}

test('more invented names than are remembered do not hide a device from a pairing window', async () => {
  rig = await RadioRig.open({ known: [] });
  await until(() => rig.radio.health().up);
  const close = rig.radio.openWindow();
  for (let made = 0; made < LIMITS.bleNames + 50; made += 1) {
    invent(`invented-${made}`);
    if (made % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await until(() => rig.radio.sightings.size >= LIMITS.bleNames);
  await rig.device('tube-9');
  await until(() => rig.radio.heard().some(({ name }) => name === 'tube-9'));
  expect(rig.radio.sightings.size).toBeLessThanOrEqual(LIMITS.bleNames);
  close();
});

test('the name that an operator waits for stays, however many come after it', async () => {
  rig = await RadioRig.open({ known: [] });
  await until(() => rig.radio.health().up);
  const close = rig.radio.openWindow('tube-9');
  invent('tube-9');
  await until(() => rig.radio.heard().some(({ name }) => name === 'tube-9'));
  for (let made = 0; made < LIMITS.bleNames + 50; made += 1) {
    invent(`invented-${made}`);
    if (made % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await until(() => rig.radio.heard().some(({ name }) => name === `invented-${LIMITS.bleNames + 49}`));
  expect(rig.radio.heard().some(({ name }) => name === 'tube-9')).toBe(true);
  close();
});

test('40 invented addresses a second keep no request from the device', async () => {
  rig = await RadioRig.open();
  await until(() => rig.radio.health().up);
  stopInventing = inventAddresses('tube-1', 40);
  await until(() => rig.radio.counters.heard > 40);
  await rig.device();
  const answer = await rig.radio.link('tube-1').request(post(body(20)), { deadline: 50_000 });
  expect(answer.code).toBe(COAP_CODE.created);
});
