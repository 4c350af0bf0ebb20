import type { Condition, Conditions } from './claims.ts';

/**
 * Issuers that sign for everybody in the world: there, an audience proves nothing, since the requester chooses it. Without
 * a condition on whose project it is, any stranger's job would be let in.
 */
interface SharedIssuer {
  /** One of these claims must be pinned to a value under `require`. */
  readonly tenant: readonly string[];
  /** Holds unless `require` says something about the same claim. */
  readonly unlessSaid: Conditions;
}

const shared: Readonly<Record<string, SharedIssuer>> = {
  'https://token.actions.githubusercontent.com': {
    tenant: ['repository_id', 'repository_owner_id', 'enterprise_id', 'repository', 'repository_owner', 'enterprise'],
    // Runs that an outsider can start, or whose code an outsider wrote (pull requests, issues, comments, workflow_run), are not among these.
    unlessSaid: {
      event_name: [
        'push',
        'schedule',
        'workflow_dispatch',
        'repository_dispatch',
        'release',
        'deployment',
        'merge_group',
      ],
    },
  },
  'https://gitlab.com': {
    tenant: ['project_id', 'namespace_id', 'project_path', 'namespace_path'],
    unlessSaid: {},
  },
  'https://accounts.google.com': { tenant: ['hd', 'email', 'sub'], unlessSaid: {} },
  'https://agent.buildkite.com': {
    tenant: ['organization_id', 'organization_slug', 'pipeline_id'],
    unlessSaid: {},
  },
  'https://app.terraform.io': {
    tenant: ['terraform_organization_id', 'terraform_workspace_id', 'terraform_project_id'],
    unlessSaid: {},
  },
};

function sharedIssuer(issuer: string): SharedIssuer | undefined {
  return URL.canParse(issuer) ? shared[new URL(issuer).origin] : undefined;
}

/** The claims of which one must be pinned, or undefined when the conditions suffice. */
export function unpinnedTenant(issuer: string, require: Conditions): readonly string[] | undefined {
  const tenant = sharedIssuer(issuer)?.tenant;
  if (tenant === undefined || tenant.some((ref) => pins(require[ref]))) return undefined;
  return tenant;
}

/** Equality only: a pattern is how `acme-*` came to admit acme-evil. */
function pins(condition: Condition | undefined): boolean {
  return condition !== undefined && (typeof condition !== 'object' || Array.isArray(condition));
}

/** What a token of this issuer must meet: what the configuration says, and what holds unless it says otherwise. */
export function requirements(issuer: string, require: Conditions): Conditions {
  return { ...sharedIssuer(issuer)?.unlessSaid, ...require };
}
