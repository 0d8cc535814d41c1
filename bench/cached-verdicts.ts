/**
 * A connected device asks the built hub over HTTP about a token whose verdict is cached, with a fresh ES256 proof, against the
 * same request to a bare node:http handler that verifies one ES256 signature. Both run in processes of their own.
 */
import { writeIntrospectionForm } from '../src/codec/introspection-message.ts';
import { BareVerifier } from './bare-verifier.ts';
import { BuiltHub } from './built-hub.ts';
import { type Effort, type Figure, quantile } from './harness.ts';
import { HttpLoad, postRequest } from './http-load.ts';
import { issueToken, ScriptedIssuer } from './scripted-issuer.ts';
import { ask, makeClientKey, type ProofKind, type Visit } from './visit.ts';

/** Each with a client of its own: a key and a device have shares of 4,096 in the replay window, of 65,536 in all. */
const VISITORS = 32;
const CALLS_IN_ROUND = 1_000;
/** Rounds of the effort that make one here. */
const ROUNDS_IN_ROUND = 5;
const WARM_UP_ROUNDS = 3;
const PATH = '/introspect';
const EXPECTED = '"active":true';

interface Visitor {
  readonly visit: Visit;
  readonly authorization: string;
}

interface Loads {
  readonly floor: HttpLoad;
  readonly subject: HttpLoad;
  readonly visitors: readonly Visitor[];
}

export async function cachedVerdictFigures(effort: Effort): Promise<readonly Figure[]> {
  const issuer = await ScriptedIssuer.start();
  try {
    // A hub for each: it would not remember the proofs of both.
    return [await figureOf('dpop', issuer, effort), await figureOf('cose', issuer, effort)];
  } finally {
    await issuer.close();
  }
}

async function figureOf(kind: ProofKind, issuer: ScriptedIssuer, effort: Effort): Promise<Figure> {
  const closers: (() => Promise<void> | void)[] = [];
  try {
    const hub = await BuiltHub.start({ settings: issuer.settings('secret') });
    closers.push(() => hub.close());
    const visitors = await visitorsOf(kind, hub);
    const subject = await HttpLoad.connect(hub.address);
    closers.push(() => subject.close());
    // From now on the verdicts are cached.
    const { answerBytes } = await subject.drive(visitors.map(requestOf), EXPECTED);
    const bare = await BareVerifier.start(answerBytes);
    closers.push(() => bare.close());
    const floor = await HttpLoad.connect(bare.origin);
    closers.push(() => floor.close());
    return await compareLoads(kind, { floor, subject, visitors }, effort);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function compareLoads(kind: ProofKind, { floor, subject, visitors }: Loads, effort: Effort): Promise<Figure> {
  const times = { floor: [] as number[], subject: [] as number[] };
  const ratios: number[] = [];
  const rounds = Math.max(3, Math.floor(effort.rounds / ROUNDS_IN_ROUND));
  for (let round = -WARM_UP_ROUNDS; round < rounds; round += 1) {
    const requests = Array.from({ length: CALLS_IN_ROUND }, (_, call) =>
      requestOf(visitors[call % VISITORS] as Visitor),
    );
    const drive = async (load: HttpLoad) => (await load.drive(requests, EXPECTED)).milliseconds;
    // Whoever comes second finds what the first has warmed up: they take turns.
    const early = round % 2 === 0 ? await drive(floor) : undefined;
    const ofSubject = await drive(subject);
    const ofFloor = early ?? (await drive(floor));
    if (round < 0) continue;
    times.floor.push(ofFloor);
    times.subject.push(ofSubject);
    ratios.push(ofFloor / ofSubject);
  }
  const perSecond = (samples: readonly number[]) => Math.round((CALLS_IN_ROUND * 1_000) / quantile(samples, 0.5));
  return {
    name: `cached-verdict-${kind}`,
    value: quantile(ratios, 0.5),
    goal: 0.8,
    better: 'higher',
    remark:
      `of bare node:http and ES256; quartiles ${quantile(ratios, 0.25).toFixed(3)} to ${quantile(ratios, 0.75).toFixed(3)}; ` +
      `${perSecond(times.subject)} a second, bare ${perSecond(times.floor)}`,
  };
}

async function visitorsOf(kind: ProofKind, hub: BuiltHub): Promise<readonly Visitor[]> {
  const credentials = await hub.register(Array.from({ length: VISITORS }, (_, index) => `ekg-${index}`));
  return credentials.map(({ device, httpSecret }) => {
    const key = makeClientKey();
    const { token } = issueToken(device, key.thumbprint);
    const authorization = `Basic ${Buffer.from(`${device}:${httpSecret.expose()}`).toString('base64')}`;
    return { visit: { kind, key, device, token, wantsSessionKey: false }, authorization };
  });
}

/** With a proof that was made this moment. */
function requestOf({ authorization, visit }: Visitor): Buffer {
  return postRequest(PATH, authorization, writeIntrospectionForm(ask(visit)));
}
