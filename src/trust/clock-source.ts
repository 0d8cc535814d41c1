/** What the machine shows of its own clock. Gathered by drivers/system-clock.ts, judged here. */
export interface ClockObservation {
  /** What the system clock says, NumericDate seconds. */
  readonly systemSeconds: number;
  /** Whether the clock was set over the network since boot, or `unknown` where nothing tells. */
  readonly synchronised: boolean | 'unknown';
  /** A hardware clock that agrees with the system clock: one that lost its power does not. */
  readonly hasBatteryClock: boolean;
  /** A board described by a device tree (Raspberry Pi and its like). Such boards boot with a time that somebody made up. */
  readonly isDeviceTreeBoard: boolean;
}

/** `auto`: judge by the evidence. `system`: always believe the system clock. `never`: only the floor counts. */
export type ClockMode = 'auto' | 'system' | 'never';

/**
 * `confirmed`: set over the network, or the operator vouches for it. `believed`: nothing speaks against it. `doubted`:
 * nobody set it since boot.
 */
export type ClockTrust = 'confirmed' | 'believed' | 'doubted';

export function judgeClock(observation: ClockObservation, mode: ClockMode): ClockTrust {
  if (mode === 'never') return 'doubted';
  if (mode === 'system' || observation.synchronised === true) return 'confirmed';
  return observation.isDeviceTreeBoard && !observation.hasBatteryClock ? 'doubted' : 'believed';
}
