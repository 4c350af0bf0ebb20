import type { DemoAgent, DemoPerson } from './idp.ts';

/** Who plays in the demonstration: two people and the CI job of one of them. */
export const people: readonly DemoPerson[] = [
  { id: 'sam', name: 'Sam (engineer)', email: 'sam@shop.example', groups: ['engineers'] },
  { id: 'dana', name: 'Dana (database administrator)', email: 'dana@shop.example', groups: ['engineers', 'dba'] },
];

export const agents: readonly DemoAgent[] = [
  {
    id: 'ci-agent',
    name: 'coding agent in CI',
    kind: 'ci',
    groups: ['agents'],
    owner: 'sam',
    claims: { repository: 'shop/backend', run_id: '4711' },
  },
];
