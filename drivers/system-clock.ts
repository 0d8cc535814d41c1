/** The clock of the machine, and the evidence for whether it can be believed. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { Chrony } from './chrony.ts';
import { monotonic } from './system-time.ts';

/** As `trust/clock-source.ts` rates it; spelled out here, since drivers know nothing of trust. */
export interface SystemClockObservation {
  readonly systemSeconds: number;
  readonly synchronised: boolean | 'unknown';
  readonly hasBatteryClock: boolean;
  readonly isDeviceTreeBoard: boolean;
}

export interface SystemClockOptions {
  /** Where `/proc`, `/run` and `/sys` are; `/` outside of tests. */
  readonly root?: string;
  readonly monotonic?: () => number;
  readonly systemSeconds?: () => number;
  /** The program that asks chronyd; that of the PATH by default. */
  readonly chronyc?: string;
}

/** Milliseconds for which evidence is kept: it changes when NTP sets the clock, once a boot. */
const EVIDENCE_LIFETIME = 10_000;
/** Seconds by which a hardware clock with a good battery differs from the system clock at most. */
const SAME_TIME = 600;

/**
 * Reads the system clock at every call and the evidence for it now and then.
 *
 * - `/run/systemd/timesync/synchronized` appears when systemd-timesyncd has set the clock. Where chronyd runs, it is asked
 *   (chrony.ts). With neither, as with ntpd or in a container, the answer is `unknown`: the operator can set `clock.trust`.
 * - `/sys/class/rtc/rtcN/since_epoch`: a Pi 5 has the chip but often no battery, and then starts in 1970, while the
 *   system clock starts at the last time that systemd wrote down. A hardware clock counts only if the two agree.
 * - `/proc/device-tree/model`: a board, as opposed to a PC, whose firmware keeps a clock.
 */
export function systemClock(options: SystemClockOptions = {}): () => SystemClockObservation {
  const root = options.root ?? '';
  const now = options.monotonic ?? monotonic;
  const systemSeconds = options.systemSeconds ?? (() => Date.now() / 1000);
  const chrony = new Chrony({ root, monotonic: now, program: options.chronyc });
  let evidence = gather(root, systemSeconds(), false);
  let gatheredAt = now();
  return () => {
    if (now() - gatheredAt >= EVIDENCE_LIFETIME) {
      evidence = gather(root, systemSeconds(), evidence.hasBatteryClock);
      gatheredAt = now();
    }
    const { synchronised, ...others } = evidence;
    return {
      systemSeconds: systemSeconds(),
      synchronised: synchronised === 'unknown' ? chrony.synchronised() : synchronised,
      ...others,
    };
  };
}

function gather(
  root: string,
  seconds: number,
  hadBatteryClock: boolean,
): Omit<SystemClockObservation, 'systemSeconds'> {
  const timesync = `${root}/run/systemd/timesync`;
  return {
    synchronised: existsSync(`${timesync}/synchronized`) || (existsSync(timesync) ? false : 'unknown'),
    hasBatteryClock: hasBatteryClock(`${root}/sys/class/rtc`, seconds) ?? hadBatteryClock,
    isDeviceTreeBoard: existsSync(`${root}/proc/device-tree/model`),
  };
}

/**
 * Whether a hardware clock agrees with `seconds`; undefined where that cannot be known now, as in a process that has no
 * file descriptor left. Every judgement asks for the time, so none may fail for that.
 */
function hasBatteryClock(folder: string, seconds: number): boolean | undefined {
  try {
    return hardwareClocks(folder).some((time) => Math.abs(time - seconds) < SAME_TIME);
  } catch {
    return undefined;
  }
}

/** What each hardware clock says, in NumericDate seconds. */
function hardwareClocks(folder: string): readonly number[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((name) => {
    try {
      return Number.parseInt(readFileSync(`${folder}/${name}/since_epoch`, 'ascii'), 10);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EMFILE' || code === 'ENFILE') throw error;
      // Of the clock itself: a chip that lost its power has no time to give (rtc-sysfs), and that is no evidence.
      return Number.NaN;
    }
  });
}
