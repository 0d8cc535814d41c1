/** What the hub and a child process of it say to each other beside the messages of the part itself. */

export type ToChild = { readonly kind: 'heartbeat' } | { readonly kind: 'message'; readonly message: unknown };

export type FromChild =
  | { readonly kind: 'heartbeat'; readonly memory: number }
  | { readonly kind: 'message'; readonly message: unknown }
  | { readonly kind: 'crash'; readonly frames: string };

const MOST_FRAMES_LENGTH = 2_000;

/** Undefined for what is none: the child may be in any state. */
export function readFromChild(value: unknown): FromChild | undefined {
  if (!isObject(value)) return undefined;
  const { kind } = value;
  if (kind === 'message') return { kind, message: value.message };
  if (kind === 'heartbeat') return { kind, memory: typeof value.memory === 'number' ? value.memory : 0 };
  if (kind === 'crash' && typeof value.frames === 'string')
    return { kind, frames: value.frames.slice(0, MOST_FRAMES_LENGTH) };
  return undefined;
}

/** Where the exception comes from, without its message: that may hold what a peer sent. */
export function framesOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  const frames = (thrown.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return [thrown.name, ...frames.map((line) => line.trim())].join(' | ').slice(0, MOST_FRAMES_LENGTH);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
