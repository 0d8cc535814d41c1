import { base64url, sha256 } from '../../src/core/bytes.ts';
import type { RelayAnswer } from '../../src/core/introspection.ts';
import type { RelayRequest } from '../../src/ports/relay.ts';
import { activeAnswer, ScriptedRelay } from './scripted-relay.ts';

/** Names token and device, so that a test sees which question an answer belongs to. */
export function subjectOf(device: string, token: string): string {
  return `${device} ${base64url(sha256(token)).slice(0, 16)}`;
}

export function namedAnswer({ device, token }: RelayRequest): RelayAnswer {
  return activeAnswer({ members: { sub: subjectOf(device, token.expose()), scope: 'read' } });
}

/** Answers by the question. `hold` keeps its answers back until the function that it answers with is called. */
export class NamingRelay extends ScriptedRelay {
  #gate: Promise<void> = Promise.resolve();

  constructor() {
    super(async (request) => {
      await this.#gate;
      return namedAnswer(request);
    });
  }

  hold(): () => void {
    let open = () => {};
    this.#gate = new Promise((resolve) => {
      open = resolve;
    });
    return open;
  }

  /** How often each token was judged. */
  judged(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { token } of this.requests) counts.set(token.expose(), (counts.get(token.expose()) ?? 0) + 1);
    return counts;
  }
}
