import { stringify } from 'yaml';
import { shopClassification } from './shop.ts';

export interface DemoAddresses {
  readonly peopleIssuer: string;
  readonly ciIssuer: string;
  readonly api: number;
  readonly postgres: number;
  readonly shop: number;
}

/** The demonstration's sallyport.yaml: a complete one, to be read and changed. */
export function demoConfiguration(addresses: DemoAddresses, policies: string): string {
  const config = {
    listen: { api: `127.0.0.1:${addresses.api}`, postgres: `127.0.0.1:${addresses.postgres}` },
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
    },
    policies,
  };
  const head = '# Written by `npm run demo`. Everything in it is explained in docs/reference/configuration.md.\n';
  return head + stringify(config);
}
