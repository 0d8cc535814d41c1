import { utf8 } from '../core/bytes.ts';

/**
 * As `DurableReplayWindow` writes it where records of used proofs may be lost: for one window the hub refuses the proofs
 * that were made before.
 */
export const PROOFS_LOST = { put: 'replay/boot', value: utf8('restored lost') } as const;
