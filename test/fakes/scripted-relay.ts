import type { LatchkeyError } from '../../src/core/errors.ts';
import type { RelayAnswer } from '../../src/core/introspection.ts';
import type { Relay, RelayRequest } from '../../src/ports/relay.ts';

/** A relay that answers as it is told, and keeps what it was asked. */
export class ScriptedRelay implements Relay {
  readonly requests: RelayRequest[] = [];
  answer: RelayAnswer | LatchkeyError | ((request: RelayRequest) => RelayAnswer | Promise<RelayAnswer>);

  constructor(answer: ScriptedRelay['answer'] = activeAnswer()) {
    this.answer = answer;
  }

  async relay(request: RelayRequest): Promise<RelayAnswer> {
    this.requests.push(request);
    if (this.answer instanceof Error) throw this.answer;
    return typeof this.answer === 'function' ? this.answer(request) : this.answer;
  }
}

export function activeAnswer(changes: Partial<Extract<RelayAnswer, { active: true }>> = {}): RelayAnswer {
  return {
    active: true,
    members: {
      iss: 'https://as.example',
      sub: 'doctor-7',
      aud: 'https://ekg-1.ward.example',
      scope: 'read',
      exp: 1_900_000_000,
    },
    proof: 'none',
    freshness: { source: 'introspection', age: 0, stale: false, clock: 'sure' },
    sessionKey: undefined,
    ...changes,
  };
}
