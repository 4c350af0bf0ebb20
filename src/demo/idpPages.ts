import type { DemoPerson } from './idpConfiguration.ts';

/** For every answer of the development provider: pages may not be framed, and send nothing of their address on. */
export const securityHeaders = {
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const;

/** Choose who you are; answers with `person` in a form. */
export function signInPage(uid: string, client: string, people: readonly DemoPerson[]): string {
  const choices = people.map(
    ({ id, name, email, groups }) =>
      `<button name="person" value="${safe(id)}"><b>${safe(name)}</b> ${safe(email)}<br><small>${safe(groups.join(', ') || 'no groups')}</small></button>`,
  );
  return page(
    'Who are you?',
    `<p><b>${safe(client)}</b> asks who is there.</p><form method="post" action="/interaction/${safe(uid)}">${choices.join('\n')}</form>`,
  );
}

/** `form` comes from the provider and is without its button. */
export function codePage(form: string, wrong: boolean): string {
  const complaint = wrong ? '<p>That code is not known, or was used already.</p>' : '';
  return page(
    'Enter the code',
    `<p>It is shown by the program that wants to sign in.</p>${complaint}${form}<button form="op.deviceInputForm">Continue</button>`,
  );
}

export function confirmPage(form: string, client: string, code: string): string {
  const warning = 'Go on only if a program of yours shows the same code now.';
  const buttons =
    '<button form="op.deviceConfirmForm" autofocus>It is the same code</button><button form="op.deviceConfirmForm" name="abort" value="yes">It is not mine</button>';
  return page(
    'Is this your code?',
    `<p><b>${safe(client)}</b> shows</p><p class="code">${safe(code)}</p><p>${warning}</p>${form}${buttons}`,
  );
}

export function donePage(): string {
  return page('Signed in', '<p>You can close this page and go back to the program.</p>');
}

export function errorPage(error: string, description: string): string {
  return page('That did not work', `<p><b>${safe(error)}</b></p><p>${safe(description)}</p>`);
}

function page(title: string, content: string): string {
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${safe(title)}</title><meta name="viewport" content="width=device-width">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 30rem; margin: 3rem auto; padding: 0 1rem; }
button { display: block; width: 100%; margin: .5rem 0; padding: .6rem; font: inherit; text-align: left; cursor: pointer; }
.code { font: bold 2rem monospace; }
.note { border: 1px solid #b50; padding: .5rem .8rem; }
</style></head><body>
<p class="note"><b>Development identity provider.</b> There are no passwords here: anybody on this machine can be anybody. Not for real data.</p>
<h1>${safe(title)}</h1>
${content}
</body></html>
`;
}

function safe(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
