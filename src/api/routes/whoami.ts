import { whoami } from '../../client/schema.ts';
import type { Routes } from '../api.ts';
import { callerOf } from '../authenticate.ts';

export const whoamiRoutes: Routes = (app, { access }) => {
  app.get(
    '/v1/whoami',
    { config: { access: 'caller' }, schema: { summary: 'Who the credential stands for', response: { 200: whoami } } },
    async (request) => {
      const caller = callerOf(request);
      const { principal, proof } = caller;
      return { principal, proof, may: { review: access.review(caller), configure: access.configure(caller) } };
    },
  );
};
