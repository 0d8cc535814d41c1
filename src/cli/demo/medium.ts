/** What the tube of the demo is reached by: the radio, where this machine has one for each end, else a serial line. */
import { LatchkeyError } from '../../core/errors.ts';
import { findRadios } from '../../simulator.ts';

/** Adapters, or paths of serial ports with controllers on them. */
export interface Radios {
  readonly hub: string;
  readonly tube: string;
}

/**
 * @param asked `hub,tube`; `none` for the line; undefined for what is there
 * @throws {LatchkeyError} `usage`
 */
export async function chooseRadios(asked: string | undefined): Promise<Radios | undefined> {
  if (asked === undefined) return findRadios();
  if (asked === 'none') return undefined;
  const [hub, tube, ...others] = asked.split(',');
  if (hub === undefined || tube === undefined || others.length > 0 || hub === '' || tube === '')
    throw new LatchkeyError('usage', '--radio takes two adapters such as hci0,hci1, or none');
  return { hub, tube };
}
