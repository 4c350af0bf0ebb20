import { z } from 'zod';
import { health, issuerList } from '../../client/schema.ts';
import type { Routes } from '../api.ts';

const open = { config: { access: 'public' } } as const;
const security: [] = [];

/** What anybody may ask: is it there, how does one log in, what can it do. */
export const publicRoutes: Routes = (app, { issuers, ready }) => {
  app.get(
    '/healthz',
    { ...open, schema: { security, summary: 'The process runs', response: { 200: health } } },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    { ...open, schema: { security, summary: 'The node can serve', response: { 200: health, 503: health } } },
    async (_, reply) => {
      if (await ready()) return { status: 'ok' as const };
      return reply.code(503).send({ status: 'unavailable' as const });
    },
  );

  app.get(
    '/v1/issuers',
    { ...open, schema: { security, summary: 'Where to log in', response: { 200: issuerList } } },
    async () => ({ items: issuers }),
  );

  app.get(
    '/openapi.json',
    { ...open, schema: { security, summary: 'This description', response: { 200: z.looseObject({}) } } },
    async () => ({ ...app.swagger() }),
  );
};
