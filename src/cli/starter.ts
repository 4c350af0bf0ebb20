/** What `sallyport init` writes. */
export const starterConfiguration = `# Sallyport's configuration. Paths are relative to this file; every key is explained in docs/reference/configuration.md.
# After a change: sallyport doctor

listen:
  api: 127.0.0.1:8443
  postgres: 127.0.0.1:6432

# The audit log, recordings and the store.
data: ./data

# A certificate for all listeners. Without it one is made at first start, on loopback addresses only.
# tls: { certificate: ./tls/fullchain.pem, key: ./tls/key.pem }

# Whose tokens are trusted, and who their bearers are.
issuers:
  - name: corp
    issuer: https://id.example.com
    audience: sallyport
    principal: { kind: human, name: name }
    groups: { claims: groups }

# How people log in with the command line: a public OAuth client that may use the device authorization flow.
login: { issuer: corp, clientId: sallyport, scope: openid profile groups }

# What is behind the gateway. Its credential stays here: callers never see it.
targets:
  shop:
    protocol: postgres
    address: db.example.com:5432
    database: shop
    credential: { user: sallyport, env: SHOP_PASSWORD }
    labels: { env: prod }
    classify:
      public.customers.email: pii.email

policies: ./policies
`;

export const starterPolicy = `// Whatever no policy permits is refused. Policies are Cedar; docs/policies.md explains the words.
// After a change: sallyport policy check

@id("engineers-connect")
permit (principal in Group::"engineers", action == Action::"connect", resource);

@id("engineers-read")
permit (principal in Group::"engineers", action in [Action::"read", Action::"session"], resource);

@id("engineers-write")
permit (principal in Group::"engineers", action in [Action::"write", Action::"bulkWrite"], resource);

// What changes many rows waits for somebody of the group dba.
@id("bulk-write-needs-dba")
@approvers("dba")
@advice("bulk changes wait for a DBA; narrow the WHERE, or wait for the answer")
forbid (principal, action == Action::"bulkWrite", resource)
unless { context.grants.contains("dba") };

@id("dba-approves")
permit (principal in Group::"dba", action == Action::"approve", resource);

@id("auditors-review")
permit (principal in Group::"auditors", action == Action::"review", resource);
`;
