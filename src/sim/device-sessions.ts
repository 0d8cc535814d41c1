/** The sessions of a connected device with its clients. Bounded: a device has a few KiB of RAM. */
import type { SessionKey } from '../codec/session-key.ts';
import { SessionChannel } from '../codec/session-message.ts';
import { LatchkeyError } from '../core/errors.ts';

interface Session {
  readonly channel: SessionChannel;
  readonly expiresAt: number;
}

export class DeviceSessions {
  readonly #audience: string;
  readonly #most: number;
  /** By the key's name, oldest first. */
  readonly #sessions = new Map<string, Session>();

  constructor(options: { readonly audience: string; readonly most: number }) {
    this.#audience = options.audience;
    this.#most = options.most;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Keeps a new session; where there is no room, the oldest one goes. @param time NumericDate seconds */
  add(session: SessionKey, time: number): void {
    for (const [keyId, { expiresAt }] of this.#sessions) if (expiresAt <= time) this.#sessions.delete(keyId);
    const [oldest] = this.#sessions.keys();
    if (oldest !== undefined && this.#sessions.size >= this.#most) this.#sessions.delete(oldest);
    const channel = new SessionChannel({ session, role: 'device', audience: this.#audience });
    this.#sessions.set(session.keyId, { channel, expiresAt: session.expiresAt });
  }

  /** @throws {LatchkeyError} `session_key_expired` for one that is over, was displaced, or never was */
  find(keyId: string): SessionChannel {
    const session = this.#sessions.get(keyId);
    if (session === undefined) throw new LatchkeyError('session_key_expired', 'no such session');
    return session.channel;
  }
}
