import { explanation, policyList, policyVersion, question } from '../../client/schema.ts';
import { Refusal } from '../../model/errors.ts';
import type { Caller, Principal } from '../../model/principal.ts';
import { denied } from '../access.ts';
import type { RouteDeps, Routes } from '../api.ts';
import { callerOf } from '../authenticate.ts';

const config = { access: 'caller' } as const;

/** Everybody may ask what would be decided for them at their targets; `review` shows the policies and asks for others. */
export const policyRoutes: Routes = (app, deps) => {
  const { admin, access } = deps;

  app.get(
    '/v1/policies',
    { config, schema: { summary: 'The policies in force', response: { 200: policyList } } },
    async (request) => {
      if (!access.review(callerOf(request))) throw denied('read the policies', 'review');
      return admin.policies.list();
    },
  );

  const explain = {
    summary: 'What would be decided, and why; nothing runs',
    body: question,
    response: { 200: explanation },
  };
  app.post('/v1/policies/explain', { config, bodyLimit: 2 * 1024 * 1024, schema: explain }, async (request) => {
    const caller = callerOf(request);
    const { target, text, principal } = request.body;
    if (principal !== undefined && !access.review(caller)) throw denied('ask on behalf of others', 'review');
    reachable(caller, target, deps);
    return admin.policies.explain({
      principal: principal === undefined ? caller.principal : supposed(principal),
      target,
      text,
    });
  });

  app.post(
    '/v1/policies/reload',
    { config, schema: { summary: 'Read the policy folder again', response: { 200: policyVersion } } },
    async (request) => {
      if (!access.configure(callerOf(request))) throw denied('reload the policies', 'configure');
      return admin.policies.reload();
    },
  );
};

function reachable(caller: Caller, name: string, { admin, access }: RouteDeps): void {
  const target = admin.targets.get(name);
  if (target !== undefined && (access.target(caller, target) || access.review(caller))) return;
  throw new Refusal('TARGET_UNKNOWN', 'there is no such target that you may reach', {
    advice: 'list yours with: sallyport targets list',
  });
}

/** Somebody who need not exist, for the question's sake. */
function supposed(given: Pick<Principal, 'id' | 'kind' | 'groups' | 'owner' | 'claims'>): Principal {
  const colon = given.id.indexOf(':');
  const issuer = colon === -1 ? '' : given.id.slice(0, colon);
  return { ...given, issuer, subject: given.id.slice(colon + 1), name: given.id };
}
