import { LatchkeyError } from '../../src/core/errors.ts';

/** What a line says while it is open. */
export interface LinePortEvents {
  onData(chunk: Uint8Array): void;
  /** The line is gone, once; after `destroy` it is not called. */
  onClosed(reason: string): void;
}

/** One opening of a medium that carries bytes: a tty or a TCP connection. */
export interface LinePort {
  /** `done` is called when the bytes have left this process, or cannot any more. */
  write(bytes: Uint8Array, done: () => void): void;
  /** Stops the bytes that come in, where they are, or lets them come again. Some may be under way still. */
  setFlowing(flowing: boolean): void;
  /** Resolves when the system has let go of it, which on a broken line may be never. */
  destroy(): Promise<void>;
}

export interface OpenPort {
  readonly events: LinePortEvents;
  /** Gives the attempt up. What opens after that is closed again. */
  readonly signal: AbortSignal;
}

/** @throws {LatchkeyError} `link_down`, `line_permission` */
export type PortOpener = (open: OpenPort) => Promise<LinePort>;

export type LineAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'tty'; readonly path: string };

/**
 * Where a line is: `tcp://host:port` (IPv6 addresses in brackets) or the path of a tty.
 * @throws {LatchkeyError} `config_invalid`
 */
export function parseLineAddress(text: string): LineAddress {
  if (!text.includes('://')) {
    if (!text.startsWith('/')) throw new LatchkeyError('config_invalid', `not an absolute path of a tty: ${text}`);
    return { kind: 'tty', path: text };
  }
  const match = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|([^\s/:@[\]]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) throw new LatchkeyError('config_invalid', `not tcp://host:port: ${text}`);
  return { kind: 'tcp', host, port };
}

export function formatTcpAddress(host: string, port: number): string {
  return host.includes(':') ? `tcp://[${host}]:${port}` : `tcp://${host}:${port}`;
}
