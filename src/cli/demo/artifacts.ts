import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LatchkeyError } from '../../core/errors.ts';
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

/** @throws {LatchkeyError} `file_unwritable` */
export async function writeArtifacts(folder: string, artifacts: Artifacts): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    for (const [name, content] of Object.entries(artifacts))
      await writeFile(join(folder, name), content, { mode: 0o600 });
  } catch (error) {
    throw new LatchkeyError('file_unwritable', `${folder} (${(error as NodeJS.ErrnoException).code ?? 'failed'})`);
  }
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
