import type { ErrorCode } from '../core/error-catalogue.ts';
import type { LatchkeyError } from '../core/errors.ts';

/** A broker between the hub and connected devices: messages on topics, in MQTT's words (MQTT 5.0 §1.2). */

/** A message that the broker brought. */
export interface IncomingMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** 0: the broker sends it once and forgets it; 1: it sends it again until it is settled. */
  readonly qos: 0 | 1;
  /** The broker may have sent it before (DUP). */
  readonly again: boolean;
  readonly contentType: string | undefined;
  readonly responseTopic: string | undefined;
  readonly correlationData: Uint8Array | undefined;
  /** The broker need not send it again. Says nothing once the connection that brought it is gone: it will be sent again. */
  settle(): void;
}

export interface OutgoingMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly contentType: string;
  readonly correlationData: Uint8Array | undefined;
  /** Where an answer is wanted, for a request (MQTT 5.0 §4.10). */
  readonly responseTopic?: string;
  /** The broker keeps it for those who listen later, in place of the one before (MQTT 5.0 §3.3.1.3). */
  readonly retain?: true;
}

/** A message that was written. */
export interface SentMessage {
  isConfirmed(): boolean;
  /** Resolves once the broker has it, or refused it, on whichever connection; for QoS 0 at once. */
  readonly confirmed: Promise<void>;
  /** Why the broker does not take it, where it said so. */
  refusal(): LatchkeyError | undefined;
}

/** Takes a message. While the promise that it may answer with is open, the broker is not listened to. */
export type MessageListener = (message: IncomingMessage) => void | Promise<void>;

export interface MessageBroker {
  isUp(): boolean;
  /** Why it is away; undefined while it is there. */
  health(): { readonly up: boolean; readonly code: ErrorCode | undefined; readonly detail: string | undefined };
  /**
   * Resolves once the message is on its way, ahead of everything that is said to the broker afterwards. QoS 1 waits for
   * a connection and for room, and is said again on a new connection until the broker has it; QoS 0 is lost without one.
   */
  publish(message: OutgoingMessage): Promise<SentMessage>;
  counters(): Readonly<Record<string, number>>;
  /** Takes leave of the broker, which keeps what comes in meanwhile for as long as the session may live. */
  close(): Promise<void>;
}
