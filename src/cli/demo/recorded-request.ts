/** A request of a client as an attacker recorded it on the way. */
export interface RecordedRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Sends it again, as it was: the status of the answer, and the code in it. */
export async function sendAgain({ headers, url }: RecordedRequest): Promise<{
  readonly status: number;
  readonly code: unknown;
}> {
  const answer = await fetch(url, { method: 'POST', headers });
  const { code } = (await answer.json()) as { readonly code?: unknown };
  return { status: answer.status, code };
}
