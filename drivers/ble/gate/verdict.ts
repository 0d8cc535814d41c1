/** What the gate makes of a packet: the stack gets it, the stack does without it, or it breaks the rule so named. */
export type Verdict = 'pass' | 'drop' | Breach;

export interface Breach {
  /** Protocol and rule, for the log: `att 0x1d: length`. */
  readonly breach: string;
}

export function breach(protocol: string, code: number, rule: string): Breach {
  return { breach: `${protocol} 0x${code.toString(16).padStart(2, '0')}: ${rule}` };
}
