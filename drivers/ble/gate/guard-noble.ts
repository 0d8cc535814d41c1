import type { Noble } from '../noble.ts';
import { type GuardedHci, hciOf } from '../noble-internals.ts';
import { type Judged, PacketGate } from './packet-gate.ts';

/** A rule that was broken, and by whom where that is known. */
export interface BrokenRule {
  readonly rule: string;
  readonly address: string | undefined;
}

/**
 * Puts the gate between the controller and noble's parser. A peer that breaks a rule loses its link. To be called when noble
 * was started, before the event loop goes on: the part that speaks HCI is there then, and nothing has come in yet.
 * @throws {LatchkeyError} `radio_unsupported` where this noble has not what is needed
 */
export function guardNoble(noble: Noble, onBroken: (broken: BrokenRule) => void): void {
  const hci = hciOf(noble);
  const gate = new PacketGate();
  watchSent(hci, gate);
  const parse = hci.onSocketData.bind(hci);
  const condemn = ({ address, breach, handle }: Judged) => {
    if (breach !== undefined) onBroken({ rule: breach, address });
    if (handle !== undefined) hci.disconnect(handle);
  };
  const guarded = (packet: Buffer) => {
    const judged = gate.judge(packet);
    condemn(judged);
    if (judged.pass === undefined) return;
    try {
      parse(judged.pass);
    } catch {
      // A rule that is missing. The packet is lost; what state it left behind is that of a link that ends now.
      condemn(gate.failed(judged.pass));
    }
  };
  // noble takes what is under this name when it opens the adapter anew.
  hci.onSocketData = guarded;
  hci._socket.removeAllListeners('data');
  hci._socket.on('data', guarded);
}

/** The gate sees what noble sends to peers, in its order. */
function watchSent(hci: GuardedHci, gate: PacketGate): void {
  const write = hci.writeAclDataPkt.bind(hci);
  hci.writeAclDataPkt = (handle, channel, payload) => {
    gate.sent(handle, channel, payload);
    return write(handle, channel, payload);
  };
}
