import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * `unit` needs nothing but `npm ci` and is what `npm test` runs. `scenario` puts real parts together and needs the Debian
 * packages that test/run installs. Neither repeats a failed test: one that fails now and then is a defect.
 */
export default defineConfig({
  root,
  test: {
    pool: 'forks',
    maxWorkers: 2,
    retry: 0,
    allowOnly: false,
    setupFiles: ['test/fixtures/source-children.ts', 'test/fixtures/patient-waits.ts'],
    expect: { poll: { timeout: 30_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.scenario.test.ts'],
          // Only a test that hangs comes to these: a busy machine takes several times as long as one that is not.
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'scenario',
          include: ['test/**/*.scenario.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
