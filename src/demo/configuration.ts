import { stringify } from 'yaml';
import { shopClassification } from './shop.ts';

export interface DemoAddresses {
  readonly peopleIssuer: string;
  readonly ciIssuer: string;
  readonly api: number;
  readonly postgres: number;
  readonly http: number;
  readonly shop: number;
  readonly shopInterface: number;
  readonly code: number;
}

/** The demonstration's sallyport.yaml: a complete one, to be read and changed. */
export function demoConfiguration(addresses: DemoAddresses, policies: string): string {
  const config = {
    listen: {
      api: `127.0.0.1:${addresses.api}`,
      postgres: `127.0.0.1:${addresses.postgres}`,
      http: `127.0.0.1:${addresses.http}`,
    },
    data: './gateway',
    origin: 'demo.sallyport.example/audit',
    externalUrl: `https://127.0.0.1:${addresses.api}`,
    issuers: [
      {
        name: 'people',
        issuer: addresses.peopleIssuer,
        audience: 'sallyport',
        principal: { kind: 'human' },
        groups: { claims: 'groups' },
      },
      {
        name: 'ci',
        issuer: addresses.ciIssuer,
        audience: 'sallyport',
        principal: { kind: 'ci', owner: 'people:{owner}' },
        groups: { claims: 'groups' },
        claims: ['repository', 'run_id'],
      },
    ],
    login: { issuer: 'people', clientId: 'sallyport-cli', scope: 'openid sallyport', token: 'access_token' },
    targets: {
      shop: {
        protocol: 'postgres',
        address: `127.0.0.1:${addresses.shop}`,
        database: 'shop',
        tls: { mode: 'disable' },
        credential: { user: 'shop_app', file: './shop.password' },
        labels: { env: 'prod' },
        hold: '8s',
        classify: shopClassification,
      },
      api: {
        protocol: 'http',
        address: `http://127.0.0.1:${addresses.shopInterface}`,
        internal: true,
        credential: { file: './api.key', as: { header: 'X-Api-Key' } },
        openapi: './api.openapi.yaml',
        labels: { env: 'prod' },
        hold: '2s',
        classify: {
          '$.customers[*].ssn': 'pii.ssn',
          '$.customers[*].email': 'pii.email',
          '$.ssn': 'pii.ssn',
          '$.email': 'pii.email',
        },
      },
      code: {
        protocol: 'git',
        address: `http://127.0.0.1:${addresses.code}`,
        internal: true,
        credential: { file: './code.token' },
        labels: { env: 'prod' },
        hold: '2s',
      },
    },
    policies,
  };
  const head = '# Written by `npm run demo`. Everything in it is explained in docs/reference/configuration.md.\n';
  return head + stringify(config);
}
