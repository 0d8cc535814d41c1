/** Who may say what where (docs/protocol.md, "Over MQTT"). The ACL of the broker says the same: config/mosquitto/acl. */
import { isDeviceId } from '../../src/core/device-id.ts';

/** Longest topic that an answer goes to. Bytes; MQTT allows 65,535. */
const MAX_RESPONSE_TOPIC_BYTES = 256;
const REQUEST = 'introspect';
const ANSWER = 'answer';
const DELIVERIES = 'deliveries';

export class Topics {
  readonly #prefix: string;
  /** Filter of the requests of all devices. */
  readonly requests: string;
  /** Retained: whether the hub is there. */
  readonly status: string;

  /** @param prefix without a `/` at its end, such as `latchkey/v1` */
  constructor(prefix: string) {
    this.#prefix = `${prefix}/`;
    this.requests = `${prefix}/+/${REQUEST}`;
    this.status = `${prefix}/hub/status`;
  }

  requestsOf(device: string): string {
    return `${this.#prefix}${device}/${REQUEST}`;
  }

  /** Where a device hears its answers, if it has no other wish. */
  answersOf(device: string): string {
    return `${this.#prefix}${device}/${ANSWER}`;
  }

  /** Retained: how it stands with the tokens for a device. */
  deliveriesOf(device: string): string {
    return `${this.#prefix}${device}/${DELIVERIES}`;
  }

  /** The device whose request topic it is: the ACL lets only that one write there. Undefined for no device's. */
  deviceOf(topic: string): string | undefined {
    if (!topic.startsWith(this.#prefix) || !topic.endsWith(`/${REQUEST}`)) return undefined;
    const device = topic.slice(this.#prefix.length, -REQUEST.length - 1);
    return isDeviceId(device) ? device : undefined;
  }

  /**
   * Whether an answer to the device may go there: to a topic of its own, where it makes no request and the hub says nothing else. A hub
   * that published wherever it is told would lend every client its rights at the broker.
   */
  mayAnswerAt(device: string, topic: string): boolean {
    const own = `${this.#prefix}${device}/`;
    return (
      topic.startsWith(own) &&
      topic.length > own.length &&
      Buffer.byteLength(topic) <= MAX_RESPONSE_TOPIC_BYTES &&
      !/[+#\0]/.test(topic) &&
      topic !== this.status &&
      topic !== this.requestsOf(device) &&
      topic !== this.deliveriesOf(device)
    );
  }

  /** Whether a device may write there. */
  mayPublish(device: string, topic: string): boolean {
    return topic === this.requestsOf(device);
  }

  /** Whether a device may listen to the filter: to its own topics, and to the hub's status. */
  mayListen(device: string, filter: string): boolean {
    return filter === this.status || filter.startsWith(`${this.#prefix}${device}/`);
  }
}
