import { AttributeRules } from './attribute-rules.ts';
import { CHANNEL, CHANNEL_HEADER_BYTES, type ChannelPacket, ChannelReader } from './channel-reader.ts';
import { judgeCommand, judgeEvent } from './event-rules.ts';
import { DATA_HEADER_BYTES, EVENT, EVENT_HEADER_BYTES, LE_EVENT, PACKET } from './hci-numbers.ts';
import { SecurityRules } from './security-rules.ts';
import { judgeSignalling } from './signalling-rules.ts';
import { type Breach, breach, type Verdict } from './verdict.ts';

/** What happens to one packet of the controller. */
export interface Judged {
  /** For the stack: the packet, or the one that it was the last fragment of. */
  readonly pass?: Buffer;
  /** The rule that was broken. */
  readonly breach?: string;
  /** The link that it was broken on: it has to end. */
  readonly handle?: number;
  /** Who is at the other end, as `aa:bb:cc:dd:ee:ff`. */
  readonly address?: string | undefined;
}

interface Link {
  readonly address: string;
  readonly reader: ChannelReader;
  readonly attributes: AttributeRules;
  readonly security: SecurityRules;
  /** It broke a rule, and nothing counts that still comes over it. */
  isCondemned: boolean;
}

const NOTHING: Judged = {};
/** First fragment from a controller, and another one (Core 5.4, Vol 4 Part E §5.4.2). */
const BEGINS = 2;
const GOES_ON = 1;

/**
 * Looks at every packet of the controller before the stack parses it, which reads whatever it is given without asking for
 * its length or its place. Pure: what it is handed and what was sent decide.
 */
export class PacketGate {
  readonly #links = new Map<number, Link>();

  /** What the stack sends to a peer: answers have their place behind it. */
  sent(handle: number, channel: number, payload: Buffer): void {
    const link = this.#links.get(handle);
    if (channel === CHANNEL.attributes) link?.attributes.sent(payload);
    if (channel === CHANNEL.security) link?.security.sent(payload);
  }

  judge(packet: Buffer): Judged {
    switch (packet[0]) {
      case PACKET.event:
        return this.#event(packet);
      case PACKET.data:
        return this.#data(packet);
      case PACKET.command:
        return judged(judgeCommand(packet), packet);
      default:
        return { breach: breach('h4', packet[0] ?? 0, 'type').breach };
    }
  }

  /** The stack failed at a packet that was passed. */
  failed(packet: Buffer): Judged {
    const rule = { breach: breach('stack', packet[0] ?? 0, 'failed').breach };
    if (packet[0] !== PACKET.data) return rule;
    const handle = handleOf(packet, 1);
    const link = this.#links.get(handle);
    return link === undefined ? rule : this.#condemn(handle, link, rule);
  }

  #event(packet: Buffer): Judged {
    const verdict = judgeEvent(packet);
    if (verdict !== 'pass') return judged(verdict, packet);
    const code = packet[1];
    if (code === EVENT.leMeta) this.#connected(packet);
    const known = this.#links.get(handleOf(packet, EVENT_HEADER_BYTES + 1));
    // Of links that are not noble's own, which other programs have over the same adapter, it would complain.
    if (code === EVENT.disconnectionComplete && !this.#links.delete(handleOf(packet, EVENT_HEADER_BYTES + 1)))
      return NOTHING;
    if (code === EVENT.encryptionChange && known?.security.encrypted() !== true) return NOTHING;
    return { pass: packet };
  }

  #connected(packet: Buffer): void {
    const subevent = packet[EVENT_HEADER_BYTES];
    const isConnection = subevent === LE_EVENT.connectionComplete || subevent === LE_EVENT.enhancedConnectionComplete;
    if (!isConnection || packet[EVENT_HEADER_BYTES + 1] !== 0) return;
    const at = EVENT_HEADER_BYTES + 2;
    this.#links.set(handleOf(packet, at), {
      address: addressOf(packet.subarray(at + 4, at + 10)),
      reader: new ChannelReader(),
      attributes: new AttributeRules(),
      security: new SecurityRules(),
      isCondemned: false,
    });
  }

  #data(packet: Buffer): Judged {
    if (packet.length < DATA_HEADER_BYTES || packet.length !== DATA_HEADER_BYTES + packet.readUInt16LE(3))
      return { breach: breach('acl', 0, 'length').breach };
    const handle = handleOf(packet, 1);
    const link = this.#links.get(handle);
    const flags = packet.readUInt16LE(1) >> 12;
    // Another flag: what another program sends by the same adapter.
    if (link === undefined || link.isCondemned || (flags !== BEGINS && flags !== GOES_ON)) return NOTHING;
    const fragment = packet.subarray(DATA_HEADER_BYTES);
    const whole = flags === BEGINS ? link.reader.begin(fragment) : link.reader.goOn(fragment);
    if (whole === undefined) return NOTHING;
    const verdict = 'breach' in whole ? whole : judgeChannel(link, whole);
    if (verdict === 'drop') return NOTHING;
    if (verdict !== 'pass') return this.#condemn(handle, link, verdict);
    const { channel, payload } = whole as ChannelPacket;
    return { pass: flags === BEGINS ? packet : dataPacket(handle, channel, payload) };
  }

  #condemn(handle: number, link: Link, { breach }: Breach): Judged {
    link.isCondemned = true;
    return { breach, handle, address: link.address };
  }
}

function judgeChannel(link: Link, { channel, payload }: ChannelPacket): Verdict {
  if (channel === CHANNEL.attributes) return link.attributes.judge(payload);
  if (channel === CHANNEL.security) return link.security.judge(payload);
  return judgeSignalling(payload);
}

function judged(verdict: Verdict, packet: Buffer): Judged {
  if (verdict === 'drop') return NOTHING;
  return verdict === 'pass' ? { pass: packet } : { breach: verdict.breach };
}

function handleOf(packet: Buffer, at: number): number {
  return packet.length < at + 2 ? 0 : packet.readUInt16LE(at) & 0x0fff;
}

/** Least significant byte first on the wire. */
function addressOf(bytes: Buffer): string {
  return [...bytes]
    .reverse()
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(':');
}

/** As if the controller had brought it in one fragment: noble's own way to put fragments together has no bounds. */
function dataPacket(handle: number, channel: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(DATA_HEADER_BYTES + CHANNEL_HEADER_BYTES);
  head.writeUInt8(PACKET.data, 0);
  head.writeUInt16LE(handle | (BEGINS << 12), 1);
  head.writeUInt16LE(CHANNEL_HEADER_BYTES + payload.length, 3);
  head.writeUInt16LE(payload.length, DATA_HEADER_BYTES);
  head.writeUInt16LE(channel, DATA_HEADER_BYTES + 2);
  return Buffer.concat([head, payload]);
}
