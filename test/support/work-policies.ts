/**
 * Policies for tests that are about clients: callers may do anything but destroy, writes to `held` wait for a dba, and
 * nobody sees what is classified.
 */
export const workPolicies = `
  @id("all-connect") permit (principal, action == Action::"connect", resource);
  @id("all-work") permit (principal, action in Action::"command", resource);
  @id("nothing-is-destroyed") @advice("keep it")
  forbid (principal, action == Action::"destroy", resource);
  @id("held-needs-dba") @approvers("dba")
  forbid (principal, action == Action::"write", resource == Table::"shop/public.held")
  unless { context.grants.contains("dba") };
  @id("dba-approves") permit (principal in Group::"dba", action == Action::"approve", resource);
  @id("dba-reviews") permit (principal in Group::"dba", action == Action::"review", resource);
`;
