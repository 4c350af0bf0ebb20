/** Client id for people: device authorization flow, or authorization code with PKCE on a loopback redirect. No secret. */
export const demoCliClient = 'sallyport-cli';

/** The device flow of a named demo person from end to end, over HTTP as a program and a browser would: their access token. Rejects with what went wrong. */
export async function loginAsDemoPerson(issuer: string, person: string): Promise<string> {
  const discovered = (await json(await fetch(`${issuer}/.well-known/openid-configuration`))) as Endpoints;
  const start = await fetch(discovered.device_authorization_endpoint, {
    method: 'POST',
    body: new URLSearchParams({ client_id: demoCliClient, scope: 'openid sallyport' }),
  });
  const device = (await json(start)) as { device_code: string; verification_uri_complete: string };
  await approveDeviceLogin(device.verification_uri_complete, person);
  const grant = {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: device.device_code,
    client_id: demoCliClient,
  };
  const token = (await json(
    await fetch(discovered.token_endpoint, { method: 'POST', body: new URLSearchParams(grant) }),
  )) as { access_token: string };
  return token.access_token;
}

interface Endpoints {
  readonly device_authorization_endpoint: string;
  readonly token_endpoint: string;
}

async function json(response: Response): Promise<unknown> {
  const answer = (await response.json()) as { error?: string; error_description?: string };
  if (!response.ok) throw new Error(`${response.url}: ${answer.error_description ?? answer.error ?? response.status}`);
  return answer;
}

/** What a person does in the browser with the link that a program shows: confirm the code, choose who they are. */
export async function approveDeviceLogin(verificationUri: string, person: string): Promise<void> {
  const browser = new Browser(verificationUri);
  await browser.go(verificationUri);
  await browser.submit(); // the page that hands over the code from the link
  await browser.submit(); // “it is the same code”
  const last = await browser.submit({ person });
  if (!last.includes('Signed in')) throw new Error(`signing in as ${person} did not work`);
}

/** Cookies, redirects and forms: as much of a browser as the development provider's pages need. Stays on one origin. */
class Browser {
  readonly #origin: string;
  readonly #cookies = new Map<string, string>();
  #url: string;
  #page = '';

  constructor(start: string) {
    this.#origin = new URL(start).origin;
    this.#url = start;
  }

  async go(to: string, form?: URLSearchParams): Promise<string> {
    let response = await this.#request(to, form);
    for (let hops = 0; response.status >= 300 && response.status < 400; hops++) {
      if (hops === 10) throw new Error('too many redirects');
      response = await this.#request(response.headers.get('location') ?? '');
    }
    this.#page = await response.text();
    if (!response.ok)
      throw new Error(
        `${this.#url}: ${response.status} ${this.#page.match(/<b>([^<]*)<\/b><\/p><p>[^<]*/)?.[0] ?? ''}`,
      );
    return this.#page;
  }

  /** Sends the page's form with its hidden fields and these. */
  submit(fields: Readonly<Record<string, string>> = {}): Promise<string> {
    const action = /<form[^>]*\saction="([^"]+)"/.exec(this.#page)?.[1];
    if (action === undefined) throw new Error(`${this.#url}: there is no form`);
    const hidden = [...this.#page.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)];
    const form = new URLSearchParams(hidden.map(([, name, value]): [string, string] => [name!, unescapeHtml(value!)]));
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    return this.go(action, form);
  }

  async #request(to: string, form?: URLSearchParams): Promise<Response> {
    const url = new URL(to, this.#url);
    if (url.origin !== this.#origin) throw new Error(`will not follow to ${url.origin}`);
    this.#url = url.href;
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      method: form ? 'POST' : 'GET',
      redirect: 'manual',
      headers: { cookie },
      ...(form ? { body: form } : {}),
    });
    for (const line of response.headers.getSetCookie()) {
      const [name, value] = line.split(';', 1)[0]!.split(/=(.*)/s);
      if (value === '') this.#cookies.delete(name!);
      else this.#cookies.set(name!, value ?? '');
    }
    return response;
  }
}

function unescapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"' };
  return text.replace(/&(?:#(\d+)|(\w+));/g, (all, code, name) =>
    code ? String.fromCharCode(Number(code)) : (names[name] ?? all),
  );
}
