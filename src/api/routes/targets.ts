import { targetList } from '../../client/schema.ts';
import type { Routes } from '../api.ts';
import { callerOf } from '../authenticate.ts';

/** The targets a caller may connect to; with `review` all of them, with what an operator should know about each. */
export const targetRoutes: Routes = (app, { admin, access }) => {
  app.get(
    '/v1/targets',
    { config: { access: 'caller' }, schema: { summary: 'Targets you may reach', response: { 200: targetList } } },
    async (request) => {
      const caller = callerOf(request);
      const all = await admin.targets.list();
      if (access.review(caller)) return { items: all };
      const mine = all.filter(({ name }) => {
        const target = admin.targets.get(name);
        return target !== undefined && access.target(caller, target);
      });
      return { items: mine.map(({ name, protocol, labels }) => ({ name, protocol, labels })) };
    },
  );
};
