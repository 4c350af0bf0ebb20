import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { createJsonSchemaTransform } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { problem } from '../client/schema.ts';

const fromZod = createJsonSchemaTransform({ zodToJsonConfig: { unrepresentable: 'any' } });
const { $schema: _, ...problemSchema } = z.toJSONSchema(problem, { io: 'output' });
const refusal = { description: 'why not', content: { 'application/problem+json': { schema: problemSchema } } };

/** OpenAPI 3.1, made from the routes' own schemas, so that it says what is enforced. */
export const openapiOptions: FastifyDynamicSwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'Sallyport',
      description: 'What the console and the CLI use. Errors are RFC 9457 problems with a stable code.',
      version: '1',
    },
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'an OIDC JWT or a ticket' } },
    },
    security: [{ bearer: [] }],
  },
  transform: (document) => {
    const { schema, url } = fromZod(document as Parameters<typeof fromZod>[0]);
    const response =
      typeof schema === 'object' && schema !== null && 'response' in schema ? (schema.response as object) : {};
    return { schema: { ...schema, response: { ...response, default: refusal } }, url };
  },
};
