import type { IncomingMessage, ServerResponse } from 'node:http';
import { type DemoServer, startWebServer } from './web-server.ts';

/** Customers as the shop's HTTP interface tells them: more than an agent should see. */
export const interfaceCustomers = [
  { id: 1, name: 'Bela Almeida', email: 'bela.almeida@example.com', ssn: '912-56-7001', city: 'Porto' },
  { id: 2, name: 'Chidi Okafor', email: 'chidi.okafor@example.com', ssn: '923-61-7002', city: 'Lagos' },
  { id: 3, name: 'Dilara Yıldız', email: 'dilara.yildiz@example.com', ssn: '934-12-7003', city: 'Izmir' },
] as const;

/** Such keys stand in replies more often than anybody thinks. Put together here, for no scanner to stumble over. */
export const paymentKey = ['sk', 'live', '51NbDemoDemoDemoDemoDemo42'].join('_');

/** What policies call the interface's routes (OpenAPI 3.1). */
export const interfaceDocument = `openapi: 3.1.0
info: { title: The shop's interface, version: "1" }
paths:
  /v1/customers:
    get: { summary: all customers }
  /v1/customers/{id}:
    get: { summary: one customer }
  /v1/settings:
    get: { summary: how the shop is set up }
  /v1/orders/{id}:
    get: { summary: one order }
    delete: { summary: forget an order }
  /v1/orders/{id}/refund:
    post: { summary: pay an order back }
`;

/** A small HTTP interface that takes nobody without its key. */
export function startInterface(key: string): Promise<DemoServer> {
  return startWebServer((request, response) => {
    if (request.headers['x-api-key'] !== key) return send(response, 401, { error: 'a key is needed' });
    request.resume();
    const { status, value } = answer(request);
    send(response, status, value);
  });
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(value)}\n`);
}

function answer({ method, url }: IncomingMessage): { readonly status: number; readonly value: unknown } {
  const [, , kind, id, action] = (url ?? '').split('?', 1)[0]?.split('/') ?? [];
  if (kind === 'customers') {
    const found = interfaceCustomers.find((customer) => String(customer.id) === id);
    if (id === undefined) return { status: 200, value: { customers: interfaceCustomers } };
    return found === undefined ? { status: 404, value: { error: 'no such customer' } } : { status: 200, value: found };
  }
  if (kind === 'settings') {
    const database = 'postgres://shop_app:Tr0ub4dor-and-3@db.shop.example:5432/shop';
    return { status: 200, value: { currency: 'EUR', payments: { provider: 'demo', key: paymentKey }, database } };
  }
  if (kind === 'orders' && method === 'POST' && action === 'refund')
    return { status: 200, value: { order: Number(id), refunded: true } };
  if (kind === 'orders') return { status: 200, value: { order: Number(id), status: 'paid' } };
  return { status: 404, value: { error: 'there is nothing here' } };
}
