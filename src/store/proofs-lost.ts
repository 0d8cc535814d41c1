import { utf8 } from '../core/bytes.ts';

/**
 * As `DurableReplayWindow` writes it where records of used proofs may be lost: for one window the hub refuses the proofs
 * that were made before. It is written by a repair, by a restore, and by the store itself where LevelDB drops records. No other
 * process writes it while a hub runs: all of them need the locks of the databases, and a restore needs a folder without any.
 * What the store writes while the hub runs would be overwritten by the window of that hub: see `isLossToTell` in open-store.ts.
 */
export const PROOFS_LOST = { put: 'replay/boot', value: utf8('restored lost') } as const;
