import { access, constants, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LatchkeyError } from '../../core/errors.ts';
import { makeFolder } from '../../store/make-folder.ts';
import { claimsToJson } from '../../token/claims-json.ts';
import type { GoodWay } from './good-way.ts';
import type { Stage } from './stage.ts';

export interface Artifacts {
  readonly 'token.jwt': string;
  readonly 'token.cwt': Uint8Array;
  readonly 'jwks.json': string;
  /** Holds the tube's secret keys: the demo's are thrown away, those of a real device never leave it. */
  readonly 'device-trust.json': string;
  readonly 'expected-claims.json': string;
}

/** What another program needs to check the translation, taken while everything runs. */
export async function collectArtifacts(stage: Stage, { token }: GoodWay): Promise<Artifacts> {
  const [cwt] = stage.tokensOnLine;
  const [held] = stage.tube.device.tokens();
  if (cwt === undefined || held === undefined) throw new LatchkeyError('demo_failed', 'the tube holds no token');
  const answer = await fetch(`${stage.authorizationServer.issuer}/jwks`);
  return {
    'token.jwt': token.value.expose(),
    'token.cwt': cwt,
    'jwks.json': json(await answer.json()),
    'device-trust.json': stage.trust.expose(),
    'expected-claims.json': json(claimsToJson(held.claims.expose())),
  };
}

/**
 * Makes the folder for the artifacts, before a demo that could not keep them.
 * @throws {LatchkeyError} `file_unwritable`
 */
export async function prepareFolder(folder: string): Promise<void> {
  await makeFolder(folder);
  await access(folder, constants.W_OK).catch((error: unknown) => {
    throw unwritable(folder, error);
  });
}

/** @throws {LatchkeyError} `file_unwritable` */
export async function writeArtifacts(folder: string, artifacts: Artifacts): Promise<void> {
  try {
    for (const [name, content] of Object.entries(artifacts))
      await writeFile(join(folder, name), content, { mode: 0o600 });
  } catch (error) {
    throw unwritable(folder, error);
  }
}

function unwritable(folder: string, cause: unknown): LatchkeyError {
  const reason = (cause as NodeJS.ErrnoException).code ?? 'failed';
  return new LatchkeyError('file_unwritable', `${folder} (${reason})`, { cause });
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
