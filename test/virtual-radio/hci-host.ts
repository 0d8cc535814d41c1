import type { Controller } from '../fixtures/virtual-radio/controller.ts';
import { dataPacket, words } from '../fixtures/virtual-radio/h4.ts';
import { COMMAND, EVENT, LE_EVENT } from '../fixtures/virtual-radio/hci-numbers.ts';

const L2CAP_HEADER = 4;
const ATTRIBUTE_CHANNEL = 4;

/** A host that says what a test tells it to, byte by byte, and keeps what its controller says. */
export class HciHost {
  readonly controller: Controller;
  /** Every packet so far. */
  readonly heard: Buffer[] = [];

  constructor(controller: Controller) {
    this.controller = controller;
    controller.attach((packet) => this.heard.push(Buffer.from(packet)));
  }

  command(opcode: number, ...parameters: readonly Uint8Array[]): void {
    const bytes = Buffer.concat(parameters);
    this.controller.receive(Buffer.concat([Buffer.of(1), words(opcode), Buffer.of(bytes.length), bytes]));
  }

  advertise(name: string, { interval = 160 }: { readonly interval?: number } = {}): void {
    const field = (text: string) => Buffer.concat([Buffer.of(text.length), Buffer.from(text).subarray(0, 31)]);
    this.command(COMMAND.leSetAdvertisingParameters, words(interval, interval), Buffer.alloc(11));
    this.command(COMMAND.leSetAdvertisingData, field('flags'));
    this.command(COMMAND.leSetScanResponseData, field(name));
    this.command(COMMAND.leSetAdvertisingEnable, Buffer.of(1));
  }

  scan({ filtersDuplicates = false } = {}): void {
    this.command(COMMAND.leSetScanParameters, Buffer.of(1), words(18, 18), Buffer.of(0, 0));
    this.command(COMMAND.leSetScanEnable, Buffer.of(1, filtersDuplicates ? 1 : 0));
  }

  connect(peer: Controller): void {
    const head = [words(0x60, 0x30), Buffer.of(0, 0), peer.addressBytes, Buffer.of(0)];
    this.command(COMMAND.leCreateConnection, ...head, words(6, 18, 0, 42, 4, 6));
  }

  /** One PDU of the Attribute Protocol, in packets of the size that the controller takes. */
  attribute(handle: number, ...bytes: readonly number[]): void {
    const pdu = Buffer.concat([words(bytes.length, ATTRIBUTE_CHANNEL), Buffer.from(bytes)]);
    for (let at = 0; at < pdu.length; at += 251) {
      this.controller.receive(dataPacket(handle, at === 0 ? 0 : 1, pdu.subarray(at, at + 251)));
    }
  }

  /** Parameters of every event with this code. */
  events(code: number): Buffer[] {
    return this.heard.filter((packet) => packet[0] === 4 && packet[1] === code).map((packet) => packet.subarray(3));
  }

  /** Parameters of every LE Meta event with this subevent, without it. */
  leEvents(subevent: number): Buffer[] {
    return this.events(EVENT.leMeta)
      .filter((parameters) => parameters[0] === subevent)
      .map((parameters) => parameters.subarray(1));
  }

  /** Payloads of the data that arrived, packet by packet. */
  get data(): Buffer[] {
    return this.heard.filter((packet) => packet[0] === 2).map((packet) => packet.subarray(5));
  }

  /** PDUs of the Attribute Protocol that arrived in one packet. */
  get attributes(): number[][] {
    return this.data.map((payload) => [...payload.subarray(L2CAP_HEADER)]);
  }

  get packetsCompleted(): number {
    return this.events(EVENT.completedPackets).reduce((sum, event) => sum + event.readUInt16LE(3), 0);
  }

  /** Status of the connections that came about or did not, in order. */
  get connections(): (number | undefined)[] {
    return this.leEvents(LE_EVENT.connectionComplete).map((event) => event[0]);
  }

  /** Reasons of the connections that ended. */
  get disconnections(): (number | undefined)[] {
    return this.events(EVENT.disconnected).map((event) => event[3]);
  }

  /** What was advertised and answered to the scan, as text with the strength. */
  get reports(): { readonly text: string; readonly rssi: number; readonly type: number | undefined }[] {
    return this.leEvents(LE_EVENT.advertisingReport).map((event) => ({
      type: event[1],
      text: event.subarray(10, -1).toString(),
      rssi: event.readInt8(event.length - 1),
    }));
  }
}

export const FIRST_HANDLE = 0x40;
