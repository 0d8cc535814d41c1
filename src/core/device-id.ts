/** 1 to 63 of `a-z 0-9 . _ -`, not starting with a mark: it stands in paths, topics, file names and COSE key ids. */
const DEVICE_ID = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Whether text can name a device. What cannot is of any length, and is for no log. */
export function isDeviceId(text: string): boolean {
  return DEVICE_ID.test(text);
}

const PROFILE_NAME = /^[a-z0-9][a-z0-9._-]{0,31}$/;

/** Whether text can name a profile of the configuration. */
export function isProfileName(text: string): boolean {
  return PROFILE_NAME.test(text);
}

/** What stands in log and audit in the place of an id that is registered for no device: it may be anything, a token too. */
export const UNREGISTERED = '?';
