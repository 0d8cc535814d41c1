/** Version of this program; a test holds it to package.json. */
export const VERSION = '0.1.0';

/** NumericDate of this version, 2026-11-24: no clock that reads less can be right. */
export const RELEASED_AT = 1_795_478_400;
