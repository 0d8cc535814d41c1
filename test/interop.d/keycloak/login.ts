/** A browser as far as Keycloak's login needs one: it keeps cookies, and fills in the form. */
export interface Person {
  readonly username: string;
  readonly password: string;
}

/**
 * Opens the address of an authorization request, logs in, and answers with the address that the app is called back at.
 * @throws {Error} if the page is no login form, or the login does not lead back
 */
export async function logIn(start: string, { username, password }: Person): Promise<string> {
  const page = await fetch(start, { redirect: 'manual' });
  const form = /<form[^>]+id="kc-form-login"[^>]+action="([^"]+)"/.exec(await page.text())?.[1];
  if (form === undefined) throw new Error(`no login form, but ${page.status} ${page.headers.get('location') ?? ''}`);
  const cookies = page.headers.getSetCookie().map((line) => line.split(';', 1)[0] ?? '');
  const answer = await fetch(form.replaceAll('&amp;', '&'), {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie: cookies.join('; ') },
    body: new URLSearchParams({ username, password }),
  });
  const callback = answer.headers.get('location');
  if (callback === null) throw new Error(`the login answered ${answer.status}`);
  return callback;
}
