import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { interfaceCustomers, paymentKey } from '../interface-server.ts';
import type { World } from '../world.ts';
import { cli, expect, lines, requestIn, type Step } from './stage.ts';

/** The same agent at the shop's HTTP interface. */
export async function tellOfInterface(world: World, step: Step): Promise<void> {
  await step(
    'Over HTTP it asks for customers with its own token; the interface gets a key that the agent never sees',
    async () => {
      const { status, body } = await call(world, 'GET', '/api/v1/customers');
      expect(status === 200 && body.includes('Bela Almeida'), `not answered: ${status} ${body}`);
      for (const { email, ssn } of interfaceCustomers)
        expect(!body.includes(email) && !body.includes(ssn), `values came through: ${body}`);
      return body.trim();
    },
  );
  await step('Keys and passwords that stand in replies are found and masked, classified or not', async () => {
    const { body } = await call(world, 'GET', '/api/v1/settings');
    expect(
      body.includes('EUR') && !body.includes(paymentKey) && !body.includes('Tr0ub4dor'),
      `a secret came through: ${body}`,
    );
    return body.trim();
  });
  await step('A DELETE is refused; a refund is held, approved, and done when it is asked for again', async () => {
    const refused = await call(world, 'DELETE', '/api/v1/orders/7');
    expect(refused.status === 403 && refused.body.includes('agents-no-deletes'), `not refused: ${refused.body}`);
    const held = await call(world, 'POST', '/api/v1/orders/7/refund', '{"reason":"broken"}');
    expect(held.status === 403 && held.body.includes('SP3001'), `not held: ${held.body}`);
    const yes = await cli(
      world,
      'dana',
      'approvals',
      'approve',
      requestIn(held.body),
      '--reason',
      'the customer is right',
    );
    expect(yes.status === 0, `approving failed: ${yes.out}${yes.err}`);
    const done = await call(world, 'POST', '/api/v1/orders/7/refund', '{"reason":"broken"}');
    expect(done.status === 200, `not done: ${done.body}`);
    return lines(`${refused.body}${held.body}${done.body}`, 3);
  });
}

function call(world: World, method: string, path: string, body?: string): Promise<{ status: number; body: string }> {
  const { host, port } = world.gateway.addresses.http!;
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host,
        port,
        path,
        method,
        ca: readFileSync(world.gateway.caFile!),
        servername: 'localhost',
        agent: false,
        headers: {
          authorization: `Bearer ${readFileSync(world.agentToken, 'utf8')}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}
